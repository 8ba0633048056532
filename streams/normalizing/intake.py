"""The way of a batch through the normalizer: read, look up, end or park each intent, in order.

    read        bytes → intents, or why there are none; pure
    look up     one question to the account context for the whole batch
    conclude    every intent of a record gets its ending, and the router makes it real; or the whole record is
                parked, because an account is not known yet

Records of one key leave in the order they came: what follows a parked record of its key is parked behind it.
The key is the record's own; a record without one goes by the reference in its first intent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol, TypeVar

import structlog

from deadletter.envelope import Stage
from deadletter.router import DeadIntent, Router
from deadletter.verdicts import Verdict
from streams.normalizing.context import AccountContext, Asked
from streams.normalizing.endings import Endings, Fault, fault_of, fault_of_bug
from streams.normalizing.intake_metrics import ACCEPTED, DEAD, PARKED, IntakeMetrics
from streams.normalizing.normalize import Framed
from streams.normalizing.parking import Parked, Parking
from streams.normalizing.progress import OpenBatch, Progress
from streams.normalizing.resolve import (
    Resolution,
    Resolved,
    Rows,
    Unknown,
    references,
    resolve_record,
    unknown_account,
)
from streams.pipeline import Channel, read_intents
from streams.reading.intent import Intent, PlanNames, Reading, Unreadable
from streams.transport import Batch
from tierline.kit.crash_points import reached
from tierline.kit.records import Record

_BREATH = 200
_PARKED_RECORDS = 10_000
_PARKED_BYTES = 16 * 1024 * 1024
_DEAD_WAITING = 2_000
_LOOK_AGAIN_S = 0.5
_PAUSE_S = 0.005

Item = TypeVar("Item")

_log = structlog.get_logger(__name__)


class Pressure(Protocol):
    """The way out, as far as intake must know: whether it is full."""

    @property
    def crowded(self) -> bool: ...


class Presence(Protocol):
    """The store, as far as intake must know: whether it is there, and the time it has been (ms)."""

    @property
    def away(self) -> bool: ...

    def present_ms(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A record that was read. ``stored``: the verdicts of an earlier delivery, by intent index."""

    record: Record
    channel: str
    intents: tuple[Intent, ...]
    batch: OpenBatch
    stored: Mapping[int, Verdict] = field(default_factory=dict)

    @property
    def undecided(self) -> tuple[Intent, ...]:
        """The intents without a verdict."""
        if not self.stored:
            return self.intents
        return tuple(i for i in self.intents if i.intent_index not in self.stored)

    @property
    def key(self) -> Hashable:
        """What orders it among the records of its partition."""
        record, first = self.record, self.intents[0]
        if record.key is not None:
            return record.topic, record.partition, record.key
        return record.topic, record.partition, first.subscription_ref or first.account_ref


