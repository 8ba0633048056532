"""The projector: takes events into all read models, one transaction per turn, its leases included.

A turn ends on decision boundaries, so no reader ever sees half a decision. Events that do not continue
their chain stop the partition (see ``intake``); events of a type that this version does not know are
counted, and kept by the models that take every type.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Iterable, Mapping, Sequence

from prometheus_client import Counter

from projections import store
from projections.intake import HashesAt, ReadEvent, take_in
from projections.models import KNOWN_TYPES, READ_MODELS
from projections.read_model import Event, ReadModel
from projections.versions import note_versions
from schemas.topics import EVENTS, PROJECTOR
from tierline.kit.crash_points import reached
from tierline.kit.database import Connection
from tierline.kit.leased_worker import Batch
from tierline.kit.leases import Lease, Progress
from tierline.kit.telemetry import Metrics

BATCH_RECORDS = 2_000
"""Records per turn that pay for themselves while catching up; in quiet times a turn takes what is there."""

_HASHES = "SELECT position, hash FROM {} WHERE partition = %s AND position = ANY(%s)"
_HOLD = """
SELECT partition FROM oms.lease WHERE consumer = %s AND topic = %s AND partition = ANY(%s)
 ORDER BY partition FOR NO KEY UPDATE
"""


class Projector:
    """Handler of the projector's worker: group PROJECTOR on the topic of events."""

    def __init__(self, read: ReadEvent, metrics: Metrics, models: Sequence[ReadModel] = READ_MODELS) -> None:
        self._read = read
        self._models = models
        self._prepared: Connection | None = None
        self._unknown: Tally[str] = Tally()
        self._unknown_total = Counter(
            "oms_unknown_events",
            "Events of a type that this version does not know.",
            ["type"],
            registry=metrics.registry,
        )

    def assigned(self, connection: Connection, lease: Lease) -> Lease:
        """Every partition is read on from its lease."""
        note_versions(connection, self._models)
        return lease

    def process(
        self, connection: Connection, batch: Batch, leases: Mapping[int, Lease]
    ) -> Mapping[int, Progress]:
        """Verify, fold and write one turn. Raises LogBroken where a partition does not continue."""
        self._prepare(connection)
        hold_leases(connection, batch)
        moves: dict[int, Progress] = {}
        events: list[Event] = []
        for partition, records in batch.items():
            lease = leases[partition]
            start = Progress(lease.next_offset, lease.next_position, lease.chain_hash)
            intake = take_in(records, start, self._read, hashes_of(connection, partition))
            if intake.progress != start:
                moves[partition] = intake.progress
            events += intake.events
        reached("projector.after_fold")
        for model in self._models:
            store.apply(connection, model, model.table.live, events)
        reached("projector.after_write")
        self._unknown = Tally(e["type"] for e in events if e["type"] not in KNOWN_TYPES)
        return moves

    def committed(self) -> None:
        """Count what the turn met."""
        for kind, times in self._unknown.items():
            self._unknown_total.labels(kind).inc(times)
        self._unknown.clear()

    def reset(self, partitions: Collection[int]) -> None:  # noqa: ARG002 - nothing is kept per partition
        """A turn was undone, and with it what it prepared in the session."""
        self._prepared = None
        self._unknown.clear()

    def _prepare(self, connection: Connection) -> None:
        if self._prepared is not connection:
            store.create_stages(connection, self._models)
            self._prepared = connection


def hold_leases(connection: Connection, partitions: Iterable[int]) -> None:
    """Hold the projector's leases until the end of the transaction.

    Taken before any row is written, so that a rebuild can wait for a turn to end and keep the next one out
    while it swaps tables.
    """
    connection.execute(_HOLD, (PROJECTOR, EVENTS.name, sorted(partitions)))


def hashes_of(connection: Connection, partition: int, table: str = "read.audit_entry") -> HashesAt:
    """The hashes of earlier events of ``partition``, as the audit trail has them."""

    def hashes_at(positions: Collection[int]) -> Mapping[int, bytes]:
        rows = connection.execute(_HASHES.format(table), (partition, list(positions))).fetchall()
        return {position: bytes(link) for position, link in rows}

    return hashes_at
