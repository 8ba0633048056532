"""Has the pipeline finished? What every consumer still has before it, from leases and topic ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from schemas.topics import COMMANDS, EVENTS, ORDERS, READERS, Topic

POLL_S = 0.1
READ_S = 10.0
PATIENTLY = Retrying(
    retry=retry_if_exception_type(KafkaException),
    wait=wait_fixed(0.1),
    stop=stop_after_delay(15),
    reraise=True,
)
"""A broker that is just starting answers "not the leader" for a moment."""
LOOKED_BACK = 50
_LEAVING = """
SELECT consumer, topic, partition, count(*)
  FROM deadletter.held_record AS held
 WHERE released_at IS NOT NULL
    OR EXISTS (SELECT FROM deadletter.skipped AS s WHERE (s.consumer, s.topic, s.partition, s."offset")
                   = (held.consumer, held.topic, held.partition, held."offset"))
 GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Remaining:
    """Records of one partition that one consumer has not finished."""

    consumer: str
    topic: str
    partition: int
    records: int

    def __str__(self) -> str:
        return f"{self.consumer} has {self.records} records of {self.topic}[{self.partition}] before it"


class ProgressReader:
    """Asks broker and leases how far everybody is."""

    def __init__(self, bootstrap_servers: str, prefix: str, connection: psycopg.Connection[Any]) -> None:
        self._prefix = prefix
        self._connection = connection
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "verify-progress",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
            }
        )
        self._highest: dict[int, tuple[int, int]] = {}

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def remaining(self) -> list[Remaining]:
        """What is still to be done, upstream first; empty when all have finished."""
        return [*self._unread(READERS), *self._on_its_way(), *self._unpublished()]

    def before(self, consumer: str) -> list[Remaining]:
        """What ``consumer`` has not read yet."""
        return [*self._unread([(topic, reader) for topic, reader in READERS if reader == consumer])]

    def _on_its_way(self) -> Iterator[Remaining]:
        """Held records that are being released or discarded: a moment later they are held no more."""
        rows = self._connection.execute(_LEAVING).fetchall()
        self._connection.rollback()
        for consumer, topic, partition, records in rows:
            yield Remaining(consumer, topic, partition, records)

    def _unread(self, readers: Iterable[tuple[Topic, str]]) -> Iterator[Remaining]:
        reached = self._leases("next_offset")
        for topic, consumer in readers:
            for partition, (low, high) in self._ends(topic).items():
                done = reached.get((consumer, topic.name, partition), low)
                if done < high:
                    yield Remaining(consumer, topic.name, partition, high - done)

    def _unpublished(self) -> Iterator[Remaining]:
        """Positions that the store has and that the end of the events topic does not reach."""
        stored = self._leases("next_position")
        for partition, (low, high) in self._ends(EVENTS).items():
            positions = stored.get((ORDERS, COMMANDS.name, partition), 0)
            reached = self._highest_position(partition, low, high) + 1
            if reached < positions:
                yield Remaining("the store", EVENTS.name, partition, positions - reached)

    def _highest_position(self, partition: int, low: int, high: int) -> int:
        """The highest position among the last records: repeats may follow it. -1 where it cannot be told."""
        known = self._highest.get(partition)
        if known is not None and known[0] == high:
            return known[1]
        highest = self._read_highest(partition, low, high)
        if highest is None:
            return -1
        self._highest[partition] = (high, highest)
        return highest

    def _read_highest(self, partition: int, low: int, high: int) -> int | None:
        """None when the broker did not give the records: it may at the next look."""
        start = max(low, high - LOOKED_BACK)
        highest, offset = -1, start - 1
        if start < high:
            self._consumer.assign([TopicPartition(self._prefix + EVENTS.name, partition, start)])
        while offset < high - 1:
            message = self._consumer.poll(READ_S)
            if message is None or message.error() is not None:
                return None
            offset = message.offset() or 0
            highest = max(highest, _position(message))
        return highest

    def _leases(self, column: str) -> dict[tuple[str, str, int], int]:
        rows = self._connection.execute(
            f"SELECT consumer, topic, partition, {column} FROM oms.lease"
        ).fetchall()
        self._connection.rollback()
        return {(consumer, topic, partition): value for consumer, topic, partition, value in rows}

    def _ends(self, topic: Topic) -> dict[int, tuple[int, int]]:
        name = self._prefix + topic.name
        partitions = self._consumer.list_topics(name, timeout=10).topics[name].partitions
        return {
            p: PATIENTLY(self._consumer.get_watermark_offsets, TopicPartition(name, p), timeout=10)
            for p in partitions
        }


def _position(message: Message) -> int:
    """The position that the decider wrote into the headers; -1 for a record that is not its own."""
    for header in message.headers() or ():
        if header[0] == "position" and isinstance(header[1], bytes) and header[1].isdigit():
            return int(header[1])
    return -1


def wait_until_finished(
    progress: ProgressReader, limit_s: float, seen: Callable[[list[Remaining]], None] = lambda _: None
) -> list[Remaining]:
    """Wait until two looks in a row find nothing to do, or ``limit_s`` is over; return what then remains.

    One look is not enough: a payment result may travel back to the commands topic behind the look.
    """
    deadline = time.monotonic() + limit_s
    quiet = 0
    while True:
        remaining = progress.remaining()
        seen(remaining)
        quiet = 0 if remaining else quiet + 1
        if quiet == 2 or time.monotonic() > deadline:
            return remaining
        time.sleep(POLL_S)
