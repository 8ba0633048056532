"""How one order intent leaves intake: exactly one Outcome, and for a dead one a class from a closed set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DeadLetterClass(StrEnum):
    """Why an intent could not become a decision. The class stays the original one for ever."""

    DECODE = "decode"
    CONTRACT = "contract"
    UNKNOWN_ACCOUNT = "unknown_account"
    DEPENDENCY = "dependency"
    BUG = "bug"
    OVERSIZE = "oversize"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The intent became a command."""

    command_id: str


@dataclass(frozen=True, slots=True)
class Dead:
    """The intent cannot be decided: class, stable code, path of the offending field, redacted detail.

    ``code`` is a constant in upper case that never carries payload text; ``detail`` is at most 512 bytes.
    """

    dead_letter_class: DeadLetterClass
    code: str
    field: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Held:
    """The intent waits, in order, for what is missing. ``cause``: what it is called if that never comes."""

    cause: Dead


class SkipReason(StrEnum):
    """Why an intent is let go without a decision. Stable names; never renamed, never reused."""

    DISCARDED = "DISCARDED"
    OPERATION_NOT_IN_PROGRESS = "OPERATION_NOT_IN_PROGRESS"
    ACTION_ASKS_NOTHING = "ACTION_ASKS_NOTHING"


@dataclass(frozen=True, slots=True)
class Skipped:
    """The intent is let go on purpose, and that is stored. ``detail``: the words of whoever decided it,
    or of the contract.
    """

    reason: SkipReason
    detail: str


Outcome = Accepted | Held | Dead | Skipped
