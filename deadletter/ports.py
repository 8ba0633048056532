"""What the router needs from the room that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from deadletter.envelope import DeadLetter
from deadletter.held import HeldRecord, SkippedRow
from deadletter.verdicts import Verdict
from tierline.kit.records import Message


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the broker did not take a message. ``too_large``: it is this message's own fault, and permanent."""

    too_large: bool
    text: str


Answered = Callable[[Refusal | None], None]


class Outlet(Protocol):
    """Sends messages in order per partition; ``answered`` is called once for each, later."""

    def send(self, message: Message, answered: Answered) -> None: ...


class VerdictStore(Protocol):
    """Stores verdicts durably before their dead letters are sent."""

    async def write(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict | None]:
        """What is stored now, in the same order; None where the partition is not this process's any more.

        Waits as long as the store is away.
        """


class Keeper(Protocol):
    """Stores what waits and what was let go, in the transaction that moves the position past it.

    ``settled`` is called when that transaction is put together; if it fails, the process ends.
    """

    def keep(self, held: HeldRecord, settled: Callable[[], None]) -> None:
        """One intent of ``held`` waits. The same value for every intent of the record."""

    def skip(self, row: SkippedRow, settled: Callable[[], None]) -> None:
        """One intent is let go."""


class Answer(Protocol):
    """Makes the reply to the channel of a dead intent; ``reference`` None when it could not be read."""

    def __call__(self, letter: DeadLetter, source: str, reference: str | None) -> Message: ...


class Fail(Protocol):
    """Ends the process at once: an outcome cannot be written, so its record must be delivered again."""

    def __call__(self, reason: str) -> NoReturn: ...
