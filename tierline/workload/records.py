"""What the samples of all channels have in common: what a record is meant to be, and the record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a sample record is meant to be."""

    UPGRADE = "upgrade"
    PAIR = "partner order over two subscriptions"
    BROKEN = "broken payload"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown account"
    INELIGIBLE = "ineligible"
    SUPERSEDE = "superseded by the next"
    CONFLICT = "conflict between channels"
    STANDING = "change of standing"
    LATE = "late webhook"


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """One record to publish: channel, key, value, headers, and how many intents it carries."""

    channel: str
    key: str | None
    value: bytes
    intents: int
    kind: Kind
    headers: tuple[tuple[str, bytes], ...] = ()
