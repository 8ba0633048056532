"""Publishes OpenSubscription commands for the lines of a file and waits for the decider's answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from schemas.topics import COMMANDS
from tierline.domain.commands import Command
from tierline.kit.broker import Producer, send_all
from tierline.kit.clock import Clock
from tierline.kit.database import Connection
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Message

SEND_S = 30.0
POLL_S = 0.05

_OPENED = """
SELECT command_id::text, encode(digest, 'hex') FROM oms.command_claim
WHERE outcome = 'opened' AND command_id = ANY(%s::uuid[])
"""
_ANSWERED = """
SELECT origin.origin_offset, claim.outcome, claim.reasons
FROM oms.command_origin AS origin JOIN oms.command_claim AS claim USING (command_id, attempt)
WHERE origin.origin_topic = %s AND origin.command_id = ANY(%s::uuid[])
"""


@dataclass(slots=True)
class ImportResult:
    """What became of the lines. ``rejected``: line number and reason codes; ``unanswered``: line numbers."""

    opened: int = 0
    already_there: int = 0
    rejected: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    unanswered: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Importer:
    """Sends commands and collects answers; a line that was imported before is left alone."""

    producer: Producer
    connection: Connection
    encode: Callable[[Command], bytes]
    partitions: int
    clock: Clock

    def run(
        self, commands: Sequence[Command], wait_s: float, seen: Callable[[int], None] = lambda _: None
    ) -> ImportResult:
        """Publish what is new and wait up to ``wait_s`` seconds for all answers.

        ``seen`` hears how many lines are settled. Lines without an answer in time are listed: look
        whether the orders worker runs (``tierline status``), then import the file again.
        """
        result = ImportResult()
        fresh = self._without_known(commands, result)
        send_all(self.producer, [self._message(command) for command in fresh], SEND_S)
        open_lines = {command.origin.offset for command in fresh}
        deadline = self.clock.now_ms() + wait_s * 1000
        while open_lines and self.clock.now_ms() < deadline:
            self._settle(fresh, open_lines, result)
            seen(len(commands) - len(open_lines))
            if open_lines:
                self.clock.sleep(POLL_S)
        result.unanswered = sorted(open_lines)
        return result

    def _settle(self, commands: Sequence[Command], open_lines: set[int], result: ImportResult) -> None:
        """Take the lines that have an answer by now out of ``open_lines``."""
        opened = self._opened(commands)
        for line, outcome, reasons in self._answers(commands):
            if line in open_lines:
                open_lines.remove(line)
                _count(result, line, outcome, reasons)
        # Asked for before the answers: whoever is opened and has none was opened by another line or file.
        for command in commands:
            if command.origin.offset in open_lines and (command.command_id, command.digest) in opened:
                open_lines.remove(command.origin.offset)
                result.already_there += 1

    def _opened(self, commands: Sequence[Command]) -> set[tuple[str, str]]:
        """Command id and digest of those among ``commands`` that were opened with this very content."""
        rows = self.connection.execute(_OPENED, ([c.command_id for c in commands],)).fetchall()
        self.connection.rollback()
        return set(rows)

    def _without_known(self, commands: Sequence[Command], result: ImportResult) -> list[Command]:
        known = self._opened(commands)
        fresh = [c for c in commands if (c.command_id, c.digest) not in known]
        result.already_there = len(commands) - len(fresh)
        return fresh

    def _answers(self, commands: Sequence[Command]) -> list[tuple[int, str, list[str]]]:
        topic = commands[0].origin.topic
        rows = self.connection.execute(_ANSWERED, (topic, [c.command_id for c in commands])).fetchall()
        self.connection.rollback()
        return rows

    def _message(self, command: Command) -> Message:
        return Message(
            topic=COMMANDS.name,
            key=command.account_id.encode(),
            value=self.encode(command),
            partition=partition_of(command.account_id, self.partitions),
            headers=(("type", command.type.encode()),),
        )


def _count(result: ImportResult, line: int, outcome: str, reasons: Sequence[str]) -> None:
    if outcome == "opened":
        result.opened += 1
    else:
        result.rejected.append((line, tuple(reasons)))
