"""The Kafka ports on confluent-kafka (librdkafka).

What the settings answer: librdkafka waits 1 s at a full queue unless ``fetch.queue.backoff.ms`` is lowered,
prefetches 64 MB per partition unless told otherwise, and partitions by CRC32 unless murmur2 is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import confluent_kafka
import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tierline.kit.broker import Delivered, Delivery, PartitionsChanged
from tierline.kit.errors import Unavailable
from tierline.kit.pace import Pace
from tierline.kit.records import Message, Record
from tierline.kit.settings import KafkaSettings

_ASK_S = 10.0
_LOG_CHUNK = 500
TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
"""What the client or the broker says of a message that is over a limit."""
_log = structlog.get_logger(__name__)


def _client(kafka: KafkaSettings, client_id: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "client.id": client_id,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 3,
    }


def consumer_config(kafka: KafkaSettings, group: str) -> dict[str, Any]:
    """librdkafka settings of a group member that reads from its lease, never from Kafka's own commits."""
    return _client(kafka, group) | {
        "group.id": kafka.topic_prefix + group,
        "partition.assignment.strategy": "cooperative-sticky",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": kafka.session_timeout_ms,
        "heartbeat.interval.ms": kafka.heartbeat_interval_ms,
        "fetch.wait.max.ms": kafka.fetch_wait_ms,
        "fetch.min.bytes": kafka.fetch_min_bytes,
        "fetch.queue.backoff.ms": 10,
        "queued.min.messages": 5_000,
        "queued.max.messages.kbytes": 2_048,
        "topic.metadata.refresh.interval.ms": 30_000,
    }


def producer_config(kafka: KafkaSettings, client_id: str) -> dict[str, Any]:
    """librdkafka settings of a producer: acknowledged means on every in-sync replica, once, in order."""
    return _client(kafka, client_id) | {
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "linger.ms": kafka.linger_ms,
        "batch.size": 500_000,
        "delivery.timeout.ms": kafka.delivery_timeout_ms,
        "message.max.bytes": 6_000_000,
        "queue.buffering.max.messages": 100_000,
        "queue.buffering.max.kbytes": 65_536,
    }


def new_admin(kafka: KafkaSettings) -> AdminClient:
    """An admin client: topics, offsets, groups."""
    return AdminClient(_client(kafka, "tierline-admin"))


class ConfluentProducer:
    """Producer port on librdkafka; idempotent, acks=all, lz4."""

    def __init__(self, kafka: KafkaSettings, client_id: str) -> None:
        self._prefix = kafka.topic_prefix
        self._producer = confluent_kafka.Producer(producer_config(kafka, client_id))

    def send(self, message: Message, delivered: Delivered) -> None:
        topic = message.topic

        def answered(error: KafkaError | None, sent: confluent_kafka.Message) -> None:
            text = None if error is None else error.str()
            offset = sent.offset()
            partition = sent.partition()
            delivered(
                Delivery(
                    topic,
                    -1 if partition is None else partition,
                    -1 if offset is None else offset,
                    text,
                    error is not None and error.code() in TOO_LARGE,
                )
            )

        partition = -1 if message.partition is None else message.partition
        while True:
            try:
                self._producer.produce(
                    self._prefix + topic,
                    message.value,
                    message.key,
                    partition,
                    answered,
                    headers=list(message.headers) or None,
                )
            except BufferError:
                self._producer.poll(0.05)  # the queue is full: wait for acknowledgements, never drop
            except KafkaException as error:
                refused: KafkaError = error.args[0]
                if refused.code() not in TOO_LARGE:
                    raise
                delivered(Delivery(topic, partition, -1, refused.str(), too_large=True))
                return
            else:
                return

    def serve(self) -> None:
        self._producer.poll(0)

    def flush(self, timeout: float) -> int:
        return self._producer.flush(timeout)


