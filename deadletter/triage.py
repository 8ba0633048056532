"""The triage worker: takes every dead letter into ``deadletter.record``, one transaction per turn.

Each dead-letter topic has its own leases, so that every record is taken once whoever runs the worker; what is
read twice all the same is known by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from prometheus_client import Gauge

from deadletter import open_records
from deadletter.envelope import source_headers
from deadletter.open_records import OpenRecord, open_record_of
from schemas.topics import Topic
from tierline.kit.broker import Log
from tierline.kit.clock import Clock
from tierline.kit.crash_points import reached
from tierline.kit.database import Connection, is_outage
from tierline.kit.leased_worker import Batch
from tierline.kit.leases import Lease, Progress
from tierline.kit.records import Record
from tierline.kit.telemetry import Metrics

BATCH_RECORDS = 100
"""Records per turn: each may hold some MiB."""
MEASURE_EVERY_MS = 5_000

AccountOf = Callable[[Record, int], str | None]
"""What the sender calls the account or subscription of one intent of a consumed record; None: unreadable."""

_OPEN = """
SELECT coalesce(channel, ''), class, count(*), extract(epoch FROM min(first_failed_at))::float8
  FROM deadletter.record WHERE closed_as IS NULL GROUP BY 1, 2
"""
_GROUPS = "SELECT count(DISTINCT fingerprint) FROM deadletter.record WHERE closed_as IS NULL"


class Triage:
    """Handler of the triage worker: group TRIAGE on one dead-letter topic."""

    def __init__(self, account_of: AccountOf) -> None:
        self._account_of = account_of

    def assigned(self, connection: Connection, lease: Lease) -> Lease:  # noqa: ARG002 - nothing to compare
        """Every partition is read on from its lease."""
        return lease

    def process(
        self,
        connection: Connection,
        batch: Batch,
        leases: Mapping[int, Lease],  # noqa: ARG002 - offsets are all that moves
    ) -> Mapping[int, Progress]:
        """Store what is new of one turn."""
        take_in(connection, [r for records in batch.values() for r in records], self._account_of)
        reached("triage.after_write")
        return {partition: Progress(records[-1].offset + 1) for partition, records in batch.items()}

    def committed(self) -> None:
        """Nothing is kept in memory."""

    def reset(self, partitions: Collection[int]) -> None:
        """Nothing is kept in memory."""


def take_in(connection: Connection, records: Collection[Record], account_of: AccountOf) -> int:
    """Store the dead letters among ``records`` of dead-letter topics that are not stored yet; how many."""
    return open_records.write(connection, [_with_account(record, account_of) for record in records])


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """What was found when the dead-letter topics were read from their beginning."""

    read: int
    added: int


def read_again(
    connection: Connection, log: Log, topics: Collection[Topic], partitions: int, account_of: AccountOf
) -> ReadAgain:
    """Read every dead letter that Kafka still has and store those that are missing; commits as it goes.

    Leases do not move: what is stored already stays as it is, so the worker may run meanwhile.
    """
    read = added = 0
    for topic in topics:
        for partition in range(partitions):
            records = log.read(topic.name, partition, *log.log_range(topic.name, partition))
            while some := list(islice(records, BATCH_RECORDS)):
                added += take_in(connection, some, account_of)
                connection.commit()
                read += len(some)
    return ReadAgain(read, added)


def _with_account(record: Record, account_of: AccountOf) -> OpenRecord:
    row = open_record_of(record)
    consumed = replace(
        record,
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        headers=source_headers(record.headers),
    )
    account = account_of(consumed, row.intent_index)
    return row if account is None else replace(row, account=account.replace("\0", "?"))


class OpenGauges:
    """Tells Prometheus what is open, as often as ``each_round`` finds it due.

    The numbers are those of the store: every process of the worker says the same.
    """

    def __init__(self, connect: Callable[[], Connection], clock: Clock, metrics: Metrics) -> None:
        self._connect = connect
        self._clock = clock
        self._connection: Connection | None = None
        self._due_ms = 0
        self._records = Gauge(
            "oms_dlq_open_records",
            "Dead letters that wait for somebody.",
            ["channel", "class"],
            registry=metrics.registry,
        )
        self._groups = Gauge("oms_dlq_open_groups", "Causes of open dead letters.", registry=metrics.registry)
        self._oldest = Gauge(
            "oms_dlq_oldest_open_timestamp_seconds",
            "When the oldest open dead letter failed first; 0 without one.",
            registry=metrics.registry,
        )

    def each_round(self) -> None:
        """Measure, if it is due; while the database is away the last numbers stay."""
        now = self._clock.now_ms()
        if now < self._due_ms:
            return
        self._due_ms = now + MEASURE_EVERY_MS
        try:
            self._measure()
        except Exception as error:
            if not is_outage(error, self._connection):
                raise
            self.close()

    def close(self) -> None:
        """Drop the session."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _measure(self) -> None:
        if self._connection is None:
            self._connection = self._connect()
        rows = self._connection.execute(_OPEN).fetchall()
        groups = self._connection.execute(_GROUPS).fetchone()
        self._connection.rollback()
        self._records.clear()
        for channel, dead_letter_class, count, _ in rows:
            self._records.labels(channel, dead_letter_class).set(count)
        self._groups.set(groups[0] if groups else 0)
        self._oldest.set(min((oldest for *_, oldest in rows), default=0))
