"""The decider: one writer per partition that turns commands into events.

A turn reads commands of all partitions that this process holds, loads what they are about, decides them one
after another, and writes events, claims, account context, snapshots and leases in one PostgreSQL transaction
(docs/decisions/0002-one-transaction-per-turn.md). After the commit it publishes the very bytes it stored.
Memory (folded streams, positions, chain) changes only after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import structlog

from deadletter.verdicts import stored_verdicts
from schemas.codec import Codec
from schemas.topics import COMMANDS, ORDERS
from streams.deciding import claims_store, event_store
from streams.deciding.agreement import RESTORE, Disagreement, compare
from streams.deciding.burial import bury, letter_of
from streams.deciding.checkpoints import Checkpoints, NoCheckpoints
from streams.deciding.claim_book import ClaimBook
from streams.deciding.command_reading import Asked, CommandReader, Poison
from streams.deciding.event_store import Published
from streams.deciding.external_refs import taken_refs, write_refs
from streams.deciding.outcome_log import OutcomeLog
from streams.deciding.recording import Head, Recorder, StoredEvent
from streams.deciding.snapshots import Stream, save_snapshots
from streams.deciding.stream_cache import StreamCache
from streams.deciding.stream_loading import load_streams
from streams.deciding.turn import Loaded, Rules, Turn, orders_dead_letter_id
from streams.publisher import Publisher
from tierline.domain.commands import Command, OpenSubscription
from tierline.domain.events import RecordedEvent
from tierline.domain.outcome import Dead
from tierline.domain.state import account_stream, subscription_stream
from tierline.kit.broker import Log, Producer
from tierline.kit.clock import Clock
from tierline.kit.crash_points import reached
from tierline.kit.database import Connection
from tierline.kit.leased_worker import Batch
from tierline.kit.leases import Lease, Progress
from tierline.kit.telemetry import Metrics

_CLOSING_S = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ports:
    """What the decider needs from the world.

    ``connect`` opens the session in which verdicts are written; ``fail`` ends the process.
    """

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
        self._publisher = Publisher(ports.producer, ports.fail)
        self._outcome_log = OutcomeLog(metrics)
        self._cache = cache or StreamCache()
        self._checkpoints = checkpoints or NoCheckpoints()
        self._reader = CommandReader(codec, partitions)
        self._recorder = Recorder(codec.encode_event, app_version)
        self._turn: Turn | None = None

    # --- partitions -----------------------------------------------------------------------------------------

    def assigned(self, connection: Connection, lease: Lease) -> Lease | None:
        """Compare topic and store; publish what only the store has. None: they contradict each other."""
        found = compare(
            self._ports.log,
            lease,
            lambda position: event_store.hash_at(connection, lease.partition, position),
        )
        if isinstance(found, Disagreement):
            _log.error(
                "partition_closed",
                consumer=ORDERS,
                topic=COMMANDS.name,
                partition=lease.partition,
                reason=found.reason,
                action=RESTORE,
            )
            return None
        self._publisher.publish(
            event_store.read_positions(connection, lease.partition, found.next_position, lease.next_position)
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
        turn = Turn(
            self._rules,
            self._recorder,
            self._load(connection, [asked.command for asked in read if isinstance(asked, Asked)]),
            {p: Head(p, leases[p].next_position, leases[p].chain_hash) for p in batch},
            self._ports.clock.now_ms(),
        )
        for asked in read:
            turn.take(asked)
        self._bury(turn.dead, turn.now)
        _write(connection, turn)
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

    def _load(self, connection: Connection, commands: Collection[Command]) -> Loaded:
        command_ids = {command.command_id for command in commands}
        openings = [c.body for c in commands if isinstance(c.body, OpenSubscription)]
        return Loaded(
            streams=self._load_streams(connection, commands),
            claims=ClaimBook(
                claims_store.load_claims(connection, command_ids),
                claims_store.load_origins(connection, command_ids),
            ),
            taken_refs=taken_refs(connection, {ref for body in openings for ref in body.external_refs}),
            dead=_load_dead(connection, commands),
        )

    def _load_streams(self, connection: Connection, commands: Iterable[Command]) -> dict[str, Stream]:
        wanted = {account_stream(c.account_id) for c in commands}
        wanted |= {subscription_stream(c.subscription_id) for c in commands}
        found = {stream_id: kept for stream_id in wanted if (kept := self._cache.get(stream_id))}
        missing = [stream_id for stream_id in wanted if stream_id not in found]
        return found | load_streams(connection, missing, self._decode)

    def _decode(self, value: bytes) -> RecordedEvent:
        return self._codec.to_event(self._codec.read(value))

    def _bury(self, dead: Collection[Poison], now_ms: int) -> None:
        if not dead:
            return
        letters = [(letter_of(poison, self._app_version, now_ms), poison.command) for poison in dead]
        bury(self._ports.connect, self._ports.producer, letters, now_ms)
        for letter, _ in letters:
            self._outcome_log.buried(letter)


def _load_dead(connection: Connection, commands: Iterable[Command]) -> dict[str, Dead]:
    verdicts = stored_verdicts(connection, [orders_dead_letter_id(command) for command in commands])
    return {dead_letter_id: verdict.dead for dead_letter_id, verdict in verdicts.items()}


def _write(connection: Connection, turn: Turn) -> None:
    """Everything that a turn decided, in the open transaction."""
    claims = turn.loaded.claims
    claims_store.write_claims(connection, list(claims.new.values()))
    claims_store.write_origins(connection, claims.origins)
    claims_store.move_claims(connection, claims.moved)
    reached("orders.after_claims")
    event_store.append(connection, turn.events)
    write_refs(connection, turn.refs)
    reached("orders.after_events")
    due = {stream_id: stream for stream_id, stream in turn.touched.items() if stream.is_due}
    save_snapshots(connection, due, turn.partition_of)
    for stream_id, stream in due.items():
        turn.touched[stream_id] = Stream(stream.version, stream.state, stream.version)
    reached("orders.after_snapshots")


def _published(stored: StoredEvent) -> Published:
    event = stored.event
    return Published(event.partition, event.position, event.account_id, event.type, stored.hash, stored.value)
