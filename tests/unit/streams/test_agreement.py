"""Topic and store are compared before a partition is written: who is ahead, and do the bytes agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from schemas.topics import EVENTS
from streams.deciding.agreement import Disagreement, InStep, compare
from tierline.kit.leases import Lease
from tierline.kit.memory_broker import MemoryBroker
from tierline.kit.records import Message, Record


def link(position: int) -> bytes:
    return bytes([position]) * 32


def topic(*positions: int, other: int | None = None) -> MemoryBroker:
    """The events topic holding these positions in this order; ``other`` carries another hash."""
    broker = MemoryBroker(1)
    for position in positions:
        hash_ = b"x" * 32 if position == other else link(position)
        headers = (("type", b"T"), ("position", str(position).encode()), ("hash", hash_))
        broker.append(Message(EVENTS.name, b"k", b"v", 0, headers))
    return broker


def lease(events: int, published_offset: int = 0) -> Lease:
    """A lease whose store holds ``events`` events."""
    last = link(events - 1) if events else bytes(32)
    return Lease("c", "t", 0, 1, UUID(int=0), 0, events, last, published_offset)


def stored(events: int) -> Callable[[int], bytes | None]:
    return lambda position: link(position) if position < events else None


def test_a_new_partition_is_in_step() -> None:
    """Nothing stored, nothing published."""
    assert InStep(0, None) == compare(topic(), lease(0), stored(0))


def test_a_store_that_is_ahead_publishes_the_rest() -> None:
    """A crash between commit and publish leaves the end of the store unpublished."""
    assert InStep(3, 2) == compare(topic(0, 1, 2), lease(5), stored(5))


def test_nothing_published_yet_publishes_all() -> None:
    """The first crash may come before the first record."""
    assert InStep(0, None) == compare(topic(), lease(5), stored(5))


def test_the_highest_position_counts_although_repeats_follow_it() -> None:
    """A former holder may have sent earlier events once more."""
    assert InStep(4, 3) == compare(topic(0, 1, 2, 3, 1, 2), lease(4), stored(4))


def test_the_topic_is_read_from_the_last_acknowledged_record() -> None:
    """What is known to be published is not read again, so a long log is taken as fast as a short one."""
    read: list[tuple[int, int]] = []

    class Noted(MemoryBroker):
        def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
            read.append((start, end))
            return super().read(topic, partition, start, end)

    broker = Noted(1)
    broker.logs = topic(0, 1, 2, 3).logs

    assert InStep(4, 3) == compare(broker, lease(4, published_offset=2), stored(4))
    assert [(2, 4)] == read


@pytest.mark.parametrize(
    ("broker", "held", "reason"),
    [
        (topic(0, 1, 2), lease(2), "the topic has event 2, the store ends with 1"),
        (topic(0), lease(0), "the topic has event 0, the store ends with -1"),
        (topic(0, 1, 2, other=2), lease(4), "event 2 in the topic has other bytes"),
        (topic(0, 1), lease(4, published_offset=3), "record 3 was acknowledged, but the topic ends at 2"),
    ],
)
def test_a_topic_that_knows_more_or_other_events_is_a_disagreement(
    broker: MemoryBroker, held: Lease, reason: str
) -> None:
    """The database went back in time, or the topic did: nobody writes before a person has looked."""
    found = compare(broker, held, stored(held.next_position))

    assert isinstance(found, Disagreement)
    assert reason in found.reason


def test_a_lease_that_does_not_end_where_the_store_does_is_a_disagreement() -> None:
    """Lease and events are written together, so they can only differ after somebody changed one."""
    assert isinstance(compare(topic(), lease(3), stored(2)), Disagreement)
