"""What the samples of all channels have in common: the kinds, the record, and who writes it down."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tierline.workload.accounts import SampleSubscription


class Kind(StrEnum):
    """What a sample record is meant to be."""

    UPGRADE = "upgrade"
    PAIR = "partner order over two subscriptions"
    BROKEN = "broken payload"
    CORRECTED = "broken row, corrected"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown account"
    EARLY = "before its account"
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


@dataclass(frozen=True, slots=True)
class Ask:
    """An order before a channel writes it down: who asks for what, under which reference.

    ``modules`` () keeps those in force.
    """

    reference: str
    sample: SampleSubscription
    plan: str
    seats: int
    kind: Kind
    modules: tuple[str, ...] = ()


class Writer(Protocol):
    """How one channel writes its orders down."""

    def order(self, ask: Ask) -> SampleRecord:
        """The record of an order."""

    def again(self, first: SampleRecord) -> SampleRecord:
        """The same order once more."""

    def broken(self, ask: Ask, rng: random.Random) -> SampleRecord:
        """A record that was meant to be this order and cannot be read."""

    def to_correct(self) -> Ask | None:
        """A broken order that its sender now sends correctly; None where nobody does."""
