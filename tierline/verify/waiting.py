"""Has the pipeline finished? What every consumer still has before it, from leases and topic ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from confluent_kafka import Consumer, TopicPartition

from schemas.topics import (
    CHANNELS,
    COMMANDS,
    EVENTS,
    NORMALIZER,
    ORDERS,
    PAYMENTS,
    PROJECTOR,
    REPLIES,
    Topic,
    orders_topic,
)

READERS: tuple[tuple[Topic, str], ...] = (
    *((orders_topic(channel), NORMALIZER) for channel in CHANNELS),
    (COMMANDS, ORDERS),
    (EVENTS, PAYMENTS),
    (EVENTS, REPLIES),
    (EVENTS, PROJECTOR),
)
POLL_S = 0.1


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
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "verify-progress"})

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def remaining(self) -> list[Remaining]:
        """What is still to be done, upstream first; empty when all have finished."""
        return [*self._unread(), *self._unpublished()]

    def _unread(self) -> Iterator[Remaining]:
        reached = self._leases("next_offset")
        for topic, consumer in READERS:
            for partition, (low, high) in self._ends(topic).items():
                done = reached.get((consumer, topic.name, partition), low)
                if done < high:
                    yield Remaining(consumer, topic.name, partition, high - done)

    def _unpublished(self) -> Iterator[Remaining]:
        """Positions that the store has and the events topic cannot have yet."""
        stored = self._leases("next_position")
        published = self._leases("published_offset")
        ends = self._ends(EVENTS)
        for (consumer, _, partition), positions in stored.items():
            if consumer != ORDERS or not positions:
                continue
            high = ends[partition][1]
            if high < positions or published[consumer, COMMANDS.name, partition] > high:
                yield Remaining("the store", EVENTS.name, partition, max(positions - high, 1))

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
            p: self._consumer.get_watermark_offsets(TopicPartition(name, p), timeout=10) for p in partitions
        }


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
