"""The events in PostgreSQL: appended by COPY, read by position to be published, by stream to be folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from streams.deciding.copy_rows import bigint, copy_block, instant, integer, raw, row, text, uuid, word
from streams.deciding.recording import StoredEvent
from tierline.domain.values import quickly_made
from tierline.kit.database import Connection

_COPY = """
COPY oms.event (partition, position, stream_id, version, account_id, order_id, type, recorded_at, hash, value)
FROM STDIN (FORMAT BINARY)
"""

_FROM_POSITION = """
SELECT position, account_id, type, hash, value FROM oms.event
 WHERE partition = %s AND position >= %s AND position < %s ORDER BY position
"""

_HASH_AT = "SELECT hash FROM oms.event WHERE partition = %s AND position = %s"

_AFTER_VERSIONS = """
SELECT event.stream_id, event.value
  FROM unnest(%s::text[], %s::int[]) AS known (stream_id, version)
  JOIN oms.event ON event.stream_id = known.stream_id AND event.version > known.version
 ORDER BY event.stream_id, event.version
"""

_CHUNK = 1_000


@quickly_made
@dataclass(frozen=True, slots=True)
class Published:
    """What the events topic carries of one stored event."""

    partition: int
    position: int
    account_id: str
    type: str
    hash: bytes
    value: bytes


def append(connection: Connection, events: Sequence[StoredEvent]) -> None:
    """Write ``events``. A position or a version of a stream that is taken raises UniqueViolation."""
    if not events:
        return
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.write(copy_block([_row(stored) for stored in events]))


def _row(stored: StoredEvent) -> bytes:
    event = stored.event
    return row(
        integer(event.partition),
        bigint(event.position),
        text(event.stream_id),
        integer(event.version),
        text(event.account_id),
        uuid(event.order_id),
        word(event.type),
        instant(event.recorded_at),
        raw(stored.hash),
        raw(stored.value),
    )


def hash_at(connection: Connection, partition: int, position: int) -> bytes | None:
    """The chain hash of the event at ``position``, None where the store has none."""
    found = connection.execute(_HASH_AT, (partition, position)).fetchone()
    return None if found is None else bytes(found[0])


def read_positions(connection: Connection, partition: int, start: int, end: int) -> Iterator[Published]:
    """The events with ``start`` ≤ position < ``end``, in order, in bounded portions."""
    while start < end:
        rows = connection.execute(
            _FROM_POSITION, (partition, start, min(end, start + _CHUNK)), binary=True
        ).fetchall()
        if not rows:
            return
        for position, account_id, type_, link, value in rows:
            yield Published(partition, position, account_id, type_, bytes(link), bytes(value))
        start = rows[-1][0] + 1


def read_streams(connection: Connection, after: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """(stream id, value) of every event of these streams beyond the given version, each stream in order."""
    if not after:
        return
    rows = connection.execute(_AFTER_VERSIONS, (list(after), list(after.values())), binary=True)
    for stream_id, value in rows:
        yield stream_id, bytes(value)
