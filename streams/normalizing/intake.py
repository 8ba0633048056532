"""The way of a batch through the normalizer: read, look up, end or hold each record, in order.

    read        bytes → intents, or why there are none; pure
    look up     one question to the account context for the whole batch
    conclude    every intent of a record gets its ending, and the router makes it real; or the whole record
                waits, because an account is not known yet

What would die stands while the breaker of its partition is open, and everything of the partition behind it;
``watch`` tries it again when the breaker says so.

A record waits in two stages. It is parked in memory for a moment first, unacknowledged: most references that
are missing at all arrive within it, and neither PostgreSQL nor the channel need hear of it. Then it is
held: it is stored, its position passes, its channel is told.

Records of one key leave in the order they came: what follows a record that waits, waits behind it. The key is
the record's own; a record without one goes by the reference in its first intent. What asks nothing passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Protocol, TypeVar

import msgspec

from deadletter.breaker import Lane
from deadletter.breakers import Breakers
from deadletter.held import HoldKey, RecordPlace, place_of
from deadletter.holds import Holds
from deadletter.router import Router
from deadletter.verdicts import Verdict
from streams.normalizing.concluding import Concluder, Conclusion, Work
from streams.normalizing.context import AccountContext, Asked
from streams.normalizing.intake_metrics import PARKED, IntakeMetrics
from streams.normalizing.look_up import look_up
from streams.normalizing.parking import Parked, Parking
from streams.normalizing.progress import OpenBatch, Place, Progress
from streams.normalizing.resolve import Rows, references
from streams.normalizing.standing import Gates, Queue, Standing
from streams.reading.refusal import Code
from streams.transport import Batch
from tierline.kit.crash_points import reached

_BREATH = 200
_PARKED_RECORDS = 10_000
_PARKED_BYTES = 16 * 1024 * 1024
_DEAD_WAITING = 2_000
_LOOK_AGAIN_S = 0.5
_PAUSE_S = 0.005

Item = TypeVar("Item")


class Pressure(Protocol):
    """The way out, as far as intake must know: whether it is full."""

    @property
    def crowded(self) -> bool: ...


class Presence(Protocol):
    """The store, as far as intake must know: whether it is there, and the time it has been (ms)."""

    @property
    def away(self) -> bool: ...

    def present_ms(self) -> int: ...


class Intake:
    """Takes batches one after the other; ``watch`` looks after what is parked, in the background."""

    def __init__(
        self,
        *,
        concluder: Concluder,
        context: AccountContext,
        router: Router,
        holds: Holds,
        breakers: Breakers,
        progress: Progress,
        outlet: Pressure,
        store: Presence,
        gates: Gates,
        unknown_account_wait_ms: int,
        metrics: IntakeMetrics,
    ) -> None:
        self._concluder = concluder
        self._context = context
        self._router = router
        self._holds = holds
        self._breakers = breakers
        self._progress = progress
        self._outlet = outlet
        self._store = store
        self._wait_ms = unknown_account_wait_ms
        self._metrics = metrics
        self._parking: Parking[Work] = Parking(most_records=_PARKED_RECORDS, most_bytes=_PARKED_BYTES)
        self._look_again = asyncio.Event()
        self._held_already: set[RecordPlace] = set()
        self._skipped_already: set[tuple[str, int, int, int]] = set()
        self._standing = Standing(gates, metrics)

    @property
    def parked(self) -> int:
        """Records that wait for an account in memory."""
        return len(self._parking)

    @property
    def standing(self) -> tuple[Place, ...]:
        """The partitions that stand still, because their breakers are open."""
        return self._standing.places

    def remember(
        self,
        verdicts: Iterable[Verdict],
        held: Iterable[RecordPlace] = (),
        skipped: Iterable[tuple[str, int, int, int]] = (),
    ) -> None:
        """What is known about records that will be delivered again."""
        self._concluder.remember(verdicts)
        self._held_already.update(held)
        self._skipped_already.update(skipped)

    def given_up(self) -> None:
        """Forget what belongs to partitions that were given up."""
        self._parking.drop(lambda work: work.batch.given_up)
        open_places = set(self._progress.places())
        self._concluder.forget_verdicts(lambda place: place in open_places)
        self._held_already = {r for r in self._held_already if r[:2] in open_places}
        self._skipped_already = {i for i in self._skipped_already if i[:2] in open_places}
        self._standing.keep(open_places)

    def context_changed(self) -> None:
        """Some reference is known that was not: look at what is parked."""
        if self.parked:
            self._look_again.set()

    def room_made(self) -> None:
        """Something that was held has gone: partitions that stand still may go on."""
        if self._standing:
            self._breakers.room_made()
            self._look_again.set()

    def breakers_changed(self) -> None:
        """A person closed a breaker or lets dead records pass: partitions that stand still may go on."""
        if self._standing:
            self._look_again.set()

    async def take(self, batch: Batch) -> None:
        """Bring every intent of ``batch`` to its end, or let its record wait.

        Where partitions were opened again before there was room, it comes again, behind what is before it.
        """
        openings = self._progress.openings
        await self._room()
        if self._progress.openings != openings:
            return
        if (standing := self._standing.queue((batch.topic, batch.partition))) is not None:
            standing.append(batch)
            return
        await self._take(batch)

    async def _take(self, batch: Batch) -> None:
        started = perf_counter()
        records = batch.records
        opened = self._progress.begin(
            (batch.topic, batch.partition),
            batch.start,
            records[-1].offset + 1,
            len(records),
            records[0].timestamp_ms,
        )
        if opened is None:
            return
        works = await self._read(batch, opened)
        reached("normalizer.after_read")
        rows, failed = await self._rows(works)
        for number, chunk in enumerate(_chunks(works)):
            if number:
                await self._room()
            if opened.given_up:
                return
            for work in chunk:
                self._conclude_or_stand(work, rows, failed=work in failed)
        reached("normalizer.after_produce")
        self._metrics.publish()
        self._metrics.seconds.observe(perf_counter() - started)

    async def watch(self) -> None:
        """Look at parked records when references appear, when their wait is over, and now and then."""
        while True:
            try:
                async with asyncio.timeout(self._until_next_look()):
                    await self._look_again.wait()
            except TimeoutError:
                pass
            self._look_again.clear()
            if self.parked:
                await self.look_at_parked()
                await asyncio.sleep(_PAUSE_S)
            if self._standing:
                await self.go_on()

    def _until_next_look(self) -> float | None:
        deadline = self._parking.next_deadline_ms()
        if deadline is None:
            return _LOOK_AGAIN_S if self._standing else None
        return min(_LOOK_AGAIN_S, max(_PAUSE_S, (deadline - self._store.present_ms()) / 1000))

    async def _room(self) -> None:
        """Let others run; then wait until the way out and the store can take more."""
        await asyncio.sleep(0)
        while self._is_full():  # noqa: ASYNC110 - none of the four is announced
            await asyncio.sleep(_PAUSE_S)

    def _is_full(self) -> bool:
        return (
            self._outlet.crowded
            or self._store.away
            or self._holds.crowded
            or self._router.waiting > _DEAD_WAITING
        )

    async def _read(self, batch: Batch, opened: OpenBatch) -> list[Work]:
        concluder, works = self._concluder, []
        for number, chunk in enumerate(_chunks(batch.records)):
            if number:
                await asyncio.sleep(0)
            for record in chunk:
                work = concluder.work(record, concluder.understand(record), opened)
                if work is None:
                    continue
                if self._held_already and place_of(record) in self._held_already:
                    concluder.end_stored(work)
                else:
                    works.append(work)
        return self._without_skipped(works) if self._skipped_already else works

    def _without_skipped(self, works: list[Work]) -> list[Work]:
        """What is left of ``works`` without the intents that were let go at an earlier delivery."""
        left: list[Work] = []
        for work in works:
            record = work.record
            remaining = tuple(
                i for i in work.intents if (*place_of(record), i.intent_index) not in self._skipped_already
            )
            for _ in range(len(work.intents) - len(remaining)):
                work.batch.settle()
            if remaining or work.unread is not None:
                left.append(msgspec.structs.replace(work, intents=remaining))
        return left

    async def _rows(self, works: Sequence[Work]) -> tuple[Rows, frozenset[Work]]:
        return await look_up(
            self._context, _asked(works), lambda: {w: _asked([w]) for w in works}, self._metrics.retried
        )

    # --- end, park or hold --------------------------------------------------------------------------------

    def _conclude_or_stand(self, work: Work, rows: Rows, *, failed: bool) -> None:
        place = (work.record.topic, work.record.partition)
        if self._standing and (standing := self._standing.queue(place)) is not None:
            standing.append(work)
        elif not self._breakers.may_try(work.record) or not self._conclude_or_wait(work, rows, failed=failed):
            self._standing.begin(place, work)

    def _conclude_or_wait(self, work: Work, rows: Rows, *, failed: bool) -> bool:
        """False, and nothing has happened, when it stands: it would die and must not, or would have to wait
        and there is no room for it.
        """
        if work.unread is not None or not work.asking:
            return self._concluder.conclude(work, rows) is Conclusion.ENDED
        key = work.key
        waits = self._holds.blocks(key) or key in self._parking
        if not waits and not failed:
            conclusion = self._concluder.conclude(work, rows)
            if conclusion is not Conclusion.WAITS:
                return conclusion is Conclusion.ENDED
        if not self._has_room(work, key):
            self._breakers.full(work.record, work.channel)
            return False
        self._concluder.waits(work)
        if self._holds.blocks(key):
            self._hold(work, key, Code.EARLIER_ORDER_WAITS, {})
        elif failed and not waits:
            self._hold(work, key, Code.LOOK_UP_FAILED, {})
        elif self._parking.full and not waits:
            self._hold(work, key, Code.UNKNOWN_REFERENCE, rows)
        else:
            self._park(work, key)
        return True

    def _park(self, work: Work, key: HoldKey) -> None:
        deadline = self._store.present_ms() + self._wait_ms
        self._parking.park(key, Parked(work, len(work.record.value or b""), deadline))
        self._metrics.ended(work.channel, PARKED)
        self._look_again.set()

    def _hold(self, work: Work, key: HoldKey, code: Code, rows: Rows) -> None:
        wait_ms = self._holds.policy.of(work.channel).wait_ms(0)
        self._concluder.hold(work, key, code, rows, self._holds.now_ms(), wait_ms)

    def _has_room(self, work: Work, key: HoldKey) -> bool:
        """Whether one more record may wait; what is parked counts, because it may be held next."""
        parked = self._parking
        return self._holds.has_room(
            key, work.channel, parked_records=parked.records_of(key), parked_keys=parked.keys
        )

    async def look_at_parked(self) -> None:
        """Ask the store about every parked record; end those that can go, hold those that waited enough."""
        looked_at = self._store.present_ms()
        works = list(self._parking.items())
        rows, failed = await look_up(
            self._context,
            _asked(works),
            lambda: {work: _asked([work]) for work in works},
            self._metrics.retried,
            doubt_unknown=True,
        )

        def leaves(parked: Parked[Work]) -> bool:
            work = parked.item
            key = work.key
            if self._holds.blocks(key):
                self._hold(work, key, Code.EARLIER_ORDER_WAITS, {})
                return True
            if work in failed:
                self._hold(work, key, Code.LOOK_UP_FAILED, {})
                return True
            if any(ref not in rows for intent in work.undecided for ref in references(intent)):
                self._look_again.set()
                return False
            if self._concluder.conclude(work, rows, lane=Lane.HOLDS) is Conclusion.ENDED:
                return True
            if looked_at < parked.deadline_ms:
                return False
            self._hold(work, key, Code.UNKNOWN_REFERENCE, rows)
            return True

        self._parking.look_again(leaves)
        self._metrics.publish()

    # --- standing still -----------------------------------------------------------------------------------

    async def go_on(self) -> None:
        """Go on with every partition that stands still, as far as there is room."""
        for place in self._standing.places:
            while (standing := self._standing.queue(place)) and await self._step(standing):
                pass
            if standing is not None and not standing:
                self._standing.end(place)
        self._metrics.publish()

    async def _step(self, standing: Queue) -> bool:
        """Try the first of what stands; False when it stands still."""
        first = standing[0]
        if isinstance(first, Batch):
            standing.popleft()
            await self._unfold(first, standing)
            return True
        if not self._breakers.may_try(first.record):
            return False
        again = self._concluder.read_again(first)
        if again is None:
            standing.popleft()
            return True
        standing[0] = again
        rows, failed = await self._rows([again])
        if again.batch.given_up or not self._conclude_or_wait(again, rows, failed=again in failed):
            return False
        standing.popleft()
        return True

    async def _unfold(self, batch: Batch, standing: Queue) -> None:
        """Put the records of ``batch`` where it stood."""
        records = batch.records
        opened = self._progress.begin(
            (batch.topic, batch.partition), batch.start, records[-1].offset + 1, len(records)
        )
        if opened is not None:
            standing.extendleft(reversed(await self._read(batch, opened)))


def _asked(works: Iterable[Work]) -> set[Asked]:
    return {(i.channel, i.source, ref) for work in works for i in work.undecided for ref in references(i)}


def _chunks(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[start : start + _BREATH] for start in range(0, len(items), _BREATH))
