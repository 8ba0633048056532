"""What the router needs from the room that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from deadletter.envelope import DeadLetter
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


class Answer(Protocol):
    """Makes the reply to the channel of a dead intent; ``reference`` None when it could not be read."""

    def __call__(self, letter: DeadLetter, source: str, reference: str | None) -> Message: ...


class Fail(Protocol):
    """Ends the process at once: an outcome cannot be written, so its record must be delivered again."""

    def __call__(self, reason: str) -> NoReturn: ...
