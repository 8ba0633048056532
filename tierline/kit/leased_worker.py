"""The loop shared by every worker with an effect: decider, projectors, payments, replies.

A turn takes what was read, of all partitions that this process holds, lets the handler work on it, moves the
leases and commits: one PostgreSQL transaction per turn. Then the handler may tell the world. When anything
is away, partitions stand still and the same records are read again from the lease: an outage never counts
against a record. A bug stops the partition whose records it met, and only that one.

The connection begins its transaction with its first statement, so a handler that waits for somebody else
before it writes holds no transaction while it waits.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import psycopg
import structlog

from tierline.kit import leases
from tierline.kit.broker import Consumer
from tierline.kit.clock import Clock, SystemClock
from tierline.kit.crash_points import reached
from tierline.kit.database import Connection, is_outage
from tierline.kit.errors import PositionOutsideLog, Unavailable
from tierline.kit.leases import Lease, LeaseLost, Progress
from tierline.kit.records import Record
from tierline.kit.retry import Backoff
from tierline.kit.telemetry import Metrics

__all__ = ["Handler", "Lease", "LeasedWorker", "Progress", "Record"]

Batch = Mapping[int, Sequence[Record]]

_POLL_S = 0.1
_COMMIT_EVERY_MS = 1_000
_REPEATED_CONFLICTS = 5


class Handler(Protocol):
    """What a worker does with records. It keeps memory per partition and loses it at ``reset``."""

    def assigned(self, connection: Connection, lease: Lease) -> Lease | None:
        """A partition was taken: load, compare, catch up. Returns the lease to read from.

        None keeps the partition closed until the next assignment; the handler has said why in the log.
        """

    def process(
        self, connection: Connection, batch: Batch, leases: Mapping[int, Lease]
    ) -> Mapping[int, Progress]:
        """Do the work of one turn in the open transaction and say how far each partition got.

        Records at or after a partition's ``next_offset`` are given again with the next ones; a partition
        that is not in the answer did not move. Memory that depends on the commit changes in ``committed``.
        """

    def committed(self) -> None:
        """The turn is durable: take over memory, publish."""

    def reset(self, partitions: Collection[int]) -> None:
        """Forget these partitions: they are gone, or will be read again from their leases."""


def _nothing() -> None:
    return None


class LeasedWorker:
    """Runs one handler for consumer ``group`` on ``topic`` until ``stop``.

    ``connect`` opens a session (see ``database.connect``). ``each_turn`` is called in every round of the
    loop, records or not, for handlers with acknowledgements to serve.
    """

    def __init__(
        self,
        *,
        group: str,
        topic: str,
        handler: Handler,
        consumer: Consumer,
        connect: Callable[[], Connection],
        metrics: Metrics,
        batch_records: int,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        each_turn: Callable[[], None] = _nothing,
    ) -> None:
        self._group = group
        self._topic = topic
        self._handler = handler
        self._consumer = consumer
        self._connect = connect
        self._metrics = metrics
        self._log = structlog.get_logger(__name__).bind(consumer=group, topic=topic)
        self._batch_records = batch_records
        self._clock = clock or SystemClock()
        self._backoff = backoff or Backoff()
        self._each_turn = each_turn
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._waiting: set[int] = set()
        self._leases: dict[int, Lease] = {}
        self._carried: dict[int, list[Record]] = {}
        self._gap_seen: dict[int, int] = {}
        self._stopped: set[int] = set()
        self._failures = 0
        self._conflicts = 0
        self._try_at_ms = 0
        self._told_at_ms = 0

    def stop(self) -> None:
        """Ask the loop to end after its turn; safe from signal handlers and other threads."""
        self._stopping.set()

    def run(self) -> None:
        """Work until ``stop``. Raises PositionOutsideLog when a lease points outside its topic."""
        self._consumer.subscribe(self._topic, self._assigned, self._revoked)
        try:
            while not self._stopping.is_set():
                self.turn()
        finally:
            self._close()

    def turn(self) -> None:
        """One round: take waiting partitions, read, work, commit."""
        self._take_waiting()
        records = self._consumer.poll(self._batch_records, _POLL_S)
        batch = self._expected(records)
        if batch:
            started = time.perf_counter()
            self._work(batch)
            self._metrics.processing.labels(self._group).observe(time.perf_counter() - started)
        self._each_turn()
        self._tell_positions()

    # --- partitions come and go ---------------------------------------------------------------------------

    def _assigned(self, partitions: Collection[int]) -> None:
        self._waiting.update(partitions)
        self._try_at_ms = 0
        self._log.info("partitions_assigned", partitions=sorted(partitions))

    def _revoked(self, partitions: Collection[int]) -> None:
        self._forget(partitions)
        self._waiting.difference_update(partitions)
        for partition in partitions:
            self._stopped.discard(partition)
            for gauge in (self._metrics.closed, self._metrics.stalled, self._metrics.lag):
                gauge.labels(self._group, self._topic, str(partition)).set(0)
        self._log.info("partitions_revoked", partitions=sorted(partitions))

    def _forget(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._leases.pop(partition, None)
            self._carried.pop(partition, None)
        self._handler.reset(partitions)

    def _take_waiting(self) -> None:
        if not self._waiting or self._clock.now_ms() < self._try_at_ms:
            return
        try:
            connection = self._session()
            for partition in sorted(self._waiting):
                self._take(connection, partition)
        except Exception as error:
            if not self._is_outage(error):
                raise
            self._wait_after(error, ())

    def _take(self, connection: Connection, partition: int) -> None:
        first, end = self._consumer.log_range(partition)
        lease = leases.acquire(connection, self._group, self._topic, partition, first)
        connection.commit()
        reached("worker.after_acquire")
        if not first <= lease.next_offset <= end:
            raise PositionOutsideLog(
                f"{self._group}: the lease continues {self._topic} partition {partition} at offset "
                f"{lease.next_offset}, but the log holds {first} to {end}. Restore the topic, or set "
                f"next_offset in oms.lease to where this consumer shall continue"
            )
        opened = self._handler.assigned(connection, lease)
        connection.commit()
        self._waiting.discard(partition)
        if opened is None:
            self._keep_still(partition, self._metrics.closed)
            return
        self._leases[partition] = opened
        self._consumer.start(partition, opened.next_offset)
        self._failures = 0
        self._log.info(
            "partition_opened",
            partition=partition,
            epoch=opened.epoch,
            next_offset=opened.next_offset,
            next_position=opened.next_position,
        )

    def _keep_still(self, partition: int, gauge: object) -> None:
        self._stopped.add(partition)
        self._consumer.stop(partition)
        gauge.labels(self._group, self._topic, str(partition)).set(1)  # type: ignore[attr-defined]

    # --- records ------------------------------------------------------------------------------------------

    def _expected(self, records: Sequence[Record]) -> dict[int, list[Record]]:
        """The records by partition that continue each lease, without what was read before."""
        found: dict[int, list[Record]] = defaultdict(list)
        for record in records:
            if record.partition in self._leases:
                found[record.partition].append(record)
        batch: dict[int, list[Record]] = {}
        for partition, read in found.items():
            carried = self._carried.pop(partition, [])
            expected = carried[-1].offset + 1 if carried else self._leases[partition].next_offset
            fresh = [r for r in read if r.offset >= expected]
            if fresh and self._is_gap(partition, expected, fresh[0].offset):
                self._consumer.start(partition, self._leases[partition].next_offset)
                continue
            if carried or fresh:
                batch[partition] = carried + fresh
        return batch

    def _is_gap(self, partition: int, expected: int, offset: int) -> bool:
        """Whether records are missing before ``offset`` that a second look may still find.

        A log may have holes of its own (markers of transactional producers): the same hole twice is one.
        """
        if offset == expected or self._gap_seen.get(partition) == offset:
            self._gap_seen.pop(partition, None)
            return False
        self._gap_seen[partition] = offset
        self._log.warning("gap_read_again", partition=partition, expected=expected, found=offset)
        return True

    def _work(self, batch: dict[int, list[Record]]) -> None:
        try:
            self._commit_turn(batch)
        except Exception as error:  # noqa: BLE001 - sorted into outage, lost lease and bug
            self._roll_back()
            if isinstance(error, LeaseLost) or self._is_outage(error) or self._is_passing_conflict(error):
                self._wait_after(error, batch)
            elif len(batch) > 1:
                self._work_one_by_one(batch, error)
            else:
                self._stall(next(iter(batch)), error)
        else:
            self._failures = self._conflicts = 0

    def _commit_turn(self, batch: dict[int, list[Record]]) -> None:
        connection = self._session()
        moves = self._handler.process(connection, batch, self._leases)
        reached("worker.after_process")
        moved = leases.advance(connection, self._leases, moves)
        reached("worker.before_commit")
        connection.commit()
        reached("worker.after_commit")
        self._leases.update(moved)
        self._carry(batch)
        self._handler.committed()
        reached("worker.after_committed")
        self._measure(batch, moved)

    def _carry(self, batch: dict[int, list[Record]]) -> None:
        for partition, records in batch.items():
            next_offset = self._leases[partition].next_offset
            if records[-1].offset >= next_offset:
                self._carried[partition] = [r for r in records if r.offset >= next_offset]

    def _work_one_by_one(self, batch: dict[int, list[Record]], error: Exception) -> None:
        """Find the partition that the bug belongs to: each partition gets a transaction of its own."""
        self._log.warning("turn_split", partitions=sorted(batch), error=repr(error))
        self._handler.reset(list(batch))
        for partition, records in batch.items():
            if partition in self._leases:
                self._work({partition: records})

    def _stall(self, partition: int, error: Exception) -> None:
        self._forget([partition])
        self._keep_still(partition, self._metrics.stalled)
        self._log.error(
            "partition_stalled",
            partition=partition,
            error=repr(error),
            action="deploy a corrected worker: it continues at the record where this one stopped",
            exc_info=error,
        )

    # --- outages ------------------------------------------------------------------------------------------

    def _is_outage(self, error: Exception) -> bool:
        return isinstance(error, Unavailable) or is_outage(error, self._connection)

    def _is_passing_conflict(self, error: Exception) -> bool:
        """Whether another partition wrote the same row first: decided again it comes out right."""
        if not isinstance(error, psycopg.errors.UniqueViolation):
            return False
        self._conflicts += 1
        return self._conflicts < _REPEATED_CONFLICTS

    def _wait_after(self, error: Exception, partitions: Collection[int]) -> None:
        """Let everything stand still, then take the partitions again from their leases."""
        lost = set(partitions) or set(self._leases)
        if self._is_outage(error):
            lost = set(self._leases)
        for partition in lost:
            self._consumer.stop(partition)
        self._forget(lost)
        self._waiting.update(lost)
        self._failures += 1
        wait_ms = self._backoff.wait_ms(self._failures)
        self._try_at_ms = self._clock.now_ms() + wait_ms
        self._metrics.retries.labels("", type(error).__name__).inc()
        self._drop_session()
        self._log.warning("waiting", cause=repr(error), wait_ms=wait_ms,
            partitions=sorted(self._waiting),
        )  # fmt: skip

    def _session(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        return self._connection

    def _roll_back(self) -> None:
        if self._connection is not None and not self._connection.closed:
            try:
                self._connection.rollback()
            except psycopg.Error:
                self._drop_session()

    def _drop_session(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close(self) -> None:
        self._handler.reset(list(self._leases))
        self._consumer.close()
        self._drop_session()

    # --- what operators see -------------------------------------------------------------------------------

    def _measure(self, batch: dict[int, list[Record]], moved: Mapping[int, Lease]) -> None:
        now = self._clock.now_ms()
        for partition in moved:
            place = (self._group, self._topic, str(partition))
            self._metrics.last_progress.labels(*place).set(now / 1000)
            self._metrics.oldest_unprocessed.labels(*place).set(batch[partition][-1].timestamp_ms / 1000)

    def _tell_positions(self) -> None:
        now = self._clock.now_ms()
        if now - self._told_at_ms < _COMMIT_EVERY_MS or not self._leases:
            return
        self._told_at_ms = now
        self._consumer.commit({p: lease.next_offset for p, lease in self._leases.items()})
        for partition, lease in self._leases.items():
            lag = self._consumer.lag(partition, lease.next_offset)
            if lag is not None:
                self._metrics.lag.labels(self._group, self._topic, str(partition)).set(lag)
