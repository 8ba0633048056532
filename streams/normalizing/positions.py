"""The normalizer's positions: taken over with the lease, moved by progress, given up in bounded time.

Kafka is told where they are for its lag tools; nothing is ever read from there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from deadletter.ports import Fail
from streams.normalizing.intake_store import IntakeChanges, IntakeStore, Taken
from streams.normalizing.progress import Place, Progress
from streams.normalizing.store_thread import StoreThread
from tierline.kit.crash_points import reached
from tierline.kit.leases import LeaseLost
from tierline.kit.partition_watch import PartitionWatch

SAVE_EVERY_S = 0.25
TELL_EVERY_S = 2.0
SETTLE_S = 5.0
SAVE_S = 3.0
_PAUSE_S = 0.005

_log = structlog.get_logger(__name__)


class Work(Protocol):
    """What is done with the records of the open partitions."""

    def unsettled(self) -> bool:
        """Whether something is on its way that will be safe soon."""

    def taken_over(self, taken: Taken) -> None:
        """Partitions were taken over: what is known about them."""

    def changes(self) -> IntakeChanges:
        """What is to be stored with the positions; it counts as settled."""

    def stored(self, changes: IntakeChanges) -> None:
        """``changes`` are durable."""

    def given_up(self) -> None:
        """Partitions were given up: forget what belongs to them."""


Tell = Callable[[Mapping[Place, int]], Awaitable[Mapping[Place, int]]]
"""Tells Kafka positions; returns how many records lie behind each."""


class Positions:
    """The owner of the partitions that this process reads (see ``transport.PartitionOwner``)."""

    def __init__(
        self,
        *,
        consumer: str,
        store: IntakeStore,
        thread: StoreThread,
        progress: Progress,
        work: Work,
        watch: PartitionWatch,
        fail: Fail,
    ) -> None:
        self._consumer = consumer
        self._store = store
        self._thread = thread
        self._progress = progress
        self._work = work
        self._watch = watch
        self._fail = fail
        self._saving = asyncio.Lock()
        self._durable: dict[Place, int] = {}

    async def taken(self, places: Mapping[Place, int]) -> Mapping[Place, int]:
        """Take the leases (see ``transport.PartitionOwner``); returns where to read each partition."""
        self._watch.opening(tuple(places))
        taken = await self._thread.call(self._store.take, places)
        self._progress.open(taken.positions)
        self._watch.opened(tuple(taken.positions))
        self._work.taken_over(taken)
        self._durable.update(taken.positions)
        self._watch.taken_over()
        _log.info("partitions_opened", consumer=self._consumer, partitions=len(places))
        return taken.positions

    async def given_up(self) -> None:
        """Make safe what can be in bounded time, save, and let go of every partition."""
        places = self._progress.places()
        if not places:
            return
        await self._settle()
        try:
            await asyncio.wait_for(self.save(), SAVE_S)
        except TimeoutError:
            _log.warning("positions_not_saved", consumer=self._consumer, effect="records are read again")
        self._progress.give_up(places)
        self._work.given_up()
        self._watch.gone(places)
        self._durable.clear()
        self._thread.post(self._store.give_up, places)
        _log.info("partitions_given_up", consumer=self._consumer, partitions=len(places))

    async def save(self) -> None:
        """Move the leases to where progress stands, and store what is held; waits while the store is away."""
        async with self._saving:
            changes = self._work.changes()
            moved = self._progress.moved()
            if not moved and not changes:
                return
            reached("normalizer.after_acknowledgement")
            try:
                await self._thread.call(self._store.save, moved, changes.holds, changes.breakers)
            except LeaseLost as error:
                self._fail(f"another process works on our partitions: {error}")
            reached("normalizer.after_progress")
            self._progress.saved(moved)
            self._durable.update({place: moved[place] for place in moved if place in self._durable})
            for place in moved:
                self._watch.moved(place)
            if changes.holds.held:
                reached("normalizer.after_hold_commit")
            if changes.holds.removed:
                reached("normalizer.after_removal")
            self._work.stored(changes)

    async def keep_saving(self) -> None:
        """Save what moved, a few times a second, until cancelled."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self.save()

    async def keep_telling(self, tell: Tell) -> None:
        """Tell Kafka the saved positions now and then, until cancelled."""
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            if self._durable:
                for place, records in (await tell(dict(self._durable))).items():
                    if oldest_ms := self._progress.oldest_ms(place):
                        self._watch.met(place, oldest_ms)
                    self._watch.behind(place, records)

    async def _settle(self) -> None:
        deadline = time.monotonic() + SETTLE_S
        while self._work.unsettled() and time.monotonic() < deadline:  # noqa: ASYNC110 - many ways to end
            await asyncio.sleep(_PAUSE_S)
