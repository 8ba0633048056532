"""The decider's store and leases in memory, with the rules of transactions, unique keys and row locks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

import psycopg

from streams.deciding.claim_book import ClaimBook
from streams.deciding.decision_store import Cached
from streams.deciding.event_store import Published
from streams.deciding.recording import StoredEvent
from streams.deciding.snapshots import Stream
from streams.deciding.stream_cache import nothing_yet
from streams.deciding.stream_loading import folded
from streams.deciding.turn import Loaded, Turn
from tierline.domain.claims import Claim, OrderMoved
from tierline.domain.commands import Command, ExternalRef, OpenSubscription, Origin
from tierline.domain.state import account_stream, subscription_stream
from tierline.kit.leases import Lease, Progress
from tierline.kit.memory_leases import MemoryLeases, MemorySession

Row = tuple[str, str, int]


class Session(MemorySession):
    """A session that can be ended from outside, and whose commit can succeed without anybody hearing."""

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner = owner
        self.answer_lost = False
        self.locked: set[Row] = set()

    def commit(self) -> None:
        if self.closed:
            raise psycopg.OperationalError("terminating connection due to idle-in-transaction timeout")
        try:
            super().commit()
        finally:
            self.locked.clear()
        if self.answer_lost:
            self.close()
            raise psycopg.OperationalError("the connection was lost while the commit was answered")

    def rollback(self) -> None:
        super().rollback()
        self.locked.clear()

    def close(self) -> None:
        super().close()
        self.locked.clear()


class LockingLeases(MemoryLeases):
    """Leases whose moved rows stay locked until the end of the transaction that moved them.

    ``wait`` is called with the session that holds a wanted row: it lets others run, or ends that session.
    """

    def __init__(self, wait: Callable[[Session], None]) -> None:
        super().__init__()
        self._wait = wait
        self._sessions: list[Session] = []

    def acquire(
        self, connection: MemorySession, consumer: str, topic: str, partition: int, log_start: int
    ) -> Lease:
        while (holder := self._holder((consumer, topic, partition), connection)) is not None:
            self._wait(holder)
        return super().acquire(connection, consumer, topic, partition, log_start)

    def advance(
        self, connection: MemorySession, leases: Mapping[int, Lease], moves: Mapping[int, Progress]
    ) -> dict[int, Lease]:
        after = super().advance(connection, leases, moves)
        assert isinstance(connection, Session)
        connection.locked |= {(lease.consumer, lease.topic, lease.partition) for lease in after.values()}
        self._sessions.append(connection)
        return after

    def _holder(self, row: Row, asking: MemorySession) -> Session | None:
        self._sessions = [session for session in self._sessions if session.locked]
        return next((s for s in self._sessions if row in s.locked and s is not asking), None)


class MemoryDecisions:
    """Events, claims, origins and references; streams are folded from all their events every time."""

    def __init__(self) -> None:
        self.events: dict[tuple[int, int], StoredEvent] = {}
        self.streams: dict[str, list[StoredEvent]] = defaultdict(list)
        self.claims: dict[str, list[Claim]] = defaultdict(list)
        self.origins: dict[str, set[Origin]] = defaultdict(set)
        self.refs: dict[ExternalRef, str] = {}

    def load(self, _: object, commands: Collection[Command], cached: Cached) -> Loaded:
        wanted = {account_stream(c.account_id) for c in commands}
        wanted |= {subscription_stream(c.subscription_id) for c in commands}
        ids = {c.command_id for c in commands}
        openings = [c.body for c in commands if isinstance(c.body, OpenSubscription)]
        named = {ref for body in openings for ref in body.external_refs}
        return Loaded(
            streams={stream_id: cached(stream_id) or self._folded(stream_id) for stream_id in wanted},
            claims=ClaimBook(
                {i: list(self.claims[i]) for i in ids if i in self.claims},
                {i: set(self.origins[i]) for i in ids if i in self.origins},
            ),
            taken_refs={ref: self.refs[ref] for ref in named if ref in self.refs},
            dead={},
        )

    def write(self, connection: MemorySession, turn: Turn) -> None:
        book = turn.loaded.claims
        for stored in turn.events:
            event = stored.event
            if (event.partition, event.position) in self.events:
                raise psycopg.errors.UniqueViolation(f"event {event.partition}/{event.position}")
            if len(self.streams[event.stream_id]) >= event.version:
                raise psycopg.errors.UniqueViolation(f"{event.stream_id} version {event.version}")
        for new in book.new.values():
            if any(known.attempt == new.claim.attempt for known in self.claims[new.claim.command_id]):
                raise psycopg.errors.UniqueViolation(f"claim {new.claim.command_id}")
        events, claims, origins = list(turn.events), list(book.new.values()), list(book.origins)
        refs, moved = list(turn.refs), dict(book.moved)

        def apply() -> None:
            for stored in events:
                self.events[stored.event.partition, stored.event.position] = stored
                self.streams[stored.event.stream_id].append(stored)
            for new in claims:
                self.claims[new.claim.command_id].append(new.claim)
            for origin in origins:
                self.origins[origin.command_id].add(origin.origin)
            for ref in refs:
                if ref.kind == "subscription" and ref.channel != "*":
                    self.refs[ExternalRef(ref.channel, ref.source, ref.ref)] = ref.subscription_id
            self._move(moved)

        connection.stage(apply)

    def hash_at(self, _: object, partition: int, position: int) -> bytes | None:
        stored = self.events.get((partition, position))
        return None if stored is None else stored.hash

    def read_positions(self, _: object, partition: int, start: int, end: int) -> Iterator[Published]:
        for position in range(start, end):
            stored = self.events[partition, position]
            event = stored.event
            yield Published(partition, position, event.account_id, event.type, stored.hash, stored.value)

    def _folded(self, stream_id: str) -> Stream:
        stream = nothing_yet(stream_id)
        for stored in self.streams.get(stream_id, ()):
            stream = folded(stream, stored.event)
        return stream

    def _move(self, moved: Mapping[str, OrderMoved]) -> None:
        for known in self.claims.values():
            for index, claim in enumerate(known):
                if move := moved.get(claim.order_id or ""):
                    known[index] = replace(claim, outcome=move.outcome, reasons=move.reasons)
