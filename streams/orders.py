"""The decider: one writer per partition that turns commands into events.

A turn reads commands of all partitions that this process holds, loads what they are about, and decides them
one after another with no transaction open. It writes events, claims, account context, snapshots and leases in
one PostgreSQL transaction (docs/decisions/0002-one-transaction-per-turn.md). After the commit it publishes
the very bytes it stored. Memory (folded streams, positions, chain) changes only after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from schemas.codec import Codec
from streams.deciding.agreement import RESTORE, Disagreement, compare
from streams.deciding.burial import bury, letter_of
from streams.deciding.checkpoints import Checkpoints, NoCheckpoints
from streams.deciding.command_reading import Asked, CommandReader, Poison
from streams.deciding.decision_store import DecisionStore
from streams.deciding.event_store import Published
from streams.deciding.outcome_log import OutcomeLog
from streams.deciding.recording import Head, Recorder, StoredEvent
from streams.deciding.stream_cache import StreamCache
from streams.deciding.turn import Rules, Turn
from streams.publisher import Publisher
from tierline.kit.broker import Log, Producer
from tierline.kit.clock import Clock
from tierline.kit.database import Connection
from tierline.kit.leased_worker import Batch, Closed
from tierline.kit.leases import Lease, Progress
from tierline.kit.telemetry import Metrics

_CLOSING_S = 5.0


@dataclass(frozen=True, slots=True)
class Ports:
    """What the decider needs from the world.

    ``store`` keeps what is decided; ``connect`` opens the session in which verdicts are written; ``fail``
    ends the process.
    """

    store: DecisionStore
    producer: Producer
    log: Log
    clock: Clock
    connect: Callable[[], Connection]
    fail: Callable[[str], NoReturn]


class Orders:
    """Handler of the leased worker on ``oms.commands.v1``."""

    def __init__(
        self,
        *,
        codec: Codec,
        rules: Rules,
        partitions: int,
        app_version: str,
        ports: Ports,
        metrics: Metrics,
        cache: StreamCache | None = None,
        checkpoints: Checkpoints | NoCheckpoints | None = None,
    ) -> None:
        self._codec = codec
        self._rules = rules
        self._app_version = app_version
        self._ports = ports
        self._store = ports.store
        self._publisher = Publisher(ports.producer, ports.fail)
        self._outcome_log = OutcomeLog(metrics)
        self._cache = cache or StreamCache()
        self._checkpoints = checkpoints or NoCheckpoints()
        self._reader = CommandReader(codec, partitions)
        self._recorder = Recorder(codec, app_version)
        self._turn: Turn | None = None

    # --- partitions -----------------------------------------------------------------------------------------

    def assigned(self, connection: Connection, lease: Lease) -> Lease | Closed:
        """Compare topic and store; publish what only the store has. Closed: they contradict each other."""
        found = compare(
            self._ports.log,
            lease,
            lambda position: self._store.hash_at(connection, lease.partition, position),
        )
        if isinstance(found, Disagreement):
            return Closed(found.reason, RESTORE)
        self._publisher.publish(
            self._store.read_positions(connection, lease.partition, found.next_position, lease.next_position)
        )
        self._checkpoints.opened(lease.partition, lease.next_position)
        return replace(lease, published_offset=max(lease.published_offset, found.published_offset or 0))

    def reset(self, partitions: Collection[int]) -> None:
        """Forget everything about ``partitions``, the turn under way included."""
        self._turn = None
        self._cache.forget(partitions)
        self._checkpoints.given_up(partitions)

    # --- a turn -----------------------------------------------------------------------------------------

    def process(
        self, connection: Connection, batch: Batch, leases: Mapping[int, Lease]
    ) -> Mapping[int, Progress]:
        """Decide the records of ``batch`` and write everything that follows from it."""
        read = [self._reader.read(record) for records in batch.values() for record in records]
        loaded = self._store.load(
            connection, [asked.command for asked in read if isinstance(asked, Asked)], self._cache.get
        )
        # To decide may take longer than a transaction may wait; leases and unique keys guard what is written.
        connection.commit()
        turn = Turn(
            self._rules,
            self._recorder,
            loaded,
            {p: Head(p, leases[p].next_position, leases[p].chain_hash) for p in batch},
            self._ports.clock.now_ms(),
        )
        for asked in read:
            turn.take(asked)
        self._bury(turn.dead, turn.now)
        self._store.write(connection, turn)
        self._turn = turn
        return {
            p: self._progress(turn.heads[p], leases[p], records[-1].offset) for p, records in batch.items()
        }

    def committed(self) -> None:
        """Take over the streams of the turn and publish its events."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        self._cache.put(turn.streams(), turn.partition_of)
        self._publisher.publish(map(_published, turn.events))
        self._checkpoints.committed(turn.heads.values())
        self._outcome_log.tell(turn)

    def each_turn(self) -> None:
        """Hear what the broker acknowledged."""
        self._publisher.serve()

    def close(self) -> None:
        """Give the broker a moment to acknowledge what was published; the rest is for the next holder."""
        self._ports.producer.flush(_CLOSING_S)

    def _progress(self, head: Head, lease: Lease, last_offset: int) -> Progress:
        acknowledged = self._publisher.acknowledged(head.partition)
        return Progress(
            next_offset=last_offset + 1,
            next_position=head.next_position,
            chain_hash=head.chain_hash,
            published_offset=max(lease.published_offset, acknowledged or 0),
        )

    def _bury(self, dead: Collection[Poison], now_ms: int) -> None:
        if not dead:
            return
        letters = [(letter_of(poison, self._app_version, now_ms), poison.command) for poison in dead]
        bury(self._ports.connect, self._ports.producer, letters, now_ms)
        for letter, _ in letters:
            self._outcome_log.buried(letter)


def _published(stored: StoredEvent) -> Published:
    event = stored.event
    return Published(event.partition, event.position, event.account_id, event.type, stored.hash, stored.value)
