"""The only place where an outcome becomes effects.

    Accepted   its command is sent
    Held       its record is stored with the position; then the channel is told once
    Dead       the verdict is stored, then the dead letter and the reply to the channel are sent
    Skipped    the reason is stored with the position

An ending is settled when everything it caused is acknowledged; only then may the position of its record move.
What the broker refuses because of the message itself becomes a dead letter; any other refusal ends the
process, and the record is delivered again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import assert_never

import msgspec
import structlog

from deadletter.envelope import DeadLetter, Stage, dead_letter_message, dead_letter_without_value
from deadletter.held import HeldRecord, SkippedRow
from deadletter.ports import Answer, Fail, Keeper, Outlet, Refusal, VerdictStore
from deadletter.verdicts import Verdict
from tierline.domain.outcome import Accepted, Dead, DeadLetterClass, Held, Skipped
from tierline.kit.crash_points import reached
from tierline.kit.records import Message
from tierline.kit.telemetry import Metrics

_VERDICTS_AT_ONCE = 500

_log = structlog.get_logger(__name__)


class AcceptedIntent(msgspec.Struct, frozen=True):
    """An intent that became ``command``. ``dead`` makes its dead letter, should the command be refused.

    A Struct, not a dataclass: one is made for every record.
    """

    outcome: Accepted
    command: Message
    dead: Callable[[Dead, Stage], DeadIntent]
    settled: Callable[[], None]


@dataclass(frozen=True, slots=True)
class DeadIntent:
    """An intent that cannot be decided. ``reference`` None: it could not be read."""

    outcome: Dead
    letter: DeadLetter
    source: str
    reference: str | None
    settled: Callable[[], None]


@dataclass(frozen=True, slots=True)
class HeldIntent:
    """An intent that waits with its record."""

    outcome: Held
    held: HeldRecord
    settled: Callable[[], None]


@dataclass(frozen=True, slots=True)
class SkippedIntent:
    """An intent that is let go on purpose."""

    outcome: Skipped
    row: SkippedRow
    settled: Callable[[], None]


Ending = AcceptedIntent | HeldIntent | DeadIntent | SkippedIntent


class Router:
    """Turns endings into effects, in the order they come; ``run`` buries the dead ones in the background."""

    def __init__(
        self,
        *,
        outlet: Outlet,
        verdicts: VerdictStore,
        keeper: Keeper,
        answer: Answer,
        fail: Fail,
        metrics: Metrics,
    ) -> None:
        self._outlet = outlet
        self._keeper = keeper
        self._verdicts = verdicts
        self._answer = answer
        self._fail = fail
        self._metrics = metrics
        self._dead: deque[DeadIntent] = deque()
        self._burying = 0
        self._woken = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Dead intents whose dead letter is not on its way yet."""
        return len(self._dead) + self._burying

    def route(self, ending: Ending) -> None:
        """Begin the effects of ``ending``; ``ending.settled`` is called when all of them are safe."""
        match ending:
            case AcceptedIntent():
                self._outlet.send(ending.command, partial(self._command_answered, ending))
            case DeadIntent():
                self._dead.append(ending)
                self._woken.set()
            case HeldIntent():
                self._keeper.keep(ending.held, ending.settled)
            case SkippedIntent():
                self._keeper.skip(ending.row, ending.settled)
            case _:
                assert_never(ending)

    def tell(self, replies: Sequence[Message], told: Callable[[], None]) -> None:
        """Send ``replies``, at least one; ``told`` is called when all are acknowledged."""
        unanswered = len(replies)

        def answered() -> None:
            nonlocal unanswered
            unanswered -= 1
            if unanswered == 0:
                told()

        for reply in replies:
            self._outlet.send(reply, partial(self._reply_answered, answered))

    async def run(self) -> None:
        """Store verdicts and send dead letters until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._dead:
                taken = [self._dead.popleft() for _ in range(min(len(self._dead), _VERDICTS_AT_ONCE))]
                self._burying = len(taken)
                await self._bury(taken)
                self._burying = 0

    def forget(self) -> None:
        """Drop what waits: its partitions are given up and their records will be delivered again."""
        self._dead.clear()

    async def _bury(self, taken: list[DeadIntent]) -> None:
        stored = await self._verdicts.write([_verdict(intent.letter) for intent in taken])
        reached("normalizer.after_verdict")
        for intent, verdict in zip(taken, stored, strict=True):
            if verdict is not None:
                self._send(_as_stored(intent, verdict))

    def _send(self, intent: DeadIntent) -> None:
        unanswered = 2

        def answered() -> None:
            nonlocal unanswered
            unanswered -= 1
            if unanswered == 0:
                self._buried(intent)

        self._outlet.send(
            dead_letter_message(intent.letter), partial(self._letter_answered, intent, answered)
        )
        reply = self._answer(intent.letter, intent.source, intent.reference)
        self._outlet.send(reply, partial(self._reply_answered, answered))

    def _buried(self, intent: DeadIntent) -> None:
        letter = intent.letter
        reached("normalizer.after_dead_letter")
        self._metrics.dead_letters.labels(letter.channel or "", letter.dead.dead_letter_class).inc()
        _log.warning(
            "dead_letter",
            dead_letter_id=letter.id,
            channel=letter.channel,
            dead_letter_class=str(letter.dead.dead_letter_class),
            code=letter.dead.code,
            field=letter.dead.field,
            exception=letter.exception,
            fingerprint=letter.fingerprint,
            topic=letter.origin.topic,
            partition=letter.origin.partition,
            offset=letter.origin.offset,
            intent_index=letter.intent_index,
        )
        intent.settled()

    def _command_answered(self, intent: AcceptedIntent, refusal: Refusal | None) -> None:
        if refusal is None:
            intent.settled()
        elif refusal.too_large:
            dead = Dead(
                DeadLetterClass.OVERSIZE, "COMMAND_TOO_LARGE", None, "the command is over the broker's limit"
            )
            self.route(intent.dead(dead, Stage.PRODUCE))
        else:
            self._fail(f"a command was not taken: {refusal.text}")

    def _letter_answered(
        self, intent: DeadIntent, answered: Callable[[], None], refusal: Refusal | None
    ) -> None:
        if refusal is None:
            answered()
        elif refusal.too_large:
            self._outlet.send(
                dead_letter_without_value(intent.letter), partial(self._stand_in_answered, answered)
            )
        else:
            self._fail(f"a dead letter was not taken: {refusal.text}")

    def _stand_in_answered(self, answered: Callable[[], None], refusal: Refusal | None) -> None:
        if refusal is not None:
            self._fail(f"a dead letter was not taken: {refusal.text}")
        answered()

    def _reply_answered(self, answered: Callable[[], None], refusal: Refusal | None) -> None:
        if refusal is not None:
            self._fail(f"a reply was not taken: {refusal.text}")
        answered()


def _verdict(letter: DeadLetter) -> Verdict:
    origin = letter.origin
    return Verdict(
        letter.id,
        letter.group,
        origin.topic,
        origin.partition,
        origin.offset,
        letter.intent_index,
        letter.intent_count,
        letter.dead,
    )


def _as_stored(intent: DeadIntent, verdict: Verdict) -> DeadIntent:
    """``intent`` with the class, code and place of the first verdict on it, which is the one that counts."""
    if verdict.dead == intent.letter.dead:
        return intent
    letter = replace(intent.letter, dead=verdict.dead, intent_count=verdict.intent_count)
    return replace(intent, outcome=verdict.dead, letter=letter)
