"""Kafka as the workers see it: a consumer, a producer and a log as ports.

Adapters: ``confluent_broker`` (librdkafka) and ``memory_broker`` (its twin for tests). Topic names have no
prefix here; the adapters add ``settings.kafka.topic_prefix``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tierline.kit.errors import DeliveryFailed
from tierline.kit.records import Message, Record

PartitionsChanged = Callable[[Collection[int]], None]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the broker said about one message: its place, or the error that kept it out.

    ``too_large``: the error is this message's own fault, and permanent.
    """

    topic: str
    partition: int
    offset: int
    error: str | None = None
    too_large: bool = False


Delivered = Callable[[Delivery], None]


class Consumer(Protocol):
    """A member of a consumer group on one topic. Assigned partitions stand still until ``start``."""

    def subscribe(self, topic: str, assigned: PartitionsChanged, revoked: PartitionsChanged) -> None:
        """Join the group. The callbacks run inside ``poll``; a lost partition is revoked too."""

    def poll(self, limit: int, timeout: float) -> Sequence[Record]:
        """Wait up to ``timeout`` seconds for a first record, then take what is there, at most ``limit``."""

    def log_range(self, partition: int) -> tuple[int, int]:
        """First offset in the log and the offset after the last one, asked from the broker."""

    def start(self, partition: int, offset: int) -> None:
        """Read ``partition`` from ``offset`` on."""

    def stop(self, partition: int) -> None:
        """Read nothing of ``partition`` until the next ``start``."""

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Tell Kafka the positions, for lag tools only; never waits, never fails the caller."""

    def lag(self, partition: int, next_offset: int) -> int | None:
        """Records behind the end as last heard from the broker; None when nothing was heard yet."""

    def close(self) -> None: ...


class Producer(Protocol):
    """Sends in order per partition, acknowledged by all in-sync replicas, without doubles of its own."""

    def send(self, message: Message, delivered: Delivered) -> None:
        """Queue ``message``; ``delivered`` is called from a later ``send``, ``serve`` or ``flush``."""

    def serve(self) -> None:
        """Call what is due of the ``delivered`` callbacks; does not wait."""

    def flush(self, timeout: float) -> int:
        """Wait up to ``timeout`` seconds for all answers; returns how many are still missing."""


class Log(Protocol):
    """Reads a stretch of one partition outside any group."""

    def log_range(self, topic: str, partition: int) -> tuple[int, int]: ...

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        """Every record with ``start`` ≤ offset < ``end``. Raises Unavailable when the broker goes silent."""


def send_all(producer: Producer, messages: Collection[Message], timeout: float) -> None:
    """Send ``messages`` and return when each one is acknowledged.

    Raises DeliveryFailed when one is refused or not acknowledged in ``timeout`` seconds; some may have
    arrived then, so whoever sends again must send messages that may repeat.
    """
    _raise_first(send_but_large(producer, messages, timeout).values())


def send_but_large(
    producer: Producer, messages: Collection[Message], timeout: float
) -> Mapping[int, Delivery]:
    """As ``send_all``, but messages that are too large are returned, by index, instead of raised."""
    answers: dict[int, Delivery] = {}
    for number, message in enumerate(messages):
        producer.send(message, partial(answers.__setitem__, number))
    missing = producer.flush(timeout) if messages else 0
    refused = {number: answer for number, answer in answers.items() if answer.error is not None}
    _raise_first(answer for answer in refused.values() if not answer.too_large)
    if missing or len(answers) != len(messages):
        raise DeliveryFailed(f"{len(messages) - len(answers)} of {len(messages)} records not acknowledged")
    return refused


def _raise_first(refused: Iterable[Delivery]) -> None:
    for answer in refused:
        raise DeliveryFailed(f"{answer.topic} partition {answer.partition}: {answer.error}")
