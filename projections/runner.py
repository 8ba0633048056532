"""The projector: takes events into all read models, one transaction per turn, its leases included.

A turn ends on decision boundaries, so no reader ever sees half a decision. Events that do not continue
their chain stop the partition (see ``intake``); events of a type that this version does not know are
counted, and kept by the models that take every type.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from prometheus_client import Counter

from projections import audit_entry, store
from projections.intake import HashesAt, ReadEvent, continues, take_in_blocks
from projections.models import KNOWN_TYPES, READ_MODELS
from projections.read_model import Event, ReadModel, folding
from projections.versions import note_versions
from schemas.topics import EVENTS, PROJECTOR
from tierline.kit.crash_points import reached
from tierline.kit.database import Connection
from tierline.kit.leased_worker import Batch
from tierline.kit.leases import Lease, Progress
from tierline.kit.telemetry import Metrics

BATCH_RECORDS = 2_000
"""Records per turn that pay for themselves while catching up; in quiet times a turn takes what is there."""

PART_RECORDS = 250
"""Records that are read before their part of the audit trail goes to the server."""

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
        self._folding = folding(models)
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
        turn = _Turn(connection, batch, leases, self._read)
        trail = audit_entry.MODEL
        straight = turn.continues and trail in self._models
        appended = straight and store.append(connection, trail, trail.table.live, turn)
        turn.finish()
        reached("projector.after_fold")
        for model in self._folding:
            if not (appended and model is trail):
                store.apply_live(connection, model, turn.events)
        reached("projector.after_write")
        self._unknown = Tally(e["type"] for e in turn.events if e["type"] not in KNOWN_TYPES)
        return turn.moves

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
            store.create_stages(connection, self._folding)
            self._prepared = connection


class _Turn:
    """The records of one turn, read part by part: an iterator of events, which also stand in ``events``.

    ``continues``: none comes a second time, so reading asks nothing of the session, and what is read may
    already be on its way to the server. ``moves``: how far each partition got.
    """

    def __init__(
        self, connection: Connection, batch: Batch, leases: Mapping[int, Lease], read: ReadEvent
    ) -> None:
        self._connection = connection
        self._batch = batch
        self._starts = {
            p: Progress(leases[p].next_offset, leases[p].next_position, leases[p].chain_hash) for p in batch
        }
        self._read = read
        self._parts = self._read_parts()
        self.continues = all(continues(batch[p], start) for p, start in self._starts.items())
        self.events: list[Event] = []
        self.moves: dict[int, Progress] = {}

    def __iter__(self) -> Iterator[Sequence[Event]]:
        return self._parts

    def finish(self) -> None:
        """Read what is left."""
        for _ in self._parts:
            pass

    def _read_parts(self) -> Iterator[Sequence[Event]]:
        for partition, records in self._batch.items():
            place = start = self._starts[partition]
            size = PART_RECORDS if self.continues else len(records)
            hashes_at = hashes_of(self._connection, partition)
            for intake in take_in_blocks(records, start, self._read, hashes_at, size):
                place = intake.progress
                self.events += intake.events
                yield intake.events
            if place != start:
                self.moves[partition] = place


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
