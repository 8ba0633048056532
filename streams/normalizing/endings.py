"""How an intent ends at the normalizer: the value that the router turns into effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from deadletter.classify import PARKING
from deadletter.envelope import DeadLetter, Stage
from deadletter.held import HeldRecord, SkippedRow, place_of
from deadletter.router import AcceptedIntent, DeadIntent, HeldIntent, SkippedIntent
from deadletter.verdicts import Verdict
from schemas.topics import COMMANDS, NORMALIZER
from streams.normalizing.normalize import TYPE, Framed
from streams.normalizing.progress import Settling
from streams.reading.headers import UNREADABLE_SOURCE
from streams.reading.intent import Intent, Unreadable
from tierline.domain.commands import Origin
from tierline.domain.outcome import Accepted, Dead, DeadLetterClass, Held, Skipped
from tierline.kit.faults import own_function
from tierline.kit.records import Message, Record

_STAGES = {
    DeadLetterClass.DECODE: Stage.DECODE,
    DeadLetterClass.OVERSIZE: Stage.DECODE,
    DeadLetterClass.CONTRACT: Stage.CONTRACT,
    DeadLetterClass.UNKNOWN_ACCOUNT: Stage.CONTEXT,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A dead outcome with what is known about its cause, for the headers of the dead letter.

    ``attempts`` and ``first_failed_at`` (ms; None: just now) are those of an intent that was held.
    """

    dead: Dead
    stage: Stage
    exhausted: bool = False
    exception: str | None = None
    frame: str | None = None
    attempts: int = 1
    first_failed_at: int | None = None


def fault_of(dead: Dead, stage: Stage | None = None) -> Fault:
    """``dead`` at ``stage``; None: the stage where its class is usually found."""
    exhausted = dead.dead_letter_class in PARKING
    return Fault(dead, stage or _STAGES.get(dead.dead_letter_class, Stage.CONTEXT), exhausted)


def fault_of_bug(error: Exception, stage: Stage) -> Fault:
    """An exception where the code promises none. Its text may quote the payload, so it is left out."""
    dead = Dead(DeadLetterClass.BUG, "UNEXPECTED_ERROR", None, f"{type(error).__name__} at stage {stage}")
    return Fault(dead, stage, exception=type(error).__qualname__, frame=own_function(error))


class Endings:
    """Makes the endings of intents of one release; ``now_ms`` is the wall clock.

    ``decide_within_ms``: how soon an order must be decided where the channel takes silence for a yes.
    """

    def __init__(self, *, app_version: str, now_ms: Callable[[], int], decide_within_ms: int) -> None:
        self._app_version = app_version
        self._now_ms = now_ms
        self._decide_within_ms = decide_within_ms

    def decide_by(self, intent: Intent | None) -> int | None:
        """Until when a refusal of ``intent`` counts (ms); None where its channel waits for the answer."""
        if intent is None or intent.due_from is None:
            return None
        return intent.due_from + self._decide_within_ms

    def accepted(self, record: Record, intent: Intent, framed: Framed, batch: Settling) -> AcceptedIntent:
        """``intent`` became the command ``framed``."""
        command = Message(COMMANDS.name, framed.key, framed.value, framed.partition, ((TYPE, framed.type),))
        return AcceptedIntent(
            Accepted(framed.command_id),
            command,
            partial(self._refused, record, intent, framed.command_id, batch),
            batch.settle,
        )

    def dead(self, record: Record, intent: Intent, fault: Fault, batch: Settling) -> DeadIntent:
        """``intent`` was read and cannot be decided."""
        letter = self._letter(
            record, intent.channel, intent.source, fault, intent.intent_index, intent.intent_count
        )
        letter = replace(letter, decide_by=self.decide_by(intent))
        return DeadIntent(fault.dead, letter, intent.source, intent.reference, batch.settle)

    def held(self, held: HeldRecord, batch: Settling) -> HeldIntent:
        """One intent of ``held`` waits."""
        return HeldIntent(Held(held.cause), held, batch.settle)

    def skipped(self, record: Record, intent: Intent, skipped: Skipped, batch: Settling) -> SkippedIntent:
        """``intent`` asks for nothing."""
        row = SkippedRow(
            place_of(record), intent.intent_index, intent.intent_count, skipped.reason, skipped.detail
        )
        return SkippedIntent(skipped, row, batch.settle)

    def unreadable(self, record: Record, channel: str, unreadable: Unreadable, batch: Settling) -> DeadIntent:
        """The record was not understood: one dead intent, 0 of 1."""
        letter = self._letter(record, channel, unreadable.source, fault_of(unreadable.dead), 0, 1)
        return DeadIntent(unreadable.dead, letter, unreadable.source, unreadable.reference, batch.settle)

    def unread(self, record: Record, channel: str, fault: Fault, batch: Settling) -> DeadIntent:
        """Reading the record met a bug: one dead intent, 0 of 1, of which nothing is known."""
        letter = self._letter(record, channel, UNREADABLE_SOURCE, fault, 0, 1)
        return DeadIntent(fault.dead, letter, UNREADABLE_SOURCE, None, batch.settle)

    def stored(
        self, record: Record, channel: str, verdict: Verdict, intent: Intent | None, batch: Settling
    ) -> DeadIntent:
        """The intent was called dead at an earlier delivery of its record, so it is."""
        source = UNREADABLE_SOURCE if intent is None else intent.source
        letter = self._letter(
            record, channel, source, fault_of(verdict.dead), verdict.intent_index, verdict.intent_count
        )
        letter = replace(letter, decide_by=self.decide_by(intent))
        reference = None if intent is None else intent.reference
        return DeadIntent(verdict.dead, letter, source, reference, batch.settle)

    def _refused(
        self, record: Record, intent: Intent, command_id: str, batch: Settling, dead: Dead, stage: Stage
    ) -> DeadIntent:
        ending = self.dead(record, intent, fault_of(dead, stage), batch)
        return replace(ending, letter=replace(ending.letter, command_id=command_id))

    def _letter(
        self, record: Record, channel: str, source: str, fault: Fault, index: int, count: int
    ) -> DeadLetter:
        now = self._now_ms()
        return DeadLetter(
            group=NORMALIZER,
            record=record,
            origin=Origin(record.topic, record.partition, record.offset),
            intent_index=index,
            intent_count=count,
            channel=channel,
            source=None if source == UNREADABLE_SOURCE else source,
            dead=fault.dead,
            stage=fault.stage,
            app_version=self._app_version,
            failed_at=now if fault.first_failed_at is None else fault.first_failed_at,
            last_failed_at=now,
            attempts=fault.attempts,
            received_at=record.timestamp_ms,
            exhausted=fault.exhausted,
            exception=fault.exception,
            frame=fault.frame,
        )
