"""The decider on real servers: published commands, and what the store and the topics hold afterwards."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from schemas.topics import COMMANDS, EVENTS, ORDERS
from tests.support.stack import environment_of
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.domain.commands import Command
from tierline.kit.broker import send_all
from tierline.kit.confluent_broker import ConfluentLog, ConfluentProducer
from tierline.kit.database import connect
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Message, Record
from tierline.kit.retry import BROKER
from tierline.kit.settings import Settings
from tierline.local.workers import Worker, WorkerGroup

DEAD_COMMANDS = f"{COMMANDS.name}.{ORDERS}.dlq"
_QUICK_SESSION_MS = 3_000


class StoredRow(NamedTuple):
    """A row of ``oms.event``."""

    partition: int
    position: int
    stream_id: str
    version: int
    type: str
    order_id: str | None
    hash: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row of ``oms.command_claim``."""

    outcome: str
    reasons: tuple[str, ...]


class OrdersBench:
    """Prepared servers with a short session timeout."""

    def __init__(self, settings: Settings, **changed: Any) -> None:
        kafka = settings.kafka.model_copy(
            update={"session_timeout_ms": _QUICK_SESSION_MS, "heartbeat_interval_ms": 500}
        )
        self.settings = settings.model_copy(update={"kafka": kafka, **changed})
        bootstrap.prepare(self.settings)
        with ExitStack() as resources:
            self.codec = bootstrap._codec(self.settings, resources)
        self.producer = ConfluentProducer(self.settings.kafka, "bench")
        self.log = ConfluentLog(self.settings.kafka)
        self.partitions = self.settings.kafka.partitions

    # --- before -------------------------------------------------------------------------------------------

    def message(self, command: Command) -> Message:
        """The record that a producer sends for ``command``."""
        return Message(
            COMMANDS.name,
            command.account_id.encode(),
            self.codec.encode_command(command),
            partition_of(command.account_id, self.partitions),
            (("type", command.type.encode()),),
        )

    def publish(self, *sent: Command | Message) -> None:
        """Append commands, or raw records; returns when all are acknowledged."""
        messages = [one if isinstance(one, Message) else self.message(one) for one in sent]
        send_all(self.producer, messages, 30)

    @contextmanager
    def running(self, logs: Path, *names: str, **environment: str) -> Iterator[WorkerGroup]:
        """These workers as processes, the decider alone by default, brought back when they end."""
        logs.mkdir(parents=True, exist_ok=True)
        everything = environment_of(self.settings) | environment
        with WorkerGroup(names or ("orders",), logs, everything) as workers:
            yield workers

    @contextmanager
    def unkept(self, logs: Path, name: str) -> Iterator[Worker]:
        """One worker that nobody brings back; not started yet, killed at the end."""
        worker = Worker(name, logs, environment_of(self.settings))
        try:
            yield worker
        finally:
            worker.kill9()
            worker.wait_stopped()

    # --- after --------------------------------------------------------------------------------------------

    def records(self, topic: str) -> list[Record]:
        """Every record of ``topic`` so far, by partition."""
        found: list[Record] = []
        for partition in range(self.partitions):
            first, end = self._range(topic, partition)
            found.extend(self.log.read(topic, partition, first, end))
        return found

    def stored(self) -> list[StoredRow]:
        """Every event of the store, by partition and position."""
        return [
            StoredRow._make((*row[:6], bytes(row[6]), bytes(row[7])))
            for row in self.query(
                "SELECT partition, position, stream_id, version, type, order_id::text, hash, value"
                " FROM oms.event ORDER BY partition, position"
            )
        ]

    def claims(self, *commands: Command) -> list[Claimed]:
        """The latest claim of each command."""
        rows = self.query("SELECT command_id::text, outcome, reasons FROM oms.command_claim ORDER BY attempt")
        latest = {command_id: Claimed(outcome, tuple(reasons)) for command_id, outcome, reasons in rows}
        return [latest[command.command_id] for command in commands]

    def outcomes(self) -> Counter[str]:
        """How many claims stand where."""
        return Counter(outcome for (outcome,) in self.query("SELECT outcome FROM oms.command_claim"))

    def query(self, statement: str, *values: object) -> list[Any]:
        """The rows of one query."""
        with connect(self.settings.database_url, "bench") as connection:
            return connection.execute(statement, values).fetchall()

    def execute(self, statement: str, *values: object) -> None:
        """Run one statement."""
        with connect(self.settings.database_url, "bench") as connection:
            connection.execute(statement, values)

    def positions(self, consumer: str = ORDERS, topic: str = COMMANDS.name) -> dict[int, int]:
        """The next offset of every partition."""
        return dict(
            self.query(
                "SELECT partition, next_offset FROM oms.lease WHERE consumer = %s AND topic = %s",
                consumer,
                topic,
            )
        )

    def wait_until_read(
        self, consumer: str = ORDERS, topic: str = COMMANDS.name, seconds: float = 60
    ) -> None:
        """Until ``consumer`` has worked through all of ``topic`` that is there now."""
        ends = {p: self._range(topic, p)[1] for p in range(self.partitions)}

        def done() -> bool:
            reached = self.positions(consumer, topic)
            return all(reached.get(p, 0) >= end for p, end in ends.items() if end)

        wait_for(done, f"{consumer} to read {topic} up to {ends}", seconds)

    def wait_until_published(self, seconds: float = 30) -> None:
        """Until the topic holds every stored event."""

        def done() -> bool:
            stored = Counter(row.partition for row in self.stored())
            return all(len(self._published(p)) == count for p, count in stored.items())

        wait_for(done, "the topic to hold every stored event", seconds)

    def assert_in_step(self) -> None:
        """Positions and versions have no hole, the chain holds, and the topic carries the stored bytes."""
        self.wait_until_published()
        by_partition: Mapping[int, list[StoredRow]] = defaultdict(list)
        for row in self.stored():
            by_partition[row.partition].append(row)
        for partition, rows in by_partition.items():
            assert list(range(len(rows))) == [row.position for row in rows]
            previous = bytes(32)
            for row in rows:
                previous = hashlib.sha256(previous + row.value).digest()
                assert previous == row.hash, f"chain broken at {partition}/{row.position}"
            assert {row.position: (row.hash, row.value) for row in rows} == self._published(partition)
        versions: dict[str, list[int]] = defaultdict(list)
        for row in sorted(self.stored(), key=lambda r: (r.stream_id, r.version)):
            versions[row.stream_id].append(row.version)
        assert all(list(range(1, len(found) + 1)) == found for found in versions.values())

    def _published(self, partition: int) -> dict[int, tuple[bytes, bytes]]:
        """The events of the topic by position; a repeat must carry the same bytes."""
        found: dict[int, tuple[bytes, bytes]] = {}
        for record in self.log.read(EVENTS.name, partition, *self._range(EVENTS.name, partition)):
            place = int(record.header("position") or b"")
            told = (record.header("hash") or b"", record.value or b"")
            assert found.setdefault(place, told) == told, f"{partition}/{place} came with other bytes"
        return found

    def _range(self, topic: str, partition: int) -> tuple[int, int]:
        return BROKER(self.log.log_range, topic, partition)  # a new topic has no leader for a moment


def types_of(rows: Sequence[StoredRow]) -> list[str]:
    """The event types in order."""
    return [row.type for row in rows]
