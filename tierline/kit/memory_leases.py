"""The in-memory twin of the leases, with sessions that keep moves back until their commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import uuid4

import psycopg

from tierline.kit.leases import Lease, LeaseLost, Progress, advanced


class MemorySession:
    """As much of a session as the worker loop touches. ``fail_commit`` makes the next commit raise."""

    def __init__(self) -> None:
        self.closed = False
        self.fail_commit: Exception | None = None
        self._staged: list[Callable[[], None]] = []

    def stage(self, effect: Callable[[], None]) -> None:
        """Let ``effect`` happen at commit, and not at all after a rollback."""
        if self.closed:
            raise psycopg.OperationalError("the connection is closed")
        self._staged.append(effect)

    def commit(self) -> None:
        if self.fail_commit is not None:
            error, self.fail_commit = self.fail_commit, None
            self._staged.clear()
            raise error
        staged, self._staged = self._staged, []
        for effect in staged:
            effect()

    def rollback(self) -> None:
        self._staged.clear()

    def close(self) -> None:
        self._staged.clear()
        self.closed = True


class MemoryLeases:
    """Lease rows in a dictionary by (consumer, topic, partition)."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, int], Lease] = {}

    def acquire(
        self, connection: MemorySession, consumer: str, topic: str, partition: int, log_start: int
    ) -> Lease:
        key = (consumer, topic, partition)
        known = self.rows.get(key)
        lease = Lease(
            consumer,
            topic,
            partition,
            epoch=known.epoch + 1 if known else 1,
            owner=uuid4(),
            next_offset=known.next_offset if known else log_start,
        )
        if known:
            lease = advanced(
                lease,
                Progress(known.next_offset, known.next_position, known.chain_hash, known.published_offset),
            )
        connection.stage(lambda: self.rows.__setitem__(key, lease))
        return lease

    def is_held(self, connection: MemorySession, lease: Lease) -> bool:  # noqa: ARG002 - what is committed counts
        row = self.rows.get((lease.consumer, lease.topic, lease.partition))
        return row is not None and (row.epoch, row.owner) == (lease.epoch, lease.owner)

    def advance(
        self, connection: MemorySession, leases: Mapping[int, Lease], moves: Mapping[int, Progress]
    ) -> dict[int, Lease]:
        after = {p: advanced(leases[p], progress) for p, progress in moves.items()}
        for partition in moves:
            mine = leases[partition]
            held = self.rows.get((mine.consumer, mine.topic, partition))
            if held is None or (held.epoch, held.owner, held.next_offset) != (
                mine.epoch,
                mine.owner,
                mine.next_offset,
            ):
                raise LeaseLost(f"{mine.topic} partition {partition} was taken by another process")
        for lease in after.values():
            key = (lease.consumer, lease.topic, lease.partition)
            connection.stage(lambda key=key, lease=lease: self.rows.__setitem__(key, lease))  # type: ignore[misc]
        return after
