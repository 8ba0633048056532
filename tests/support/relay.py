"""Our transport with everything around it but the normalizing: each record of one topic is copied to another.

The batch transport, the positions with their leases in PostgreSQL, and the way out are the normalizer's own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NoReturn

import faust

from deadletter.breakers import BreakerChanges
from deadletter.held import HoldChanges
from deadletter.ports import Refusal
from streams.app import create_app
from streams.normalizing.intake_store import IntakeChanges, IntakeStore, Taken
from streams.normalizing.outlet import Outlet
from streams.normalizing.positions import Positions
from streams.normalizing.progress import OpenBatch, Progress
from streams.normalizing.store_thread import StoreThread
from streams.transport import Batch
from tests.support.app_thread import AppThread
from tests.support.wire import COPIES, GROUP, SOURCE
from tierline.kit.clock import SystemClock
from tierline.kit.database import connect
from tierline.kit.health import Health
from tierline.kit.partition_watch import PartitionWatch
from tierline.kit.records import Message, Record
from tierline.kit.settings import KafkaSettings, Settings
from tierline.kit.telemetry import Metrics

Before = Callable[[Record], Awaitable[None]]
"""What happens before a record is copied: nothing, an error, or a wait."""


class Withhold(Exception):
    """Raised before a record is copied: nothing becomes of it, and nothing is said about it."""


async def nothing(_record: Record) -> None:
    """Let the record pass."""


class Relay:
    """A worker of group ``GROUP``. ``running`` starts it; start it once.

    ``refusals``: what the broker did not take. ``ended``: why a real worker would have ended its process.
    ``taken``: the records in the order they came. ``way_out``: the producer's settings, where they differ.
    """

    def __init__(
        self, settings: Settings, before: Before = nothing, *, way_out: KafkaSettings | None = None
    ) -> None:
        self._settings = settings
        self._before = before
        self._way_out = way_out or settings.kafka
        self._progress = Progress()
        self.refusals: list[Refusal] = []
        self.ended: list[str] = []
        self.taken: list[Record] = []
        self._outlet: Outlet

    @property
    def partitions(self) -> int:
        """How many it has."""
        return len(self._progress.places())

    def running(self) -> AppThread:
        """It, from the beginning of the block to its end."""
        return AppThread(self._opened)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[faust.App]:
        settings, clock = self._settings, SystemClock()
        self._outlet = Outlet(self._way_out, GROUP)
        store = IntakeStore(GROUP, partial(connect, settings.database_url, GROUP))
        thread = StoreThread(store)
        positions = Positions(
            consumer=GROUP,
            store=store,
            thread=thread,
            progress=self._progress,
            work=self,
            watch=PartitionWatch(GROUP, SOURCE, Metrics(), Health(), clock.now_ms),
            fail=self._fail,
        )
        app = create_app(settings.kafka, group=GROUP, topics=[SOURCE], owner=positions, handle=self._take)
        consumer: Any = app.consumer
        helpers = [
            asyncio.create_task(work)
            for work in (
                self._serve_answers(),
                positions.keep_saving(),
                positions.keep_telling(consumer.tell_positions),
            )
        ]
        try:
            yield app
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self._outlet.close()
            del self._outlet  # its client goes on looking for the broker as long as it is there
            thread.close()

    async def _take(self, batch: Batch) -> None:
        records = batch.records
        opened = self._progress.begin(
            (batch.topic, batch.partition), batch.start, records[-1].offset + 1, len(records)
        )
        if opened is None:
            return
        for record in records:
            self.taken.append(record)
            try:
                await self._before(record)
            except Withhold:
                continue
            if opened.given_up:
                return
            copy = Message(COPIES, record.key, record.value, record.partition)
            self._outlet.send(copy, partial(self._answered, opened))

    def _answered(self, opened: OpenBatch, refusal: Refusal | None) -> None:
        if refusal is None:
            opened.settle()
        else:
            self.refusals.append(refusal)

    def _fail(self, reason: str) -> NoReturn:
        self.ended.append(reason)
        raise RuntimeError(reason)

    async def _serve_answers(self) -> None:
        while True:
            self._outlet.serve()
            await asyncio.sleep(0.002)

    # --- what the positions ask (see ``positions.Work``) --------------------------------------------------

    def unsettled(self) -> bool:
        """Whether answers are still to come."""
        return bool(self._outlet.unanswered)

    def taken_over(self, taken: Taken) -> None:
        """Nothing is held or remembered here."""

    def changes(self) -> IntakeChanges:
        """Nothing but positions."""
        return IntakeChanges(HoldChanges(), BreakerChanges())

    def stored(self, changes: IntakeChanges) -> None:
        """Nothing but positions."""

    def given_up(self) -> None:
        """The progress knows."""


def run_until_killed(settings: Settings, stand_still_at: bytes) -> None:
    """A relay that takes this value and never ends with it; for a process of its own."""

    async def stand_still(record: Record) -> None:
        if record.value == stand_still_at:
            await asyncio.Event().wait()

    with Relay(settings, stand_still).running():
        threading.Event().wait()


def position(settings: Settings, partition: int = 0) -> int:
    """The offset from which the next start reads ``partition`` of ``SOURCE``, as its lease has it."""
    with connect(settings.database_url, "test") as connection:
        rows = connection.execute(
            "SELECT next_offset FROM oms.lease WHERE consumer = %s AND topic = %s AND partition = %s",
            (GROUP, SOURCE, partition),
        ).fetchall()
    return int(rows[0][0]) if rows else 0
