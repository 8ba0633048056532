"""What becomes of one record: it is read, and each of its intents gets its ending, which the router makes
real.

The same handler serves records that arrive and records that were held: reading is pure, and nothing happens
to a record before all its intents can end, and the breaker of its partition lets those die that must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum, auto
from types import MappingProxyType
from typing import Protocol

import msgspec
import structlog

from deadletter.breaker import Lane
from deadletter.classify import PARKING
from deadletter.envelope import Stage
from deadletter.held import HeldRecord, HoldKey
from deadletter.router import AcceptedIntent, DeadIntent, Ending, HeldIntent, Router, SkippedIntent
from deadletter.verdicts import Verdict
from streams.normalizing.endings import Endings, Fault, fault_of, fault_of_bug
from streams.normalizing.intake_metrics import ACCEPTED, DEAD, HELD, SKIPPED, IntakeMetrics
from streams.normalizing.normalize import Framed
from streams.normalizing.progress import Settling
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
from streams.reading.headers import UNREADABLE_SOURCE
from streams.reading.intent import Intent, PlanNames, Reading, Unreadable
from streams.reading.refusal import Code, dead
from tierline.domain.outcome import Dead, Skipped
from tierline.kit.records import Record

_COUNTED_AS: Mapping[type[Ending], str] = {
    AcceptedIntent: ACCEPTED,
    DeadIntent: DEAD,
    HeldIntent: HELD,
    SkippedIntent: SKIPPED,
}

_log = structlog.get_logger(__name__)

_NO_VERDICTS: Mapping[int, Verdict] = MappingProxyType({})

Understood = Reading | Unreadable | Fault
"""What was read in a record; a Fault where reading it met a bug."""


class Conclusion(Enum):
    """What came of a record: all its intents ended; or nothing happened, because it waits for something, or
    because it would die and its breaker does not let it.
    """

    ENDED = auto()
    WAITS = auto()
    STANDS = auto()


class Gate(Protocol):
    """The breakers (see ``deadletter.breakers``)."""

    def may_die(self, record: Record, channel: str, dead: Sequence[DeadIntent], lane: Lane) -> bool: ...

    def lived(self, record: Record, channel: str, source: str, lane: Lane) -> None: ...


class Work(msgspec.Struct, frozen=True, eq=False):
    """A record that was read. ``stored``: the verdicts of an earlier delivery, by intent index.

    ``held``: it was held, and these are its intents that still wait. ``unread``: why it has no intents.
    A Struct, not a dataclass: one is made for every record.
    """

    record: Record
    channel: str
    intents: tuple[Intent, ...]
    batch: Settling
    stored: Mapping[int, Verdict] = _NO_VERDICTS
    held: HeldRecord | None = None
    unread: Unreadable | Fault | None = None

    @property
    def undecided(self) -> tuple[Intent, ...]:
        """The intents without a verdict."""
        if not self.stored:
            return self.intents
        return tuple(i for i in self.intents if i.intent_index not in self.stored)

    @property
    def asking(self) -> tuple[Intent, ...]:
        """The undecided intents that could change something, or wait for something."""
        undecided = self.undecided
        if len(undecided) == 1:
            return undecided if undecided[0].skipped is None else ()
        return tuple(intent for intent in undecided if intent.skipped is None)

    @property
    def key(self) -> HoldKey:
        """What orders it among the records of its partition."""
        record, first = self.record, self.intents[0]
        own = record.key
        if own is None:
            return record.topic, record.partition, first.subscription_ref or first.account_ref or ""
        return record.topic, record.partition, own


class Concluder:
    """Reads records and ends their intents. ``channels``: by topic."""

    def __init__(
        self,
        *,
        channels: Mapping[str, tuple[Channel, PlanNames]],
        command: Callable[[Intent, Resolved], Framed],
        router: Router,
        gate: Gate,
        endings: Endings,
        metrics: IntakeMetrics,
    ) -> None:
        self._channels = channels
        self._gate = gate
        self._command = command
        self._router = router
        self._endings = endings
        self._metrics = metrics
        self._verdicts: dict[tuple[str, int, int], dict[int, Verdict]] = {}

    def remember(self, verdicts: Iterable[Verdict]) -> None:
        """Verdicts on records that will be delivered, or released, again."""
        for verdict in verdicts:
            place = (verdict.topic, verdict.partition, verdict.offset)
            self._verdicts.setdefault(place, {})[verdict.intent_index] = verdict

    def forget_verdicts(self, keep: Callable[[tuple[str, int]], bool]) -> None:
        """Forget the verdicts on records of partitions that ``keep`` does not want."""
        self._verdicts = {place: v for place, v in self._verdicts.items() if keep(place[:2])}

    def was_given_up(self, held: HeldRecord) -> bool:
        """Whether the wait of a held record ended in a verdict already."""
        return any(v.dead.dead_letter_class in PARKING for v in self._verdicts.get(held.place, {}).values())

    # --- read ---------------------------------------------------------------------------------------------

    def understand(self, record: Record) -> Understood:
        """What ``record`` says; nothing happens."""
        channel, plans = self._channels[record.topic]
        try:
            return read_intents(channel, record, plans)
        except Exception as error:  # noqa: BLE001 - a bug of ours is this record's dead letter, not a standstill
            return self._bug(record, error, Stage.DECODE)

    def work(
        self, record: Record, understood: Understood, batch: Settling, held: HeldRecord | None = None
    ) -> Work | None:
        """The record as work; None when verdicts of an earlier delivery were its end."""
        channel = self._channels[record.topic][0].name
        if isinstance(understood, Reading):
            return self._work(channel, record, understood, batch, held)
        return Work(record, channel, (), batch, held=held, unread=understood)

    def read_again(self, work: Work) -> Work | None:
        """``work`` after another look at its bytes, where they were not understood; as in ``work``."""
        if work.unread is None:
            return work
        return self.work(work.record, self.understand(work.record), work.batch, work.held)

    def _work(
        self, channel: str, record: Record, reading: Reading, batch: Settling, held: HeldRecord | None
    ) -> Work | None:
        self._metrics.read(channel, unknown_fields=reading.unknown_fields, strict=reading.strict)
        intents = reading.intents if held is None else waiting_intents(reading, held)
        stored = (
            self._verdicts.get((record.topic, record.partition, record.offset)) if self._verdicts else None
        )
        if stored is None:
            if len(intents) > 1:
                batch.expect(len(intents) - 1)
            return Work(record, channel, intents, batch, held=held)
        if any(verdict.intent_count != len(reading.intents) for verdict in stored.values()):
            # It was another number of intents then: what was said about them stands for the whole record.
            batch.expect(len(stored) - 1)
            for verdict in stored.values():
                self._end_dead(channel, self._endings.stored(record, channel, verdict, None, batch))
            return None
        batch.expect(len(intents) - 1)
        indexes = {intent.intent_index for intent in intents}
        return Work(record, channel, intents, batch, {i: v for i, v in stored.items() if i in indexes}, held)

    # --- conclude -----------------------------------------------------------------------------------------

    def conclude(self, work: Work, rows: Rows, *, lane: Lane = Lane.RECORDS) -> Conclusion:
        """End every intent of ``work``, unless it has to wait or to stand. ``lane``: HOLDS when it waited."""
        endings = self._endings_of(work, rows, wait_over=False)
        if endings is None:
            return Conclusion.WAITS
        if not self._passes(work, endings, lane):
            return Conclusion.STANDS
        self._route(work, endings)
        return Conclusion.ENDED

    def may_go(self, held: HeldRecord, understood: Understood, rows: Rows, given_up: Dead | None) -> bool:
        """Whether the breaker lets ``held`` have the endings of ``let_go``; nothing of them happens here."""
        intents = waiting_intents(understood, held) if isinstance(understood, Reading) else ()
        unread = None if isinstance(understood, Reading) else understood
        stored = self._verdicts.get(held.place, {})
        work = Work(held.record, held.channel, intents, _UNSETTLED, stored, held, unread)
        return self._passes(work, self._endings_after_wait(work, rows, given_up), Lane.HOLDS)

    def let_go(self, work: Work, rows: Rows, given_up: Dead | None) -> None:
        """End every intent of ``work``, whose wait is over; as ``given_up`` says, where that is why."""
        self._route(work, self._endings_after_wait(work, rows, given_up))

    def waits(self, work: Work) -> None:
        """``work`` came and has to wait."""
        self._gate.lived(work.record, work.channel, work.intents[0].source, Lane.RECORDS)

    def _passes(self, work: Work, endings: Sequence[Ending], lane: Lane) -> bool:
        if dead := [ending for ending in endings if type(ending) is DeadIntent]:
            return self._gate.may_die(work.record, work.channel, dead, lane)
        source = work.intents[0].source if work.intents else UNREADABLE_SOURCE
        self._gate.lived(work.record, work.channel, source, lane)
        return True

    def _endings_of(self, work: Work, rows: Rows, *, wait_over: bool) -> list[Ending] | None:
        """How the intents without a verdict end; None when the record has to wait."""
        match work.unread:
            case Fault() as fault:
                return [self._endings.unread(work.record, work.channel, fault, work.batch)]
            case Unreadable() as unreadable:
                return [self._endings.unreadable(work.record, work.channel, unreadable, work.batch)]
        intents = work.undecided
        try:
            resolutions = resolve_record(intents, rows)
        except Exception as error:  # noqa: BLE001 - as in understand
            fault = self._bug(work.record, error, Stage.CONTEXT)
            return [self._faulty(work, intent, fault) for intent in intents]
        if len(intents) == 1 and type(resolutions[0]) is Resolved:  # nearly every record
            return [self._accepted(work, intents[0], resolutions[0])]
        if not wait_over and any(isinstance(resolution, Unknown) for resolution in resolutions):
            return None
        return [
            self._ending(work, intent, resolution)
            for intent, resolution in zip(intents, resolutions, strict=True)
        ]

    def _endings_after_wait(self, work: Work, rows: Rows, given_up: Dead | None) -> list[Ending]:
        if given_up is not None:
            return [self._faulty(work, intent, fault_of(given_up)) for intent in work.undecided]
        return self._endings_of(work, rows, wait_over=True) or []

    def hold(self, work: Work, key: HoldKey, code: Code, rows: Rows, now_ms: int, wait_ms: int) -> None:
        """Let every intent of ``work`` that asks wait, as ``held_record`` says; the others are over."""
        limits = [limit for i in work.asking if (limit := self._endings.decide_by(i)) is not None]
        held = held_record(work, key, code, rows, now_ms, wait_ms)
        if limits:
            held = replace(held, decide_by=min(limits))
        endings: list[Ending] = [self._endings.held(held, work.batch) for _ in held.intents]
        endings += [
            self._endings.skipped(work.record, intent, intent.skipped, work.batch)
            for intent in work.undecided
            if intent.skipped is not None
        ]
        self._route(work, endings)

    def _ending(self, work: Work, intent: Intent, resolution: Resolution) -> Ending:
        match resolution:
            case Resolved():
                return self._accepted(work, intent, resolution)
            case Unknown():
                return self._faulty(work, intent, fault_of(unknown_account(intent)))
            case Skipped():
                return self._endings.skipped(work.record, intent, resolution, work.batch)
            case refused:
                return self._faulty(work, intent, fault_of(refused, Stage.CONTEXT))

    def _accepted(self, work: Work, intent: Intent, resolved: Resolved) -> Ending:
        try:
            framed = self._command(intent, resolved)
        except Exception as error:  # noqa: BLE001 - as in understand
            return self._faulty(work, intent, self._bug(work.record, error, Stage.ENCODE))
        return self._endings.accepted(work.record, intent, framed, work.batch)

    def _route(self, work: Work, endings: Iterable[Ending]) -> None:
        for ending in endings:
            self._metrics.ended(work.channel, _COUNTED_AS[type(ending)])
            self._router.route(ending)
        self._end_stored(work)

    def end_stored(self, work: Work) -> None:
        """Call dead again what was; the other intents of ``work`` wait already, and that is stored."""
        for _ in work.undecided if work.unread is None else (None,):
            work.batch.settle()
        self._end_stored(work)

    def _end_stored(self, work: Work) -> None:
        if not work.stored:
            return
        intents = {intent.intent_index: intent for intent in work.intents}
        for index, verdict in work.stored.items():
            ending = self._endings.stored(work.record, work.channel, verdict, intents[index], work.batch)
            self._end_dead(work.channel, ending)

    def _faulty(self, work: Work, intent: Intent, fault: Fault) -> DeadIntent:
        if work.held is not None:
            fault = replace(fault, attempts=work.held.attempts + 1, first_failed_at=work.held.held_at)
        return self._endings.dead(work.record, intent, fault, work.batch)

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
            action="it becomes a dead letter, or its breaker opens: fix the exception, deploy, replay",
        )
        return fault_of_bug(error, stage)


class _Unsettled:
    """What endings settle that are only looked at."""

    given_up = False

    def expect(self, more: int) -> None:
        """Nothing is counted."""

    def settle(self) -> None:
        """Nothing is counted."""


_UNSETTLED = _Unsettled()


def waiting_intents(reading: Reading, held: HeldRecord) -> tuple[Intent, ...]:
    """The intents that wait in ``held``; all, where the record reads as another number of them by now."""
    if len(reading.intents) != held.intent_count:
        return reading.intents
    return tuple(intent for intent in reading.intents if intent.intent_index in held.intents)


def held_record(work: Work, key: HoldKey, code: Code, rows: Rows, now_ms: int, wait_ms: int) -> HeldRecord:
    """``work`` as a record that waits, because of ``code``; without ``rows`` for all that it refers to."""
    asking = work.asking
    named = dict.fromkeys(ref for intent in asking for ref in references(intent))
    missing = tuple(ref for ref in named if not rows.get(ref))
    first = next((i for i in asking if any(ref in missing for ref in references(i))), asking[0])
    return HeldRecord(
        record=work.record,
        hold_key=key,
        channel=work.channel,
        source=first.source,
        reference=first.reference,
        intents=tuple(intent.intent_index for intent in asking),
        intent_count=first.intent_count,
        cause=dead(code, first.field if code is Code.UNKNOWN_REFERENCE else None),
        waits_for=missing,
        held_at=now_ms,
        next_attempt_at=now_ms + wait_ms,
    )
