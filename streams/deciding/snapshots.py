"""Snapshots: folded states kept so that a stream need not be folded from its first event.

A snapshot only saves time. It is written when ``EVERY`` events came since the last one, because folding a
few events costs less than writing a state after each order; one of another fold version is passed over and
the stream is folded anew. Dropping all of them changes no decision.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from streams.deciding.state_bytes import StreamState, bytes_of_state, state_of_bytes
from tierline.domain.state import FOLD_VERSION
from tierline.domain.values import quickly_made
from tierline.kit.database import Connection

EVERY = 16

_LOAD = "SELECT stream_id, version, state FROM oms.snapshot WHERE stream_id = ANY(%s) AND fold_version = %s"

_SAVE = """
INSERT INTO oms.snapshot AS kept (stream_id, partition, version, fold_version, state)
SELECT stream_id, partition, version, %b, state
  FROM unnest(%b::text[], %b::int[], %b::int[], %b::bytea[]) AS new (stream_id, partition, version, state)
ON CONFLICT (stream_id) DO UPDATE
   SET version = excluded.version, fold_version = excluded.fold_version, state = excluded.state
"""


@quickly_made
@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as it is folded: its last version, the state, and the version its snapshot has (0: none)."""

    version: int
    state: StreamState
    snapshot_version: int = 0

    @property
    def is_due(self) -> bool:
        """Whether enough happened since the last snapshot to write another."""
        return self.version - self.snapshot_version >= EVERY


def load_snapshots(connection: Connection, stream_ids: Collection[str]) -> dict[str, Stream]:
    """The usable snapshots among ``stream_ids``; the versions they stand at may lie behind the store's."""
    if not stream_ids:
        return {}
    rows = connection.execute(_LOAD, (list(stream_ids), FOLD_VERSION), binary=True)
    return {stream_id: Stream(version, state_of_bytes(state), version) for stream_id, version, state in rows}


def save_snapshots(
    connection: Connection, streams: Mapping[str, Stream], partition_of: Mapping[str, int]
) -> None:
    """Write the states of ``streams``, which belong to the given partitions."""
    if not streams:
        return
    connection.execute(
        _SAVE,
        (
            FOLD_VERSION,
            list(streams),
            [partition_of[stream_id] for stream_id in streams],
            [stream.version for stream in streams.values()],
            [bytes_of_state(stream.state) for stream in streams.values()],
        ),
    )