class ConfluentConsumer:
    """Consumer port on librdkafka; cooperative-sticky, offsets only committed for lag tools.

    After the first record of a poll it gathers more for as long as ``pace`` says.
    """

    def __init__(self, kafka: KafkaSettings, group: str, pace: Pace | None = None) -> None:
        self._prefix = kafka.topic_prefix
        self._pace = pace or Pace()
        self._consumer = confluent_kafka.Consumer(consumer_config(kafka, group))
        self._topic = ""
        self._wire_topic = ""

    def subscribe(self, topic: str, assigned: PartitionsChanged, revoked: PartitionsChanged) -> None:
        self._topic = topic
        self._wire_topic = self._prefix + topic

        def on_assign(consumer: confluent_kafka.Consumer, partitions: list[TopicPartition]) -> None:
            consumer.incremental_assign(partitions)
            consumer.pause(partitions)
            assigned([p.partition for p in partitions])

        def on_revoke(consumer: confluent_kafka.Consumer, partitions: list[TopicPartition]) -> None:
            consumer.incremental_unassign(partitions)
            revoked([p.partition for p in partitions])

        def on_lost(_consumer: confluent_kafka.Consumer, partitions: list[TopicPartition]) -> None:
            revoked([p.partition for p in partitions])

        self._consumer.subscribe(
            [self._wire_topic], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost
        )

    def poll(self, limit: int, timeout: float) -> Sequence[Record]:
        first = self._consumer.poll(timeout)
        if first is None:
            return ()
        more = self._consumer.consume(limit - 1, self._pace.gather_s()) if limit > 1 else []
        return [record_of(m, self._topic) for m in (first, *more) if not is_notice(m)]

    def log_range(self, partition: int) -> tuple[int, int]:
        return log_range_of(self._consumer, self._wire_topic, partition)

    def start(self, partition: int, offset: int) -> None:
        place = TopicPartition(self._wire_topic, partition, offset)
        try:
            self._place(place)
            self._consumer.resume([place])
        except KafkaException as error:
            raise Unavailable(
                f"cannot read {self._topic} partition {partition} from {offset}: {error}"
            ) from error

    def _place(self, place: TopicPartition) -> None:
        """Seek; where librdkafka has not begun to fetch it refuses, for good if its look-up of Kafka's own
        commit got no answer. Such a partition is assigned anew, with its place.
        """
        try:
            self._consumer.seek(place)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._STATE:  # noqa: SLF001 - its public name
                raise
            self._consumer.incremental_unassign([place])
            self._consumer.incremental_assign([place])

    def stop(self, partition: int) -> None:
        self._consumer.pause([TopicPartition(self._wire_topic, partition)])

    def commit(self, offsets: Mapping[int, int]) -> None:
        places = [TopicPartition(self._wire_topic, p, offset) for p, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:
            _log.warning("lag_commit_failed", topic=self._topic, error=str(error))

    def lag(self, partition: int, next_offset: int) -> int | None:
        try:
            _, end = self._consumer.get_watermark_offsets(
                TopicPartition(self._wire_topic, partition), cached=True
            )
        except KafkaException:
            return None
        return max(0, end - next_offset) if end >= 0 else None

    def close(self) -> None:
        self._consumer.close()


class ConfluentLog:
    """Log port on librdkafka: one consumer without a group, opened per stretch and closed with it."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka

    def _consumer(self) -> confluent_kafka.Consumer:
        return confluent_kafka.Consumer(consumer_config(self._kafka, "tierline-log-reader"))

    def log_range(self, topic: str, partition: int) -> tuple[int, int]:
        consumer = self._consumer()
        try:
            return log_range_of(consumer, self._kafka.topic_prefix + topic, partition)
        finally:
            consumer.close()

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        if start >= end:
            return
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(self._kafka.topic_prefix + topic, partition, start)])
            while True:
                first = consumer.poll(_ASK_S)
                if first is None:
                    raise Unavailable(f"{topic} partition {partition}: nothing read for {_ASK_S:.0f} s")
                for message in (first, *consumer.consume(_LOG_CHUNK, 0)):
                    if is_notice(message):
                        continue
                    record = record_of(message, topic)
                    if record.offset < end:
                        yield record
                    if record.offset >= end - 1:
                        return
        finally:
            consumer.close()


def log_range_of(consumer: confluent_kafka.Consumer, wire_topic: str, partition: int) -> tuple[int, int]:
    """First offset and end of a partition, asked from the broker. Raises Unavailable."""
    place = TopicPartition(wire_topic, partition)
    try:
        answer: tuple[int, int] | None = consumer.get_watermark_offsets(place, timeout=_ASK_S)
    except KafkaException as error:
        raise Unavailable(f"{wire_topic} partition {partition}: {error}") from error
    if answer is None:
        raise Unavailable(f"{wire_topic} partition {partition}: no answer in {_ASK_S:.0f} s")
    return answer


def is_notice(message: confluent_kafka.Message) -> bool:
    """Whether ``message`` is no record but a word of the client; a worrying one is logged."""
    error = message.error()
    if error is None:
        return False
    if error.fatal():
        raise Unavailable(error.str())
    _log.warning("consumer_notice", code=error.name(), text=error.str())
    return True


def record_of(message: confluent_kafka.Message, topic: str) -> Record:
    """What ``message`` brought, under the ``topic`` without prefix."""
    facts: Any = message  # a record without error always has its place and bytes; the stubs cannot say so
    headers = facts.headers()
    return Record(
        topic,
        facts.partition(),
        facts.offset(),
        facts.timestamp()[1],
        facts.key(),
        facts.value(),
        tuple((name, value or b"") for name, value in headers) if headers else (),
    )
