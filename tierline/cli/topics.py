"""``tierline topics``: what is declared, what exists, how much is in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from tierline.cli.options import Data, Json

if TYPE_CHECKING:
    from schemas.topics import Topic
    from tierline.kit.settings import Settings

ANSWER_TIMEOUT_S = 5
DAY_MS = 24 * 60 * 60 * 1000
KIB = 1024


@dataclass(frozen=True, slots=True)
class TopicRow:
    """One declared topic beside what the cluster has. ``messages`` counts offsets: compaction is not seen."""

    name: str
    partitions: int | None
    messages: int | None
    retention_ms: int
    timestamp_type: str
    max_message_bytes: int
    subject: str | None
    key: str


def topics(data: Data = None, json: Json = False) -> None:
    """List the topics and what is in them.

    Exit code 1 when a declared topic does not exist.
    """
    from schemas.topics import all_topics
    from tierline.cli.output import print_json, print_table
    from tierline.kit.settings import load_settings

    rows = _look(load_settings(data), all_topics())
    if json:
        print_json([asdict(row) for row in rows])
    else:
        columns = ("topic", ">partitions", ">messages", "kept", "timestamps", ">record up to", "key")
        print_table(columns, [_cells(row) for row in rows])
    raise typer.Exit(1 if any(row.partitions is None for row in rows) else 0)


def _look(settings: Settings, declared: tuple[Topic, ...]) -> list[TopicRow]:
    from confluent_kafka.admin import AdminClient

    admin = AdminClient(_client(settings))
    prefix = settings.kafka.topic_prefix
    existing = admin.list_topics(timeout=ANSWER_TIMEOUT_S).topics
    partitions = {
        topic.name: len(existing[prefix + topic.name].partitions)
        for topic in declared
        if prefix + topic.name in existing
    }
    messages = _count(settings, partitions)
    return [
        TopicRow(
            name=prefix + topic.name,
            partitions=partitions.get(topic.name),
            messages=messages.get(topic.name),
            retention_ms=topic.retention_ms,
            timestamp_type=topic.timestamp_type,
            max_message_bytes=topic.max_message_bytes,
            subject=topic.subject,
            key=topic.key,
        )
        for topic in declared
    ]


def _count(settings: Settings, partitions: dict[str, int]) -> dict[str, int]:
    """Messages by topic name without prefix: the distance from the first to the next offset."""
    from confluent_kafka import Consumer, TopicPartition

    prefix = settings.kafka.topic_prefix
    looker = Consumer({**_client(settings), "group.id": "tierline-topics", "enable.auto.commit": False})
    counts = dict.fromkeys(partitions, 0)
    try:
        for name, number in partitions.items():
            for index in range(number):
                partition = TopicPartition(prefix + name, index)
                marks: tuple[int, int] = looker.get_watermark_offsets(partition, timeout=ANSWER_TIMEOUT_S)
                counts[name] += marks[1] - marks[0]
    finally:
        looker.close()
    return counts


def _client(settings: Settings) -> dict[str, Any]:
    return {"bootstrap.servers": settings.kafka.bootstrap_servers, "log_level": 0}


def _cells(row: TopicRow) -> tuple[str, ...]:
    return (
        row.name,
        "NOT CREATED" if row.partitions is None else str(row.partitions),
        "" if row.messages is None else f"{row.messages:,}",
        "for ever" if row.retention_ms < 0 else f"{row.retention_ms // DAY_MS} days",
        row.timestamp_type,
        f"{row.max_message_bytes // KIB:,} KiB",
        row.key,
    )
