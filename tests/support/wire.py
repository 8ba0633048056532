"""Two topics of a test's own on the real broker: what is published, what comes out, what is committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import confluent_kafka
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import NewTopic

from tests.support.waiting import wait_for
from tierline.kit.broker import send_all
from tierline.kit.confluent_broker import ConfluentLog, ConfluentProducer, new_admin
from tierline.kit.errors import Unavailable
from tierline.kit.records import Message, Record
from tierline.kit.settings import KafkaSettings

SOURCE, COPIES = "relayed.source", "relayed.copies"
GROUP = "relay"
_ANSWER_S = 30


@dataclass
class Wire:
    """Topic ``SOURCE`` is read by the app under test, ``COPIES`` is where it writes; names without prefix."""

    kafka: KafkaSettings
    _producer: ConfluentProducer = field(init=False)
    _log: ConfluentLog = field(init=False)

    def __post_init__(self) -> None:
        self._producer = ConfluentProducer(self.kafka, "wire")
        self._log = ConfluentLog(self.kafka)
        self._admin = new_admin(self.kafka)

    def create(self, topic: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
        """Make ``topic``, and wait until its partitions can be read."""
        wanted = NewTopic(self.name(topic), partitions, 1, config=dict(config or {}))
        for made in self._admin.create_topics([wanted], operation_timeout=_ANSWER_S).values():
            made.result()
        wait_for(lambda: self._has_leaders(topic, partitions), f"{topic} to have leaders")

    def delete(self, topic: str) -> None:
        """Remove ``topic`` with its records."""
        for deleted in self._admin.delete_topics([self.name(topic)], operation_timeout=_ANSWER_S).values():
            deleted.result()
        wait_for(
            lambda: self.name(topic) not in self._admin.list_topics(timeout=_ANSWER_S).topics, "no topic"
        )

    def name(self, topic: str) -> str:
        """What ``topic`` is called on the broker."""
        return self.kafka.topic_prefix + topic

    def publish(self, *values: bytes, partition: int = 0, key: bytes | None = None) -> None:
        """Append one record per value to ``SOURCE``; returns when all are acknowledged."""
        send_all(self._producer, [Message(SOURCE, key, value, partition) for value in values], _ANSWER_S)

    def publish_in_transaction(self, *values: bytes) -> None:
        """Append one record per value to ``SOURCE``, and the mark that ends a transaction."""
        name = self.name("transaction")
        settings = {"bootstrap.servers": self.kafka.bootstrap_servers, "transactional.id": name}
        producer = confluent_kafka.Producer(settings)
        producer.init_transactions(_ANSWER_S)
        producer.begin_transaction()
        for value in values:
            producer.produce(self.name(SOURCE), value, partition=0)
        producer.commit_transaction(_ANSWER_S)

    def end(self, topic: str = SOURCE, partition: int = 0) -> int:
        """The offset after the last record."""
        return self._log.log_range(topic, partition)[1]

    def records(self, topic: str = COPIES, partition: int = 0) -> list[Record]:
        """What ``topic`` holds."""
        first, end = self._log.log_range(topic, partition)
        return list(self._log.read(topic, partition, first, end))

    def copies(self, partition: int = 0) -> list[bytes]:
        """The values that came out, in order."""
        return [record.value or b"" for record in self.records(COPIES, partition)]

    def committed(self, partition: int = 0) -> int:
        """The offset that ``GROUP`` committed to Kafka, 0 without one."""
        place = TopicPartition(self.name(SOURCE), partition)
        asked = ConsumerGroupTopicPartitions(self.name(GROUP), [place])
        [answer] = self._admin.list_consumer_group_offsets([asked]).values()
        [found] = answer.result().topic_partitions
        committed: int = found.offset
        return max(0, committed)

    def members(self) -> int:
        """How many members ``GROUP`` has."""
        [answer] = self._admin.describe_consumer_groups([self.name(GROUP)]).values()
        return len(answer.result().members)

    def _has_leaders(self, topic: str, partitions: int) -> bool:
        try:
            return all(self._log.log_range(topic, p) is not None for p in range(partitions))
        except Unavailable:
            return False


def numbered(numbers: Sequence[int]) -> list[bytes]:
    """The values of records that are told apart by their numbers."""
    return [b"%d" % number for number in numbers]
