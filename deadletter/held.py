"""What waits, as values: held records, their keys, and what one transaction changes about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tierline.domain.outcome import Dead, SkipReason
from tierline.kit.records import Record

HoldKey = tuple[str, int, bytes | str]
"""Topic, partition and the record key; or, as text, the reference that stands for a key."""

RecordPlace = tuple[str, int, int]
"""Topic, partition and offset of a record."""


def place_of(record: Record) -> RecordPlace:
    """Where ``record`` stands."""
    return record.topic, record.partition, record.offset


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """A record that waits, with the intents of it that do. Instants in ms.

    ``cause`` is what its intents are called when the wait is over; ``waits_for`` are the references that
    nobody knew. ``begun``: it was let go once, and a command of it may have been sent. ``discarded``: a
    person took it out, and the channel is still to be told. ``decide_by``: until when a refusal counts, where
    the channel takes silence for a yes.
    """

    record: Record
    hold_key: HoldKey
    channel: str
    source: str
    reference: str | None
    intents: tuple[int, ...]
    intent_count: int
    cause: Dead
    waits_for: tuple[str, ...]
    held_at: int
    next_attempt_at: int
    attempts: int = 0
    begun: bool = False
    discarded: bool = False
    decide_by: int | None = None

    @property
    def place(self) -> RecordPlace:
        return place_of(self.record)


@dataclass(frozen=True, slots=True)
class StoredHold:
    """A key as it is stored: ``records`` wait, ``head`` (without its bytes) first. ``begun``: see there."""

    key: HoldKey
    channel: str
    parked: bool
    records: int
    head: HeldRecord | None
    begun: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """A head was tried and waits on."""

    place: RecordPlace
    attempts: int
    next_attempt_at: int


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """One row of ``deadletter.skipped``."""

    place: RecordPlace
    intent_index: int
    intent_count: int
    reason: SkipReason
    detail: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked of a hold: ``release`` it, or ``discard`` its head or the record at ``offset``."""

    id: str
    key: HoldKey | None
    hold_id: str
    action: str
    offset: int | None
    reason: str


@dataclass(slots=True)
class HoldChanges:
    """What one transaction writes."""

    held: list[HeldRecord] = field(default_factory=list)
    skipped: list[SkippedRow] = field(default_factory=list)
    told: list[RecordPlace] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    removed: list[RecordPlace] = field(default_factory=list)
    parked: dict[HoldKey, int | None] = field(default_factory=dict)
    """Keys that wait for a person, with the offset of the dead head they wait behind; None: they go on."""
    done: list[tuple[str, str]] = field(default_factory=list)
    then: list[Callable[[], None]] = field(default_factory=list)
    """What is done when it is durable."""

    def __bool__(self) -> bool:
        return any((self.held, self.skipped, self.told, self.attempts, self.removed, self.parked, self.done))

    def places(self) -> set[tuple[str, int]]:
        """The partitions whose leases must be held for it."""
        records = (
            *(h.place for h in self.held),
            *(s.place for s in self.skipped),
            *self.told,
            *(a.place for a in self.attempts),
            *self.removed,
        )
        return {place[:2] for place in records} | {key[:2] for key in self.parked}
