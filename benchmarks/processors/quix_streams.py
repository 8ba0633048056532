"""Quix Streams as its manual shows it: ``apply`` and ``to_topic``. Runs in an environment of its own."""

from __future__ import annotations

from typing import Any

from quixstreams import Application, message_context
from quixstreams.models import Serializer

from benchmarks.processors.assignment import Assignment
from benchmarks.processors.librdkafka import consumer_settings, producer_settings
from benchmarks.processors.work import work_of_settings
from streams.normalizing.normalize import TYPE, Framed


class _ValueOf(Serializer):  # type: ignore[misc] # not installed where types are checked
    def __call__(self, framed: Framed, ctx: object = None) -> bytes:  # noqa: ARG002 - Quix's signature
        return framed.value


def run(told: Assignment) -> None:
    """Work until SIGTERM. Quix flushes its producer before it commits, and ends where a delivery failed."""
    work = work_of_settings()
    app = Application(
        broker_address=told.servers,
        consumer_group=told.group,
        auto_offset_reset="earliest",
        commit_interval=told.tuning.commit_ms / 1000,
        consumer_extra_config=consumer_settings(told.tuning),
        producer_extra_config=producer_settings(told.tuning),
        auto_create_topics=False,
        use_changelog_topics=False,
        loglevel="WARNING",
    )
    source = app.topic(told.source, key_deserializer="bytes", value_deserializer="bytes")
    output = app.topic(told.output, key_serializer="bytes", value_serializer=_ValueOf())

    def normalize(value: bytes, _key: object, timestamp: int, _headers: object) -> Framed:
        place = message_context()
        return work(place.partition, place.offset, timestamp, value)

    def headers(framed: Framed, *_: object) -> list[tuple[str, bytes]]:
        return [(TYPE, framed.type)]

    commands: Any = app.dataframe(source).apply(normalize, metadata=True).set_headers(headers)
    commands.to_topic(output, key=lambda framed: framed.key)
    app.run()


if __name__ == "__main__":
    run(Assignment.told())
