"""The normalizer on real servers: known accounts, published orders, and what came of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.avsc import COMMANDS_SUBJECT, load_schema
from schemas.codec import Codec
from schemas.topics import CHANNELS, COMMANDS, NORMALIZER, orders_topic, replies_topic
from streams.deciding.external_refs import NewRef, write_refs
from tests.support.stack import environment_of
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.kit.broker import send_all
from tierline.kit.confluent_broker import ConfluentLog, ConfluentProducer
from tierline.kit.database import connect
from tierline.kit.records import Message, Record
from tierline.kit.retry import BROKER
from tierline.kit.settings import Settings
from tierline.local.workers import Worker, WorkerGroup

Origin = tuple[str, int, int]
"""Topic, partition and offset of an order record."""

_CODEC = Codec(1, 1, lambda _: load_schema(COMMANDS_SUBJECT))
_QUICK_SESSION_MS = 3_000


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """A record of a dead-letter topic with its headers as text."""

    record: Record
    headers: Mapping[str, str]

    @property
    def origin(self) -> Origin:
        names = ("oms.dlq.origin.topic", "oms.dlq.origin.partition", "oms.dlq.origin.offset")
        topic, partition, offset = (self.headers[name] for name in names)
        return topic, int(partition), int(offset)

    @property
    def cause(self) -> tuple[str, str]:
        """Class and code."""
        return self.headers["oms.dlq.class"], self.headers["oms.dlq.code"]


class NormalizerBench:
    """Prepared servers. Settings are changed by ``changed`` before a worker starts."""

    def __init__(self, settings: Settings, **changed: Any) -> None:
        kafka = settings.kafka.model_copy(
            update={"session_timeout_ms": _QUICK_SESSION_MS, "heartbeat_interval_ms": 500}
        )
        self.settings = settings.model_copy(update={"kafka": kafka, **changed})
        bootstrap.prepare(self.settings)
        self._producer = ConfluentProducer(self.settings.kafka, "bench")
        self._log = ConfluentLog(self.settings.kafka)

    # --- before -------------------------------------------------------------------------------------------

    def know(self, *subscriptions: str) -> None:
        """Open ``sub_x`` of ``acc_x`` for every name, as the decider writes it."""
        rows = [
            NewRef("*", "*", kind, ref, f"acc_{name}", f"sub_{name}")
            for name in subscriptions
            for kind, ref in (("subscription", f"sub_{name}"), ("account", f"acc_{name}"))
        ]
        with connect(self.settings.database_url, "bench") as connection:
            write_refs(connection, rows)

    def publish(self, messages: Sequence[Message]) -> None:
        """Append ``messages``; returns when all are acknowledged."""
        send_all(self._producer, messages, 30)

    @contextmanager
    def running(self, logs: Path, **environment: str) -> Iterator[Worker]:
        """One normalizer process, brought back when it ends by itself."""
        logs.mkdir(parents=True, exist_ok=True)
        with WorkerGroup(("normalizer",), logs, environment_of(self.settings) | environment) as workers:
            yield workers["normalizer"]

    # --- after --------------------------------------------------------------------------------------------

    def records(self, topic: str) -> list[Record]:
        """Every record of ``topic`` so far."""
        found: list[Record] = []
        for partition in range(self.settings.kafka.partitions):
            first, end = self._range(topic, partition)
            found.extend(self._log.read(topic, partition, first, end))
        return found

    def count(self, topic: str) -> int:
        """How many records ``topic`` has so far."""
        ranges = [self._range(topic, partition) for partition in range(self.settings.kafka.partitions)]
        return sum(end - first for first, end in ranges)

    def commands(self) -> list[dict[str, Any]]:
        """The commands so far, decoded, in order per partition."""
        return [_CODEC.read(record.value or b"") for record in self.records(COMMANDS.name)]

    def accepted(self) -> Counter[Origin]:
        """How many commands each order record has."""
        return Counter(
            (c["origin"]["topic"], c["origin"]["partition"], c["origin"]["offset"]) for c in self.commands()
        )

    def dead(self, channel: str) -> list[DeadLetterRecord]:
        """The dead letters of ``channel`` so far."""
        twin = orders_topic(channel).dead_letter
        assert twin is not None
        return [
            DeadLetterRecord(record, {name: value.decode() for name, value in record.headers})
            for record in self.records(twin.name)
        ]

    def replies(self, channel: str) -> list[Record]:
        """The replies to ``channel`` so far."""
        return self.records(replies_topic(channel).name)

    def told(self, channel: str) -> list[str]:
        """The outcomes that ``channel`` was told so far."""
        return [json.loads(record.value or b"")["outcome"] for record in self.replies(channel)]

    def held(self) -> int:
        """How many records wait in the store."""
        with connect(self.settings.database_url, "bench") as connection:
            [count] = connection.execute("SELECT count(*) FROM deadletter.held_record").fetchone() or (0,)
        return int(count)

    def orders(self, channel: str) -> set[Origin]:
        """The places of every order record of ``channel``."""
        topic = orders_topic(channel).name
        return {(topic, r.partition, r.offset) for r in self.records(topic)}

    def ended(self) -> set[Origin]:
        """The order records that have a command or a dead letter."""
        return set(self.accepted()) | {d.origin for c in CHANNELS for d in self.dead(c)}

    def positions(self) -> dict[tuple[str, int], int]:
        """The saved position of every partition."""
        with connect(self.settings.database_url, "bench") as connection:
            rows = connection.execute(
                "SELECT topic, partition, next_offset FROM oms.lease WHERE consumer = %s", (NORMALIZER,)
            ).fetchall()
        return {(topic, partition): next_offset for topic, partition, next_offset in rows}

    def ends(self) -> dict[tuple[str, int], int]:
        """The end of every order partition."""
        topics = [orders_topic(channel).name for channel in CHANNELS]
        places = [(t, p) for t in topics for p in range(self.settings.kafka.partitions)]
        return {(topic, p): self._range(topic, p)[1] for topic, p in places}

    def _range(self, topic: str, partition: int) -> tuple[int, int]:
        return BROKER(self._log.log_range, topic, partition)  # a new topic has no leader for a moment

    def wait_until_all_ended(self, seconds: float = 60, *, held: int = 0) -> None:
        """Until the saved positions are at the ends of the order topics, and ``held`` records wait."""
        ends = self.ends()
        wait_for(lambda: self.positions() == ends, f"positions {self.positions()} to reach {ends}", seconds)
        wait_for(lambda: self.held() == held, f"{self.held()} held records to become {held}", seconds)

    def fetch(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What a question to the test's database is answered with."""
        with connect(self.settings.database_url, "bench") as connection:
            return connection.execute(statement, values).fetchall()

    def epoch(self, topic: str, partition: int) -> int:
        """How often the lease of a partition was taken."""
        place = (NORMALIZER, topic, partition)
        statement = "SELECT epoch FROM oms.lease WHERE consumer = %s AND topic = %s AND partition = %s"
        return sum(epoch for (epoch,) in self.fetch(statement, *place))

    def execute(self, statement: str, *values: object) -> None:
        """Run one statement on the test's database."""
        with connect(self.settings.database_url, "bench") as connection:
            connection.execute(statement, values)
