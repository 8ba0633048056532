"""Whether the events topic and the event store tell the same story about a partition.

The store is written first, so it may be ahead. The topic can only be ahead, or carry other bytes, when the
database went back in time: then nobody may write before a person has looked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from schemas.topics import EVENTS
from tierline.kit.broker import Log
from tierline.kit.leases import Lease
from tierline.kit.records import Record

RESTORE = (
    "stop the orders workers, run `tierline recover`, which gives the store what the topic has, and start"
    " them again; the topic is the record of what was published"
)


@dataclass(frozen=True, slots=True)
class InStep:
    """Store and topic agree; events from ``next_position`` on are still to be published.

    ``published_offset`` is the offset of the last one that is, None when none is.
    """

    next_position: int
    published_offset: int | None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Store and topic contradict each other; ``reason`` names both sides."""

    reason: str


def compare(log: Log, lease: Lease, hash_at: Callable[[int], bytes | None]) -> InStep | Disagreement:
    """Compare the end of the topic with the store. ``hash_at`` gives the stored hash at a position.

    Reads the topic from the last event known to be published. The highest position counts: repeats of
    earlier ones may follow it.
    """
    last_stored = lease.next_position - 1
    if last_stored >= 0 and hash_at(last_stored) != lease.chain_hash:
        return Disagreement(f"the store's event {last_stored} is not the one that the lease ends with")
    first, end = log.log_range(EVENTS.name, lease.partition)
    start = max(first, lease.published_offset)
    if lease.published_offset > 0 and lease.published_offset >= end:
        return Disagreement(
            f"event record {lease.published_offset} was acknowledged, but the topic ends at {end}"
        )
    highest = _highest(log.read(EVENTS.name, lease.partition, start, end))
    if highest is None:
        return InStep(0, None)
    position, offset, link = highest
    if position > last_stored:
        return Disagreement(f"the topic has event {position}, the store ends with {last_stored}")
    if hash_at(position) != link:
        return Disagreement(f"event {position} in the topic has other bytes than in the store")
    return InStep(position + 1, offset)


def _highest(records: Iterable[Record]) -> tuple[int, int, bytes] | None:
    """Position, offset and hash of the record with the highest position."""
    highest: tuple[int, int, bytes] | None = None
    for record in records:
        position = int(record.header("position") or b"-1")
        if highest is None or position > highest[0]:
            highest = (position, record.offset, record.header("hash") or b"")
    return highest
