"""Leases: who may write for one partition of one topic, and where it stands.

A lease is a row in ``oms.lease``. Taking it raises ``epoch`` and sets a new random ``owner``; every later
move is guarded by epoch, owner and the offset it starts from, in the same transaction as the work. So of two
processes that both believe they own a partition, only the one that took it last can commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID, uuid4

from tierline.kit.database import Connection

Key = TypeVar("Key")

GENESIS = bytes(32)
"""The hash before the first event of a partition."""


class LeaseLost(Exception):
    """Another process took a partition, or the row moved. Drop memory, take the lease again, read again."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One row: ``next_offset`` is the record to read next, ``next_position`` the event position to come next.

    ``chain_hash`` is the hash at ``next_position`` - 1; ``published_offset`` is the offset of the last event
    record that the broker acknowledged (0 before the first).
    """

    consumer: str
    topic: str
    partition: int
    epoch: int
    owner: UUID
    next_offset: int
    next_position: int = 0
    chain_hash: bytes = GENESIS
    published_offset: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a turn got in one partition. ``published_offset`` None keeps the one in the lease."""

    next_offset: int
    next_position: int = 0
    chain_hash: bytes = GENESIS
    published_offset: int | None = None


_ACQUIRE = """
INSERT INTO oms.lease AS held (consumer, topic, partition, epoch, owner, next_offset)
VALUES (%(consumer)s, %(topic)s, %(partition)s, 1, %(owner)s, %(log_start)s)
ON CONFLICT (consumer, topic, partition) DO UPDATE
   SET epoch = held.epoch + 1, owner = excluded.owner, updated_at = clock_timestamp()
RETURNING epoch, next_offset, next_position, chain_hash, published_offset
"""

_IS_HELD = """
SELECT 1 FROM oms.lease WHERE (consumer, topic, partition, epoch, owner) = (%s, %s, %s, %s, %s)
"""

_ADVANCE = """
UPDATE oms.lease AS held
   SET next_offset = moved.next_offset, next_position = moved.next_position, chain_hash = moved.chain_hash,
       published_offset = moved.published_offset, updated_at = clock_timestamp()
  FROM unnest(%b::text[], %b::int[], %b::bigint[], %b::uuid[], %b::bigint[], %b::bigint[], %b::bigint[],
              %b::bytea[], %b::bigint[])
    AS moved (topic, partition, epoch, owner, expected, next_offset, next_position, chain_hash,
              published_offset)
 WHERE held.consumer = %b AND held.topic = moved.topic AND held.partition = moved.partition
   AND held.epoch = moved.epoch AND held.owner = moved.owner AND held.next_offset = moved.expected
"""


def acquire(connection: Connection, consumer: str, topic: str, partition: int, log_start: int) -> Lease:
    """Take the lease of ``partition`` from whoever holds it; a first lease starts at ``log_start``.

    The caller commits. It waits for a previous holder's open transaction, until the server ends that.
    """
    owner = uuid4()
    row = connection.execute(
        _ACQUIRE,
        {
            "consumer": consumer,
            "topic": topic,
            "partition": partition,
            "owner": owner,
            "log_start": log_start,
        },
    ).fetchone()
    if row is None:
        raise LeaseLost(f"{consumer}: no lease row for {topic} partition {partition}")
    epoch, next_offset, next_position, chain_hash, published_offset = row
    return Lease(
        consumer,
        topic,
        partition,
        epoch,
        owner,
        next_offset,
        next_position,
        bytes(chain_hash),
        published_offset,
    )


def is_held(connection: Connection, lease: Lease) -> bool:
    """Whether nobody has taken ``lease`` since."""
    row = connection.execute(
        _IS_HELD, (lease.consumer, lease.topic, lease.partition, lease.epoch, lease.owner)
    )
    return row.fetchone() is not None


def advanced(lease: Lease, progress: Progress) -> Lease:
    """The lease as it stands after ``progress``."""
    published = progress.published_offset
    return replace(
        lease,
        next_offset=progress.next_offset,
        next_position=progress.next_position,
        chain_hash=progress.chain_hash,
        published_offset=lease.published_offset if published is None else published,
    )


def advance(
    connection: Connection, leases: Mapping[Key, Lease], moves: Mapping[Key, Progress]
) -> dict[Key, Lease]:
    """Move leases of one consumer, guarded, in the caller's transaction: one statement for all of them.

    Returns the moved leases. Raises LeaseLost when any row is not as this process left it; the caller must
    roll back then.
    """
    if not moves:
        return {}
    before = [leases[key] for key in moves]
    after = {key: advanced(leases[key], progress) for key, progress in moves.items()}
    changed = connection.execute(
        _ADVANCE,
        (
            [lease.topic for lease in before],
            [lease.partition for lease in before],
            [lease.epoch for lease in before],
            [lease.owner for lease in before],
            [lease.next_offset for lease in before],
            [lease.next_offset for lease in after.values()],
            [lease.next_position for lease in after.values()],
            [lease.chain_hash for lease in after.values()],
            [lease.published_offset for lease in after.values()],
            before[0].consumer,
        ),
    ).rowcount
    if changed != len(before):
        raise LeaseLost(
            f"{before[0].consumer}: {len(before) - changed} of {len(before)} leases on "
            f"{', '.join(sorted({lease.topic for lease in before}))} were taken by another process"
        )
    return after
