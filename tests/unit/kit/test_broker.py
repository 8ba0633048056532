"""Sending a few messages and being sure of them."""

import pytest

from tierline.kit.broker import send_all, send_but_large
from tierline.kit.errors import DeliveryFailed
from tierline.kit.memory_broker import MemoryBroker, MemoryProducer
from tierline.kit.records import Message, Record


class SilentProducer(MemoryProducer):
    """A producer whose broker never answers."""

    def flush(self, timeout: float) -> int:
        return len(self._waiting)


def test_all_messages_are_in_the_log_when_it_returns() -> None:
    """The order of a partition is the order of sending."""
    broker = MemoryBroker(partitions=1)

    send_all(MemoryProducer(broker), [Message("t", b"k", b"1"), Message("t", b"k", b"2")], timeout=1)

    assert [b"1", b"2"] == [r.value for r in broker.records("t")]


def test_a_refused_message_is_an_error() -> None:
    """One refusal among many is told, with the topic and the broker's words."""
    producer = MemoryProducer(MemoryBroker())
    producer.fail_next = ["message too large"]

    with pytest.raises(DeliveryFailed, match="t partition 0: message too large"):
        send_all(producer, [Message("t", b"k", b"1", 0), Message("t", b"k", b"2", 0)], timeout=1)


def test_a_message_that_is_too_large_is_told_apart() -> None:
    """The others are in the log; what to do with it is the caller's choice."""
    broker = MemoryBroker(partitions=1)
    producer = MemoryProducer(broker)
    producer.most_bytes = 3
    messages = [Message("t", None, value) for value in (b"1", b"large", b"2")]

    assert [1] == list(send_but_large(producer, messages, timeout=1))
    assert [b"1", b"2"] == [r.value for r in broker.records("t")]
    with pytest.raises(DeliveryFailed, match="too large"):
        send_all(producer, messages, timeout=1)


def test_silence_is_an_error() -> None:
    """A message that was not acknowledged in time counts as not sent."""
    with pytest.raises(DeliveryFailed, match="1 of 1 records not acknowledged"):
        send_all(SilentProducer(MemoryBroker()), [Message("t", b"k", b"1")], timeout=1)


def test_the_last_header_of_a_name_counts() -> None:
    """Kafka keeps repeated headers; readers agree on the last one."""
    record = Record("t", 0, 0, 0, None, None, (("type", b"old"), ("type", b"new")))

    assert b"new" == record.header("type")
    assert record.header("hash") is None
