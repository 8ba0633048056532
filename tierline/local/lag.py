"""How far every consumer is behind, asked of the servers themselves: leases, ends of topics, and the record
that waits longest. It works on any servers, whoever started the workers."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from tenacity import stop_after_delay

from schemas.topics import READERS
from tierline.kit.retry import BROKER
from tierline.kit.settings import KafkaSettings, Settings

ANSWER_S = 4
READ_S = 3.0

Part = tuple[str, int]
"""Topic (without prefix) and partition."""
Place = tuple[str, str, int]
"""Consumer, topic, partition."""


@dataclass(frozen=True, slots=True)
class Lag:
    """What one consumer still has before it in one topic.

    ``oldest_s``: for how many seconds its oldest record has waited, by the broker's clock; None where none
    waits, or where the broker did not hand it out in time. ``partitions``: how many are behind.
    """

    consumer: str
    topic: str
    records: int = 0
    oldest_s: int | None = None
    partitions: int = 0


def read_lag(settings: Settings) -> tuple[Lag, ...]:
    """Every consumer and topic, upstream first. Raises what psycopg and confluent_kafka raise."""
    ends = _ends(settings.kafka)
    waiting = dict(_waiting(_positions(settings), ends))
    ages = _ages(settings.kafka, waiting, time.time())
    return tuple(_summed(consumer, topic.name, waiting, ends, ages) for topic, consumer in READERS)


def _waiting(
    reached: Mapping[Place, int], ends: Mapping[Part, tuple[int, int]]
) -> Iterator[tuple[Place, int]]:
    """Where each consumer that is behind goes on. Without a lease that is the first record."""
    for topic, consumer in READERS:
        for (name, partition), (first, end) in ends.items():
            position = max(first, reached.get((consumer, name, partition), first))
            if name == topic.name and position < end:
                yield (consumer, name, partition), position


def _summed(
    consumer: str,
    topic: str,
    waiting: Mapping[Place, int],
    ends: Mapping[Part, tuple[int, int]],
    ages: Mapping[Place, int | None],
) -> Lag:
    behind = [place for place in ages if place[:2] == (consumer, topic)]
    known = [age for place in behind if (age := ages[place]) is not None]
    records = sum(ends[place[1:]][1] - waiting[place] for place in behind)
    return Lag(consumer, topic, records, max(known, default=None), len(behind))


def _positions(settings: Settings) -> dict[Place, int]:
    url = settings.database_url.get_secret_value()
    with psycopg.connect(url, connect_timeout=ANSWER_S, application_name="tierline-status") as connection:
        rows = connection.execute("SELECT consumer, topic, partition, next_offset FROM oms.lease").fetchall()
    return {(consumer, topic, partition): offset for consumer, topic, partition, offset in rows}


def _ends(kafka: KafkaSettings) -> dict[Part, tuple[int, int]]:
    """First offset and the one after the last that readers get, of every partition that anybody reads."""
    admin = AdminClient(kafka_client(kafka))
    known = admin.list_topics(timeout=ANSWER_S).topics
    names = {kafka.topic_prefix + topic.name: topic.name for topic, _ in READERS}
    parts = [TopicPartition(wire, p) for wire in names if wire in known for p in known[wire].partitions]
    first, end = (_PATIENTLY(_offsets, admin, parts, spec) for spec in (_EARLIEST, _LATEST))
    return {(names[p.topic], p.partition): (first[p], end[p]) for p in parts}


def _offsets(admin: AdminClient, parts: list[TopicPartition], spec: OffsetSpec) -> dict[TopicPartition, int]:
    if not parts:
        return {}
    answers = admin.list_offsets(
        dict.fromkeys(parts, spec),
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=ANSWER_S,
    )
    return {part: answer.result().offset for part, answer in answers.items()}


def _ages(kafka: KafkaSettings, waiting: Mapping[Place, int], now_s: float) -> dict[Place, int | None]:
    """For how long the record at each place has waited. Where no record follows, the place is left out: what
    lies between it and the end are marks of a producer's transactions, not records."""
    by_consumer: dict[str, dict[Part, int]] = defaultdict(dict)
    for (consumer, topic, partition), offset in waiting.items():
        by_consumer[consumer][topic, partition] = offset
    found: dict[Place, int | None] = {}
    for consumer, places in by_consumer.items():
        for part, timestamp_ms in _first_records(kafka, places).items():
            age = None if timestamp_ms is None else max(0, int(now_s - timestamp_ms / 1000))
            found[consumer, *part] = age
    return found


def _first_records(kafka: KafkaSettings, places: Mapping[Part, int]) -> dict[Part, int | None]:
    """The broker's time of the first record at or after each place, in ms; None: not heard in time."""
    prefix = kafka.topic_prefix
    open_places = dict.fromkeys(places)
    found: dict[Part, int | None] = {}
    deadline = time.monotonic() + READ_S
    with closing(Consumer({**kafka_client(kafka), **_ONE_RECORD})) as consumer:
        consumer.assign([TopicPartition(prefix + t, p, offset) for (t, p), offset in places.items()])
        while open_places and (left := deadline - time.monotonic()) > 0:
            for message in consumer.consume(100, min(left, 0.2)):
                part = ((message.topic() or "").removeprefix(prefix), _partition(message))
                if part in open_places:
                    del open_places[part]
                    if not _is_end(message):
                        found[part] = message.timestamp()[1]
    return found | open_places


_PATIENTLY = BROKER.copy(stop=stop_after_delay(ANSWER_S))
"""A topic that was only just made has no leader for a moment."""
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_ONE_RECORD: Mapping[str, Any] = {
    "group.id": "tierline-status",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "fetch.message.max.bytes": 1024,
    "queued.max.messages.kbytes": 1024,
    "fetch.wait.max.ms": 50,
}


def kafka_client(kafka: KafkaSettings) -> dict[str, Any]:
    """A client that keeps its complaints to itself."""
    return {"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0, "error_cb": lambda _: None}


def _partition(message: Message) -> int:
    partition = message.partition()
    return -1 if partition is None else partition


def _is_end(message: Message) -> bool:
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
        return True
    raise KafkaException(error)
