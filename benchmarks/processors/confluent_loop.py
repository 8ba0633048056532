"""A plain loop on confluent-kafka: consume, work, produce; flush, then commit."""

from __future__ import annotations

import signal
import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from benchmarks.processors.assignment import Assignment
from benchmarks.processors.librdkafka import consumer_settings, producer_settings
from benchmarks.processors.work import work_of_settings
from streams.normalizing.normalize import TYPE

_POLL_S = 0.1
_FLUSH_S = 30.0


def run(told: Assignment) -> None:
    """Work until SIGTERM. A message that is not delivered ends the process, and nothing is committed."""
    work = work_of_settings()
    consumer = Consumer(
        {
            "bootstrap.servers": told.servers,
            "group.id": told.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **consumer_settings(told.tuning),
        }
    )
    producer = Producer({"bootstrap.servers": told.servers, **producer_settings(told.tuning)})
    consumer.subscribe([told.source])
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    positions: dict[int, int] = {}

    def commit() -> None:
        if producer.flush(_FLUSH_S):
            raise TimeoutError("messages were not acknowledged")
        if positions:
            places = [TopicPartition(told.source, p, offset) for p, offset in positions.items()]
            consumer.commit(offsets=places, asynchronous=False)
            positions.clear()

    committed = time.monotonic()
    while not stopping:
        for message in consumer.consume(told.tuning.poll_records, _POLL_S):
            _raise(message.error())
            read: Any = message  # a record without error always has its place; the stubs cannot say so
            partition, offset = read.partition(), read.offset()
            framed = work(partition, offset, read.timestamp()[1], read.value())
            while True:
                try:
                    producer.produce(
                        told.output,
                        framed.value,
                        framed.key,
                        framed.partition,
                        _delivered,
                        headers=[(TYPE, framed.type)],
                    )
                    break
                except BufferError:
                    producer.poll(_POLL_S)
            positions[partition] = offset + 1
        producer.poll(0)
        if time.monotonic() - committed >= told.tuning.commit_ms / 1000:
            commit()
            committed = time.monotonic()
    commit()
    consumer.close()


def _delivered(error: KafkaError | None, _message: Message) -> None:
    _raise(error)


def _raise(error: KafkaError | None) -> None:
    if error is not None:
        raise KafkaException(error)


if __name__ == "__main__":
    run(Assignment.told())
