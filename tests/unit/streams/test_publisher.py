"""Events are published in order, bounded, and a refused one ends the process."""

from __future__ import annotations

from typing import NoReturn

import pytest

from schemas.topics import EVENTS
from streams.deciding.event_store import Published
from streams.publisher import Publisher, event_message
from tierline.kit.memory_broker import MemoryBroker, MemoryProducer


class Ended(Exception):
    """The process would have ended."""


def end(reason: str) -> NoReturn:
    raise Ended(reason)


def event(position: int, partition: int = 0) -> Published:
    return Published(partition, position, "acc_1", "OrderReceived", bytes([position]) * 32, b"value")


class Slow(MemoryProducer):
    """Answers only when it is flushed, and counts how often that was."""

    flushed = 0

    def serve(self) -> None:
        return

    def flush(self, timeout: float) -> int:
        self.flushed += 1
        super().serve()
        return 0


def test_a_record_carries_the_stored_bytes_their_position_and_their_hash() -> None:
    """Readers prove completeness from the headers without decoding the value."""
    message = event_message(event(7, partition=3))

    assert (EVENTS.name, b"acc_1", b"value", 3) == (
        message.topic,
        message.key,
        message.value,
        message.partition,
    )
    assert (("type", b"OrderReceived"), ("position", b"7"), ("hash", b"\x07" * 32)) == message.headers


def test_the_last_acknowledged_offset_is_known_per_partition() -> None:
    """The lease may move up to what the broker has said yes to, and no further."""
    publisher = Publisher(MemoryProducer(MemoryBroker()), end)
    assert publisher.acknowledged(0) is None

    publisher.publish([event(0), event(1), event(0, partition=2)])

    assert (1, 0, None) == tuple(publisher.acknowledged(p) for p in (0, 2, 1))


def test_publishing_waits_while_too_much_is_unanswered() -> None:
    """Memory stays bounded when the broker is slower than the decisions."""
    producer = Slow(MemoryBroker())

    Publisher(producer, end, max_in_flight=2).publish([event(n) for n in range(5)])

    assert 2 == producer.flushed


def test_a_refused_event_ends_the_process() -> None:
    """What is stored but not published is published by whoever takes the partition next."""
    producer = MemoryProducer(MemoryBroker())
    producer.fail_next = ["timed out"]

    with pytest.raises(Ended, match="timed out"):
        Publisher(producer, end).publish([event(0)])
