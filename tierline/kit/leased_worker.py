"""The loop shared by every worker with an effect: decider, projectors, payments, replies.

A turn takes what was read, of all partitions that this process holds, lets the handler work on it, moves the
leases and commits: one PostgreSQL transaction per turn. Then the handler may tell the world. When anything
is away, partitions stand still and the same records are read again from the lease: an outage never counts
against a record. A bug stops the partition whose records it met, and only that one; so does what is away and
needed by some records only.

The connection begins its transaction with its first statement, so a handler that waits for somebody else
before it writes holds no transaction while it waits.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
import structlog

from tierline.kit import leases as stored_leases
from tierline.kit.broker import Consumer
from tierline.kit.clock import Clock, SystemClock
from tierline.kit.continuity import Continuity
from tierline.kit.crash_points import reached
from tierline.kit.database import Connection, is_outage
from tierline.kit.errors import NotForAll, PositionOutsideLog, Unavailable
from tierline.kit.faults import named, places
from tierline.kit.garbage import collect_rarely
from tierline.kit.health import Health, Place
from tierline.kit.leases import Lease, LeaseLost, Progress
from tierline.kit.partition_watch import PartitionWatch
from tierline.kit.records import Record
from tierline.kit.retry import Backoff
from tierline.kit.telemetry import Metrics

__all__ = ["Batch", "Closed", "Handler", "Lease", "LeasedWorker", "Progress", "Record"]

Batch = Mapping[int, Sequence[Record]]

_POLL_S = 0.1
_TELL_EVERY_MS = 1_000
_CONFLICTS_UNTIL_BUG = 5


@dataclass(frozen=True, slots=True)
class Closed:
    """Why nobody may work on a partition, and what a person does about it."""

    reason: str
    action: str


class Handler(Protocol):
    """What a worker does with records. It keeps memory per partition and loses it at ``reset``."""

    def assigned(self, connection: Connection, lease: Lease) -> Lease | Closed:
        """A partition was taken: load, compare, catch up. Returns the lease to read from.

        ``Closed`` keeps the partition closed until the next assignment.
        """

    def process(
        self, connection: Connection, batch: Batch, leases: Mapping[int, Lease]
    ) -> Mapping[int, Progress]:
        """Do the work of one turn in the open transaction and say how far each partition got.

        Records at or after a partition's ``next_offset`` are given again with the next ones; a partition
        that is not in the answer did not move. Memory that depends on the commit changes in ``committed``.
        """

    def committed(self) -> None:
        """The turn is durable: take over memory, publish. An error here ends the process."""

    def reset(self, partitions: Collection[int]) -> None:
        """Forget these partitions: they are gone, or will be read again from their leases."""


class LeaseStore(Protocol):
    """Where leases are kept: module ``leases`` on PostgreSQL, ``MemoryLeases`` in tests."""

    def acquire(
        self, connection: Any, consumer: str, topic: str, partition: int, log_start: int
    ) -> Lease: ...

    def is_held(self, connection: Any, lease: Lease) -> bool: ...

    def advance(
        self, connection: Any, leases: Mapping[int, Lease], moves: Mapping[int, Progress]
    ) -> dict[int, Lease]: ...


def _cause(error: Exception) -> str:
    """``error`` in words; a conflict of rows by its name alone, since the server quotes their values."""
    return named(error) if isinstance(error, psycopg.IntegrityError) else repr(error)


def _nothing() -> None:
    return None


class LeasedWorker:
    """Runs one handler for consumer ``group`` on ``topic`` until ``stop``.

    ``connect`` opens a session (see ``database.connect``). ``each_turn`` is called in every round of the
    loop, records or not, for handlers with acknowledgements to serve; ``closing`` once, before the partitions
    are given back.
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
        health: Health,
        batch_records: int,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        lease_store: LeaseStore = stored_leases,
        each_turn: Callable[[], None] = _nothing,
        closing: Callable[[], None] = _nothing,
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
        self._health = health
        self._watch = PartitionWatch(group, topic, metrics, health, self._clock.now_ms)
        self._backoff = backoff or Backoff()
        self._lease_store = lease_store
        self._each_turn = each_turn
        self._closing = closing
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._assigned_once = False
        self._waiting: set[int] = set()
        self._leases: dict[int, Lease] = {}
        self._continuity = Continuity()
        self._failures: Counter[int] = Counter()
        self._conflicts = 0
        self._try_at_ms = 0
        self._told_at_ms = 0

    def stop(self) -> None:
        """Ask the loop to end after its turn; safe from signal handlers and other threads."""
        self._stopping.set()

    def run(self) -> None:
        """Work until ``stop``. Raises PositionOutsideLog when a lease points outside its topic."""
        collect_rarely()
        self.join()
        try:
            while not self._stopping.is_set():
                self.turn()
        finally:
            self.leave()

    def join(self) -> None:
        """Become a member of the consumer group; partitions come with later turns."""
        self._consumer.subscribe(self._topic, self._assigned, self._revoked)

    def turn(self) -> None:
        """One round: take waiting partitions, read, work, commit."""
        self._health.beat()
        self._take_waiting()
        records = self._consumer.poll(self._batch_records, _POLL_S)
        if records:
            self._read(records)
        self._each_turn()
        self._tell_positions(every_ms=_TELL_EVERY_MS)

    def leave(self) -> None:
        """Give everything back."""
        self._closing()
        self._tell_positions(every_ms=0)
        self._handler.reset(list(self._leases))
        self._consumer.close()
        self._drop_session()

    # --- partitions come and go ---------------------------------------------------------------------------

    def _assigned(self, partitions: Collection[int]) -> None:
        self._assigned_once = True
        self._waiting.update(partitions)
        self._watch.opening(self._places(partitions))
        self._try_at_ms = 0
        self._log.info("partitions_assigned", partitions=sorted(partitions))

    def _revoked(self, partitions: Collection[int]) -> None:
        self._forget(partitions)
        self._waiting.difference_update(partitions)
        for partition in partitions:
            self._failures.pop(partition, None)
        self._watch.gone(self._places(partitions))
        self._log.info("partitions_revoked", partitions=sorted(partitions))

    def _forget(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._leases.pop(partition, None)
            self._continuity.forget(partition)
        self._handler.reset(partitions)

    def _places(self, partitions: Collection[int]) -> list[Place]:
        return [(self._topic, partition) for partition in partitions]

    def _take_waiting(self) -> None:
        if self._waiting and self._clock.now_ms() >= self._try_at_ms:
            try:
                connection = self._session()
                for partition in sorted(self._waiting):
                    self._take(connection, partition)
                    self._health.beat()
            except LeaseLost as error:
                self._wait_after(error, self._waiting)
            except Exception as error:
                if not self._is_outage(error):
                    raise
                self._wait_after(error, self._leases)
        if self._assigned_once and not self._waiting:
            self._watch.taken_over()

    def _take(self, connection: Connection, partition: int) -> None:
        lease = self._acquire(connection, partition)
        opened = self._handler.assigned(connection, lease)
        connection.commit()
        if isinstance(opened, Closed):
            self._close(connection, lease, opened)
            return
        self._waiting.discard(partition)
        self._leases[partition] = opened
        self._watch.opened([(self._topic, partition)])
        self._consumer.start(partition, opened.next_offset)
        self._log.info(
            "partition_opened",
            partition=partition,
            epoch=opened.epoch,
            next_offset=opened.next_offset,
            next_position=opened.next_position,
        )

    def _acquire(self, connection: Connection, partition: int) -> Lease:
        """The lease of ``partition``, held against the log once nobody else can move it any more."""
        first, end = self._consumer.log_range(partition)
        lease = self._lease_store.acquire(connection, self._group, self._topic, partition, first)
        connection.commit()
        reached("worker.after_acquire")
        if lease.next_offset > end:
            first, end = self._consumer.log_range(partition)
        if not first <= lease.next_offset <= end:
            raise PositionOutsideLog(
                f"{self._group}: the lease continues {self._topic} partition {partition} at offset "
                f"{lease.next_offset}, but the log holds {first} to {end}. Restore the topic, or set "
                f"next_offset in oms.lease to where this consumer shall continue"
            )
        return lease

    def _close(self, connection: Connection, lease: Lease, closed: Closed) -> None:
        """Keep a partition closed and page, unless what was compared is out of date: a process that was
        frozen meanwhile has seen the work of its successor, and that is nobody's damage.
        """
        still_held = self._lease_store.is_held(connection, lease)
        connection.commit()
        if not still_held:
            raise LeaseLost(f"{self._group}: partition {lease.partition} of {self._topic} has a new owner")
        self._waiting.discard(lease.partition)
        self._watch.closed((self._topic, lease.partition))
        self._log.error(
            "partition_closed", partition=lease.partition, reason=closed.reason, action=closed.action
        )

    # --- records ------------------------------------------------------------------------------------------

    def _read(self, records: Sequence[Record]) -> None:
        taken = self._continuity.take(records, {p: lease.next_offset for p, lease in self._leases.items()})
        if taken.read_again:
            self._wait_after(Unavailable(f"records missing in {list(taken.read_again)}"), taken.read_again)
        for partition, pending in taken.batch.items():
            self._watch.met((self._topic, partition), pending[0].timestamp_ms)
        if taken.batch:
            started = time.perf_counter()
            self._work(taken.batch)
            self._metrics.processing.labels(self._group).observe(time.perf_counter() - started)

    def _work(self, batch: Batch) -> None:
        try:
            moved = self._transact(batch)
        except Exception as error:  # noqa: BLE001 - sorted into outage, lost lease and bug
            self._roll_back()
            if self._is_outage(error) and not isinstance(error, NotForAll):
                self._wait_after(error, self._leases)
            elif isinstance(error, LeaseLost) or self._is_passing_conflict(error):
                self._wait_after(error, batch)
            elif len(batch) > 1:
                self._work_one_by_one(batch, error)
            elif isinstance(error, NotForAll):
                self._wait_after(error, batch)
            else:
                self._stall(next(iter(batch)), error)
            return
        self._conflicts = 0
        self._leases.update(moved)
        for partition, records in batch.items():
            self._failures.pop(partition, None)
            self._continuity.keep(partition, records, self._leases[partition].next_offset)
        self._handler.committed()
        reached("worker.after_committed")
        self._measure(batch, moved)

    def _transact(self, batch: Batch) -> dict[int, Lease]:
        connection = self._session()
        moves = self._handler.process(connection, batch, self._leases)
        reached("worker.after_process")
        moved = self._lease_store.advance(connection, self._leases, moves)
        reached("worker.before_commit")
        connection.commit()
        reached("worker.after_commit")
        return moved

    def _work_one_by_one(self, batch: Batch, error: Exception) -> None:
        """Find the partition that the error belongs to: each partition gets a transaction of its own."""
        self._log.warning("turn_split", partitions=sorted(batch), error=named(error))
        self._handler.reset(list(batch))
        for partition, records in batch.items():
            if partition in self._leases:
                self._work({partition: records})

    def _stall(self, partition: int, error: Exception) -> None:
        self._consumer.stop(partition)
        self._forget([partition])
        self._watch.stalled((self._topic, partition), named(error))
        self._log.error(
            "partition_stalled",
            partition=partition,
            error=named(error),
            frames=places(error),
            action="deploy a corrected worker: it continues at the record where this one stopped",
        )

    # --- outages ------------------------------------------------------------------------------------------

    def _is_outage(self, error: Exception) -> bool:
        return isinstance(error, Unavailable) or is_outage(error, self._connection)

    def _is_passing_conflict(self, error: Exception) -> bool:
        """Whether another partition wrote the same row first: decided again it comes out right."""
        if not isinstance(error, psycopg.errors.UniqueViolation):
            return False
        self._conflicts += 1
        return self._conflicts < _CONFLICTS_UNTIL_BUG

    def _wait_after(self, error: Exception, partitions: Collection[int]) -> None:
        """Let ``partitions`` stand still and take them again, from their leases, after a while."""
        lost = list(partitions)
        for partition in lost:
            self._consumer.stop(partition)
        self._forget(lost)
        self._waiting.update(lost)
        if self._is_outage(error):
            self._watch.waiting(self._places(self._waiting), _cause(error))
        else:
            self._watch.opening(self._places(lost))
        self._failures.update(self._waiting)
        wait_ms = self._backoff.wait_ms(min(self._failures[partition] for partition in self._waiting))
        self._try_at_ms = self._clock.now_ms() + wait_ms
        self._metrics.retries.labels(self._group, type(error).__name__).inc()
        self._drop_session()
        self._log.warning("waiting", cause=_cause(error), wait_ms=wait_ms, partitions=sorted(self._waiting))

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

    # --- what operators see -------------------------------------------------------------------------------

    def _measure(self, batch: Batch, moved: Mapping[int, Lease]) -> None:
        for partition in moved:
            place = (self._topic, partition)
            self._watch.moved(place)
            self._watch.met(place, batch[partition][-1].timestamp_ms)

    def _tell_positions(self, every_ms: int) -> None:
        now = self._clock.now_ms()
        if not self._leases or now - self._told_at_ms < every_ms:
            return
        self._told_at_ms = now
        self._consumer.commit({p: lease.next_offset for p, lease in self._leases.items()})
        for partition, lease in self._leases.items():
            lag = self._consumer.lag(partition, lease.next_offset)
            if lag is not None:
                self._watch.behind((self._topic, partition), lag)