class Intake:
    """Takes batches one after the other; ``watch`` looks after what is parked, in the background."""

    def __init__(
        self,
        *,
        channels: Mapping[str, tuple[Channel, PlanNames]],
        command: Callable[[Intent, Resolved], Framed],
        context: AccountContext,
        router: Router,
        progress: Progress,
        endings: Endings,
        outlet: Pressure,
        store: Presence,
        unknown_account_wait_ms: int,
        metrics: IntakeMetrics,
    ) -> None:
        self._channels = channels
        self._command = command
        self._context = context
        self._router = router
        self._progress = progress
        self._endings = endings
        self._outlet = outlet
        self._store = store
        self._wait_ms = unknown_account_wait_ms
        self._metrics = metrics
        self._parking: Parking[Work] = Parking(most_records=_PARKED_RECORDS, most_bytes=_PARKED_BYTES)
        self._look_again = asyncio.Event()
        self._verdicts: dict[tuple[str, int, int], dict[int, Verdict]] = {}

    @property
    def parked(self) -> int:
        """Records that wait for an account."""
        return len(self._parking)

    def remember(self, verdicts: Iterable[Verdict]) -> None:
        """Verdicts on records that will be delivered again."""
        for verdict in verdicts:
            place = (verdict.topic, verdict.partition, verdict.offset)
            self._verdicts.setdefault(place, {})[verdict.intent_index] = verdict

    def given_up(self) -> None:
        """Forget what belongs to partitions that were given up."""
        self._parking.drop(lambda work: work.batch.given_up)
        held = set(self._progress.places())
        self._verdicts = {place: v for place, v in self._verdicts.items() if place[:2] in held}

    def context_changed(self) -> None:
        """Some reference is known that was not: look at what is parked."""
        if self.parked:
            self._look_again.set()

    async def take(self, batch: Batch) -> None:
        """Bring every intent of ``batch`` to its end, or park its record."""
        await self._room()
        started = perf_counter()
        records = batch.records
        opened = self._progress.begin(
            (batch.topic, batch.partition),
            records[0].offset,
            records[-1].offset + 1,
            len(records),
            records[0].timestamp_ms,
        )
        if opened is None:
            return
        works = await self._read(batch, opened)
        reached("normalizer.after_read")
        rows = await self._context.rows(_asked(works))
        for chunk in _chunks(works):
            await self._room()
            if opened.given_up:
                return
            for work in chunk:
                self._conclude_or_park(work, rows)
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

    def _until_next_look(self) -> float | None:
        deadline = self._parking.next_deadline_ms()
        if deadline is None:
            return None
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
            or self._parking.full
            or self._router.waiting > _DEAD_WAITING
        )

    # --- read ---------------------------------------------------------------------------------------------

    async def _read(self, batch: Batch, opened: OpenBatch) -> list[Work]:
        channel, plans = self._channels[batch.topic]
        works: list[Work] = []
        for chunk in _chunks(batch.records):
            for record in chunk:
                work = self._read_record(channel, plans, record, opened)
                if work is not None:
                    works.append(work)
            await asyncio.sleep(0)
        return works

    def _read_record(
        self, channel: Channel, plans: PlanNames, record: Record, opened: OpenBatch
    ) -> Work | None:
        """The record as work; None when reading it was its end."""
        try:
            reading = read_intents(channel, record, plans)
        except Exception as error:  # noqa: BLE001 - a bug of ours is this record's dead letter, not a standstill
            fault = self._bug(record, error, Stage.DECODE)
            self._end_dead(channel.name, self._endings.unread(record, channel.name, fault, opened))
            return None
        if isinstance(reading, Unreadable):
            self._end_dead(channel.name, self._endings.unreadable(record, channel.name, reading, opened))
            return None
        return self._work(channel.name, record, reading, opened)

    def _work(self, channel: str, record: Record, reading: Reading, opened: OpenBatch) -> Work | None:
        self._metrics.read(channel, unknown_fields=reading.unknown_fields, strict=reading.strict)
        intents = reading.intents
        stored = (
            self._verdicts.get((record.topic, record.partition, record.offset)) if self._verdicts else None
        )
        if stored is None:
            if len(intents) > 1:
                opened.expect(len(intents) - 1)
            return Work(record, channel, intents, opened)
        if any(verdict.intent_count != len(intents) for verdict in stored.values()):
            # It was another number of intents then: what was said about them stands for the whole record.
            opened.expect(len(stored) - 1)
            for verdict in stored.values():
                self._end_dead(channel, self._endings.stored(record, channel, verdict, None, opened))
            return None
        opened.expect(len(intents) - 1)
        return Work(record, channel, intents, opened, stored)

    # --- conclude -----------------------------------------------------------------------------------------

    def _conclude_or_park(self, work: Work, rows: Rows) -> None:
        key = work.key
        if key in self._parking or not self._conclude(work, rows, wait_over=False):
            deadline = self._store.present_ms() + self._wait_ms
            self._parking.park(key, Parked(work, len(work.record.value or b""), deadline))
            self._metrics.ended(work.channel, PARKED)
            self._look_again.set()

    def _conclude(self, work: Work, rows: Rows, *, wait_over: bool) -> bool:
        """End every intent of ``work``. False, and nothing has happened, when it has to wait."""
        intents = work.undecided
        try:
            resolutions = resolve_record(intents, rows)
        except Exception as error:  # noqa: BLE001 - as in _read_record
            fault = self._bug(work.record, error, Stage.CONTEXT)
            for intent in intents:
                self._end_fault(work, intent, fault)
        else:
            if not wait_over and any(isinstance(resolution, Unknown) for resolution in resolutions):
                return False
            for intent, resolution in zip(intents, resolutions, strict=True):
                self._end(work, intent, resolution)
        for index, verdict in work.stored.items():
            intent = work.intents[index]
            self._end_dead(
                work.channel, self._endings.stored(work.record, work.channel, verdict, intent, work.batch)
            )
        return True

    def _end(self, work: Work, intent: Intent, resolution: Resolution) -> None:
        match resolution:
            case Resolved():
                self._accept(work, intent, resolution)
            case Unknown():
                self._end_fault(work, intent, fault_of(unknown_account(intent)))
            case dead:
                self._end_fault(work, intent, fault_of(dead, Stage.CONTEXT))

    def _accept(self, work: Work, intent: Intent, resolved: Resolved) -> None:
        try:
            framed = self._command(intent, resolved)
        except Exception as error:  # noqa: BLE001 - as in _read_record
            self._end_fault(work, intent, self._bug(work.record, error, Stage.ENCODE))
        else:
            self._metrics.ended(work.channel, ACCEPTED)
            self._router.route(self._endings.accepted(work.record, intent, framed, work.batch))

    def _end_fault(self, work: Work, intent: Intent, fault: Fault) -> None:
        self._end_dead(work.channel, self._endings.dead(work.record, intent, fault, work.batch))

    def _end_dead(self, channel: str, ending: DeadIntent) -> None:
        self._metrics.ended(channel, DEAD)
        self._router.route(ending)

    def _bug(self, record: Record, error: Exception, stage: Stage) -> Fault:
        _log.error(
            "record_met_a_bug",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            stage=str(stage),
            exception=type(error).__qualname__,
            action="the record is in the dead-letter topic: fix the exception, deploy, replay",
        )
        return fault_of_bug(error, stage)

    # --- parked -------------------------------------------------------------------------------------------

    async def look_at_parked(self) -> None:
        """Ask the store about every parked record; end those that can go or have waited long enough."""
        looked_at = self._store.present_ms()
        rows = await self._context.rows(_asked(self._parking.items()), doubt_unknown=True)

        def leaves(parked: Parked[Work]) -> bool:
            work = parked.item
            if any(ref not in rows for intent in work.undecided for ref in references(intent)):
                self._look_again.set()
                return False
            return self._conclude(work, rows, wait_over=looked_at >= parked.deadline_ms)

        self._parking.look_again(leaves)
        self._metrics.publish()


def _asked(works: Iterable[Work]) -> set[Asked]:
    return {(i.channel, i.source, ref) for work in works for i in work.undecided for ref in references(i)}


def _chunks(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[start : start + _BREATH] for start in range(0, len(items), _BREATH))
