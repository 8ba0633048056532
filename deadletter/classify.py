"""The closed set of dead-letter classes: who owns each, whether a replay can help, what people are told."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from tierline.domain.outcome import DeadLetterClass

FINGERPRINT_VERSION = 1
PARKING = frozenset({DeadLetterClass.UNKNOWN_ACCOUNT, DeadLetterClass.DEPENDENCY})
"""The classes that hold a key: what is missing may still come, and its order must be kept until then."""

_LIST_INDEX = re.compile(r"\[\d+\]|(?<=\.)\d+(?=\.|$)")


@dataclass(frozen=True, slots=True)
class ClassText:
    """What one class means.

    ``retryable``: the same bytes can succeed later without being changed. ``customer`` may be shown outside;
    ``next_action`` tells the channel what to do; ``operator`` tells the person on call.
    """

    retryable: bool
    owner: str
    customer: str
    next_action: str
    operator: str


CLASSES: dict[DeadLetterClass, ClassText] = {
    DeadLetterClass.DECODE: ClassText(
        retryable=False,
        owner="channel",
        customer="The order could not be read.",
        next_action="Correct the message and send it again.",
        operator="The bytes are not the channel's format: show the channel's owner the code and the origin.",
    ),
    DeadLetterClass.CONTRACT: ClassText(
        retryable=False,
        owner="channel",
        customer="The order does not follow the agreed format.",
        next_action="Correct the named field and send the order again.",
        operator="The field breaks the contract: show the channel's owner the field and the origin.",
    ),
    DeadLetterClass.UNKNOWN_ACCOUNT: ClassText(
        retryable=True,
        owner="channel",
        customer="The account or subscription is not known.",
        next_action="Check the reference; send the order again when the subscription has been set up.",
        operator="Import the subscription or correct the reference, then replay.",
    ),
    DeadLetterClass.DEPENDENCY: ClassText(
        retryable=True,
        owner="tierline",
        customer="The order could not be processed at the moment.",
        next_action="Nothing to do: we send it through again.",
        operator="Something the order needs was away for too long: restore it, then replay.",
    ),
    DeadLetterClass.BUG: ClassText(
        retryable=True,
        owner="tierline",
        customer="The order could not be processed because of a fault on our side.",
        next_action="Nothing to do: we send it through again.",
        operator="Fix the named exception, deploy, then replay.",
    ),
    DeadLetterClass.OVERSIZE: ClassText(
        retryable=False,
        owner="channel",
        customer="The order is too large.",
        next_action="Split the order and send it again.",
        operator="The record is over the contract limit: ask the channel's owner to split it.",
    ),
}


def fingerprint_of(
    *,
    channel: str | None,
    stage: str,
    dead_letter_class: str,
    code: str,
    field: str | None,
    exception: str | None,
    frame: str | None,
) -> str:
    """The group a dead letter belongs to, as 32 hex digits: the same cause gives the same fingerprint.

    Made of what the cause is, never of a message text, a line number or a place in a list.
    """
    place = place_of(field)
    cause = (channel or "", stage, dead_letter_class, code, exception or "", frame or "", place)
    return hashlib.sha256("\x1f".join(cause).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def place_of(field: str | None) -> str:
    """The path ``field`` without places in lists; empty without a path."""
    return _LIST_INDEX.sub("[]", field) if field else ""
