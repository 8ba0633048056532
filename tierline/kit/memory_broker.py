"""The in-memory twin of the Kafka ports: partitions are lists, offsets their indexes.

It keeps what the workers rely on: order per partition, standing still until ``start``, delivery answers
that come later, deliveries that can be made to fail, partitions that can be taken away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from tierline.kit.broker import Delivered, Delivery, PartitionsChanged
from tierline.kit.errors import Unavailable
from tierline.kit.partitioner import murmur2
from tierline.kit.records import Message, Record


class MemoryBroker:
    """Topics by name and partition. ``partitions`` counts for every topic."""

    def __init__(self, partitions: int = 4) -> None:
        self.partitions = partitions
        self.logs: dict[tuple[str, int], list[Record]] = defaultdict(list)

    def append(self, message: Message, *, timestamp_ms: int = 0) -> Record:
        """Put ``message`` at the end of its partition, as the broker would."""
        partition = message.partition
        if partition is None:
            partition = (murmur2(message.key or b"") & 0x7FFFFFFF) % self.partitions
        log = self.logs[message.topic, partition]
        record = Record(
            message.topic, partition, len(log), timestamp_ms, message.key, message.value, message.headers
        )
        log.append(record)
        return record

    def records(self, topic: str) -> list[Record]:
        """Every record of ``topic``, by partition, then offset."""
        return [r for p in range(self.partitions) for r in self.logs[topic, p]]

    def log_range(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(self.logs[topic, partition])

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        yield from self.logs[topic, partition][start:end]


class MemoryConsumer:
    """Consumer port on a MemoryBroker; ``assign`` and ``revoke`` play the group coordinator."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._topic = ""
        self._positions: dict[int, int | None] = {}
        self._events: list[tuple[PartitionsChanged, list[int]]] = []
        self._log_starts: dict[int, int] = {}
        self.committed: dict[int, int] = {}
        self.closed = False

    def subscribe(self, topic: str, assigned: PartitionsChanged, revoked: PartitionsChanged) -> None:
        self._topic = topic
        self._assigned, self._revoked = assigned, revoked

    def assign(self, partitions: Collection[int]) -> None:
        """The group hands ``partitions`` over; heard at the next ``poll``."""
        self._events.append((self._assigned, list(partitions)))

    def revoke(self, partitions: Collection[int]) -> None:
        """The group takes ``partitions`` away; heard at the next ``poll``."""
        self._events.append((self._revoked, list(partitions)))

    def cut_log(self, partition: int, first_offset: int) -> None:
        """Retention removed everything before ``first_offset``."""
        self._log_starts[partition] = first_offset

    def poll(self, limit: int, timeout: float) -> Sequence[Record]:  # noqa: ARG002 - nothing to wait for
        while self._events:
            callback, partitions = self._events.pop(0)
            for partition in partitions:
                if callback == self._assigned:
                    self._positions[partition] = None
                else:
                    self._positions.pop(partition, None)
            callback(partitions)
        taken: list[Record] = []
        for partition, position in self._positions.items():
            if position is None:
                continue
            found = self._broker.logs[self._topic, partition][position : position + limit - len(taken)]
            self._positions[partition] = position + len(found)
            taken.extend(found)
        return taken

    def log_range(self, partition: int) -> tuple[int, int]:
        _, end = self._broker.log_range(self._topic, partition)
        return self._log_starts.get(partition, 0), end

    def start(self, partition: int, offset: int) -> None:
        if partition not in self._positions:
            raise Unavailable(f"{self._topic} partition {partition} is not assigned")
        self._positions[partition] = offset

    def stop(self, partition: int) -> None:
        if partition in self._positions:
            self._positions[partition] = None

    def commit(self, offsets: Mapping[int, int]) -> None:
        self.committed.update(offsets)

    def lag(self, partition: int, next_offset: int) -> int | None:
        return self.log_range(partition)[1] - next_offset

    def close(self) -> None:
        self.closed = True


class MemoryProducer:
    """Producer port on a MemoryBroker.

    ``fail_next`` makes the next deliveries fail with that text; ``most_bytes`` is the largest value taken.
    """

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._waiting: list[tuple[Delivered, Delivery]] = []
        self.fail_next: list[str] = []
        self.most_bytes: int | None = None

    def send(self, message: Message, delivered: Delivered) -> None:
        if self.fail_next:
            answer = Delivery(message.topic, message.partition or 0, -1, self.fail_next.pop(0))
        elif self.most_bytes is not None and len(message.value or b"") > self.most_bytes:
            answer = Delivery(message.topic, message.partition or 0, -1, "too large", too_large=True)
        else:
            record = self._broker.append(message)
            answer = Delivery(record.topic, record.partition, record.offset)
        self._waiting.append((delivered, answer))

    def serve(self) -> None:
        waiting, self._waiting = self._waiting, []
        for delivered, answer in waiting:
            delivered(answer)

    def flush(self, timeout: float) -> int:  # noqa: ARG002 - nothing to wait for
        self.serve()
        return 0
