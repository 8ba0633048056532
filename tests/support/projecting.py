"""A projector on real tables, fed by hand: events of an EventLog through the in-memory broker."""

from __future__ import annotations

from functools import partial
from typing import Any

from psycopg.rows import dict_row

from projections.intake import ReadEvent
from projections.models import READ_MODELS
from projections.read_model import ReadModel
from projections.runner import Projector
from projections.table import Row, column_list
from schemas.topics import EVENTS, PROJECTOR
from tests.support.event_log import EventLog, read_event
from tierline.kit.clock import FakeClock
from tierline.kit.database import Connection, connect
from tierline.kit.health import Health
from tierline.kit.leased_worker import LeasedWorker
from tierline.kit.memory_broker import MemoryBroker, MemoryConsumer
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.kit.telemetry import Metrics


class Projecting:
    """One projector with the partitions of its broker. ``turn`` lets it work once."""

    def __init__(
        self,
        settings: Settings,
        broker: MemoryBroker,
        read: ReadEvent = read_event,
        batch_records: int = 1_000,
    ) -> None:
        self.broker = broker
        self.metrics = Metrics()
        self.clock = FakeClock()
        self.worker = LeasedWorker(
            group=PROJECTOR,
            topic=EVENTS.name,
            handler=Projector(read, self.metrics),
            consumer=(consumer := MemoryConsumer(broker)),
            connect=partial(connect, settings.database_url, PROJECTOR),
            metrics=self.metrics,
            health=Health(),
            batch_records=batch_records,
            clock=self.clock,
        )
        self.worker.join()
        consumer.assign(range(broker.partitions))
        self.worker.turn()

    def turn(self, times: int = 1) -> None:
        """Work on what is there; a wait after an outage is over by the next turn."""
        for _ in range(times):
            self.clock.advance(60_000)
            self.worker.turn()

    def close(self) -> None:
        """Leave, as at the end of a process."""
        self.worker.leave()

    def stalled(self, partition: int) -> bool:
        """Whether a bug or a broken log stopped the partition."""
        labels = {"consumer": PROJECTOR, "topic": EVENTS.name, "partition": str(partition)}
        return self.metrics.registry.get_sample_value("oms_partition_stalled", labels) == 1

    def unknown(self, kind: str) -> float | None:
        """How many events of an unknown type were counted."""
        return self.metrics.registry.get_sample_value("oms_unknown_events_total", {"type": kind})


def publish(broker: MemoryBroker, log: EventLog, start: int = 0, end: int | None = None) -> None:
    """Put records ``start`` to ``end`` of the log on the topic of events."""
    for record in log.records[start:end]:
        broker.append(Message(EVENTS.name, record.key, record.value, log.partition, record.headers))


def content(connection: Connection, model: ReadModel, table: str | None = None) -> list[Row]:
    """Every row of a model's table, as a fold gives it, in the order of its place."""
    with connection.cursor(row_factory=dict_row) as cursor:
        query = f"SELECT {column_list(model.table)} FROM {table or model.table.live}"
        rows = cursor.execute(query).fetchall()
    return sorted(rows, key=place)


def place(row: Row) -> tuple[Any, ...]:
    """Where the last event of a row stands."""
    return row["partition"], row["position"]


def all_content(connection: Connection) -> dict[str, list[Row]]:
    """The rows of every read model."""
    return {model.name: content(connection, model) for model in READ_MODELS}
