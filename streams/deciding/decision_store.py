"""Everything that the decider keeps: what a turn needs to know, and what it leaves behind.

``DecisionStore`` is the port. ``PostgresDecisions`` keeps events, claims, references and snapshots in the
tables of schema ``oms``; its twin in the tests keeps them in memory, under the same leases.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Protocol

from deadletter.verdicts import stored_verdicts
from schemas.codec import Codec
from streams.deciding import claims_store, event_store
from streams.deciding.claim_book import ClaimBook
from streams.deciding.event_store import Published
from streams.deciding.external_refs import taken_refs, write_refs
from streams.deciding.snapshots import Stream, save_snapshots
from streams.deciding.stream_loading import load_streams
from streams.deciding.turn import Loaded, Turn, orders_dead_letter_id
from tierline.domain.commands import Command, OpenSubscription
from tierline.domain.events import RecordedEvent
from tierline.domain.outcome import Dead
from tierline.domain.state import account_stream, subscription_stream
from tierline.kit.crash_points import reached
from tierline.kit.database import Connection

Cached = Callable[[str], Stream | None]
"""The committed stream of that id, where the decider still has it in memory."""


class DecisionStore(Protocol):
    """Reads before a turn and writes in its transaction; nothing is durable before its commit."""

    def load(self, connection: Connection, commands: Collection[Command], cached: Cached) -> Loaded:
        """What the store has about ``commands``."""

    def write(self, connection: Connection, turn: Turn) -> None:
        """Everything that a turn decided. What is there already raises UniqueViolation."""

    def hash_at(self, connection: Connection, partition: int, position: int) -> bytes | None:
        """The chain hash of the event at ``position``, None where there is none."""

    def read_positions(
        self, connection: Connection, partition: int, start: int, end: int
    ) -> Iterator[Published]:
        """The events with ``start`` ≤ position < ``end``, in order."""


class PostgresDecisions:
    """The store in PostgreSQL; ``codec`` reads the events from which streams are folded."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def load(self, connection: Connection, commands: Collection[Command], cached: Cached) -> Loaded:
        """See ``DecisionStore.load``."""
        command_ids = {command.command_id for command in commands}
        openings = [c.body for c in commands if isinstance(c.body, OpenSubscription)]
        claims = claims_store.load_claims(connection, command_ids)
        return Loaded(
            streams=self._load_streams(connection, commands, cached),
            claims=ClaimBook(claims, claims_store.load_origins(connection, claims)),
            taken_refs=taken_refs(connection, {ref for body in openings for ref in body.external_refs}),
            dead=_load_dead(connection, commands),
        )

    def write(self, connection: Connection, turn: Turn) -> None:
        """See ``DecisionStore.write``."""
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

    def hash_at(self, connection: Connection, partition: int, position: int) -> bytes | None:
        """See ``DecisionStore.hash_at``."""
        return event_store.hash_at(connection, partition, position)

    def read_positions(
        self, connection: Connection, partition: int, start: int, end: int
    ) -> Iterator[Published]:
        """See ``DecisionStore.read_positions``."""
        return event_store.read_positions(connection, partition, start, end)

    def _load_streams(
        self, connection: Connection, commands: Iterable[Command], cached: Cached
    ) -> dict[str, Stream]:
        wanted = {account_stream(c.account_id) for c in commands}
        wanted |= {subscription_stream(c.subscription_id) for c in commands}
        found = {stream_id: kept for stream_id in wanted if (kept := cached(stream_id))}
        missing = [stream_id for stream_id in wanted if stream_id not in found]
        return found | load_streams(connection, missing, self._decode)

    def _decode(self, value: bytes) -> RecordedEvent:
        return self._codec.to_event(self._codec.read(value))


def _load_dead(connection: Connection, commands: Iterable[Command]) -> dict[str, Dead]:
    verdicts = stored_verdicts(connection, [orders_dead_letter_id(command) for command in commands])
    return {dead_letter_id: verdict.dead for dead_letter_id, verdict in verdicts.items()}
