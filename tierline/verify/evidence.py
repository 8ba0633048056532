"""What the checker looks at, as plain values: read once, judged by pure functions in ``invariants``.

Nothing of Tierline is imported here but ``schemas``: the checker shares no code with what it checks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Where a record stands in Kafka; ``topic`` without the prefix."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True, order=True)
class Intent:
    """One order intent of one record."""

    place: Place
    index: int

    def __str__(self) -> str:
        return f"{self.place} intent {self.index}"


@dataclass(frozen=True, slots=True)
class TopicEvent:
    """One record of ``oms.events.v1`` as it stands in Kafka."""

    place: Place
    position: int
    hash_header: bytes
    type_header: str
    value: bytes
    envelope: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One row of ``oms.event``."""

    partition: int
    position: int
    stream_id: str
    version: int
    hash: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead-letter record: what it is about, and the bytes it keeps."""

    place: Place
    id: str
    source: Place
    intent: Intent
    intent_count: int
    dead_letter_class: str
    code: str
    key: bytes | None
    value: bytes | None
    value_sha256: bytes | None = None
    """Of a record that was too large to copy: what stands in for its value."""


@dataclass(frozen=True, slots=True)
class KeptDeadLetter:
    """One row of ``deadletter.record``; ``closed_as`` None while it is open."""

    id: str
    intent: Intent
    key: bytes | None
    value: bytes | None
    value_sha256: bytes | None
    closed_as: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record that a channel published."""

    place: Place
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A signed checkpoint as it was found; ``where`` says at which place, for people."""

    where: str
    note: str


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """One row of ``deadletter.held_record``: the intents of a record that wait, and the bytes it keeps."""

    place: Place
    intents: tuple[int, ...]
    intent_count: int
    dead_letter_class: str
    code: str
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class SkippedIntent:
    """One row of ``deadletter.skipped``."""

    intent: Intent
    intent_count: int
    reason: str


@dataclass(frozen=True, slots=True)
class ClientOrder:
    """What a client's own log says about one record that it published; ``where``: file and line.

    ``state``: ``ok`` with its place, ``failed`` (the broker refused it, or did not answer in time) or
    ``unknown`` (the client ended before it heard).
    """

    where: str
    topic: str
    key: bytes | None
    sha256: bytes
    intents: int
    state: str = "unknown"
    place: Place | None = None

    def __str__(self) -> str:
        return f"{self.where} ({self.topic}, {self.state})"


@dataclass(slots=True)
class Evidence:
    """Everything that was read, with the table rows of the read models as dictionaries by column."""

    raw: Sequence[RawRecord] = ()
    commands: Mapping[Place, RawRecord] = field(default_factory=dict)
    topic: Sequence[TopicEvent] = ()
    store: Sequence[StoredEvent] = ()
    dead_letters: Sequence[DeadLetter] = ()
    held: Sequence[HeldRecord] = ()
    skipped: Sequence[SkippedIntent] = ()
    kept: Mapping[str, KeptDeadLetter] = field(default_factory=dict)
    captures: Mapping[str, int] = field(default_factory=dict)
    read_models: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    checkpoints: Sequence[SignedNote] = ()
    client_orders: Sequence[ClientOrder] = ()


class Harm(StrEnum):
    """What befell an order where an invariant is broken, for those that say it."""

    LOST = "lost"
    TWICE = "twice"
    OUT_OF_ORDER = "out of order"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one invariant says: how many things were checked, how many broke it, the first that did.

    ``harm``: what befell each one that broke it, None where that is neither of these.
    """

    invariant: str
    checked: int
    broken: int
    first: str | None
    harm: Harm | None = None

    @property
    def holds(self) -> bool:
        """True where nothing broke the invariant."""
        return self.broken == 0
