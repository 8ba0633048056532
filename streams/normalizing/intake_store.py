"""What the normalizer keeps in PostgreSQL: leases, verdicts, holds and skips; and what it looks up there.

Every write, and every look-up that something may be sent for, checks that the leases are still held: a
process that was frozen while another took its partitions over changes nothing.

It is one session, used by one thread; ``store_thread`` is its face on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from sys import intern
from typing import TypeVar

import psycopg
import structlog
from psycopg.rows import TupleRow

from deadletter.breaker_store import (
    Action,
    StoredBreaker,
    asked_of,
    load_breakers,
    mark_taken,
    save_breakers,
)
from deadletter.breakers import BreakerChanges
from deadletter.held import HeldRecord, HoldChanges, HoldKey, RecordPlace, Request, StoredHold
from deadletter.hold_store import (
    begin_release,
    held_again,
    load_holds,
    load_untold,
    load_wave,
    open_requests,
    write_changes,
)
from deadletter.verdicts import Verdict, load_verdicts, write_verdicts
from streams.deciding.external_refs import OWN
from streams.normalizing.context import Asked
from streams.normalizing.progress import Place
from streams.normalizing.resolve import RefRow
from tierline.kit import leases
from tierline.kit.crash_points import reached
from tierline.kit.database import Connection, is_outage
from tierline.kit.errors import LookUpFailed
from tierline.kit.leases import Lease, LeaseLost, Progress

Result = TypeVar("Result")

_WAVE_RECORDS = 500
_WAVE_OF_A_KEY = 200
_WAVE_BYTES = 4 * 1024 * 1024

_GIVEN_UP = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.QueryCanceled,
)

_log = structlog.get_logger(__name__)

_NOTHING_OF_BREAKERS = BreakerChanges()

_STILL_OURS = """
SELECT held.topic, held.partition, held.next_offset
  FROM unnest(%b::text[], %b::int[], %b::bigint[], %b::uuid[]) AS ours (topic, partition, epoch, owner)
  JOIN oms.lease AS held USING (topic, partition, epoch, owner)
 WHERE held.consumer = %b
"""

_ROWS = f"""
WITH ours AS ({_STILL_OURS}),
found AS (
SELECT r.channel, r.source, r.kind, r.ref, r.account_id, r.subscription_id
  FROM unnest(%b::text[], %b::text[], %b::text[]) AS asked (channel, source, ref)
 CROSS JOIN (VALUES ('account'), ('subscription')) AS kinds (kind)
  JOIN oms.external_ref AS r USING (channel, source, kind, ref)
)
SELECT held.leases, found.* FROM (SELECT count(*) AS leases FROM ours) AS held LEFT JOIN found ON true
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """Partitions taken over: where to read each, what is held there, and what is known about records to come.

    ``verdicts`` are those on records that will be delivered or released again; ``held_again`` and
    ``skipped_again`` say what of the records to come is held, and which intents were let go; ``untold`` are
    held records whose channel may not know it yet.
    """

    positions: dict[Place, int]
    verdicts: list[Verdict]
    holds: list[StoredHold]
    untold: list[HeldRecord]
    held_again: set[RecordPlace]
    skipped_again: set[tuple[str, int, int, int]]
    breakers: list[StoredBreaker]


@dataclass(frozen=True, slots=True)
class IntakeChanges:
    """What is written with the positions."""

    holds: HoldChanges
    breakers: BreakerChanges

    def __bool__(self) -> bool:
        return bool(self.holds or self.breakers)


class IntakeStore:
    """One session for consumer ``consumer``; every call is one transaction. Not safe for threads.

    Every method raises what psycopg raises when the store is away; call it again then.
    """

    def __init__(self, consumer: str, connect: Callable[[], Connection]) -> None:
        self._consumer = consumer
        self._connect = connect
        self._connection: Connection | None = None
        self._leases: dict[Place, Lease] = {}
        self._unsure = False

    def take(self, starts: Mapping[Place, int]) -> Taken:
        """Take the leases of these places; a first lease starts where the log does, at ``starts``."""
        with self._transaction() as connection:
            held = {
                place: leases.acquire(connection, self._consumer, *place, start)
                for place, start in sorted(starts.items())
            }
            taken = Taken(
                {place: lease.next_offset for place, lease in held.items()}, [], [], [], set(), set(), []
            )
            taken.breakers.extend(load_breakers(connection, self._consumer, taken.positions))
            for place, offset in taken.positions.items():
                self._load(connection, place, offset, taken)
        self._leases.update(held)
        return taken

    def _load(self, connection: Connection, place: Place, offset: int, taken: Taken) -> None:
        consumer = self._consumer
        taken.verdicts.extend(load_verdicts(connection, consumer, *place, offset))
        taken.holds.extend(load_holds(connection, consumer, *place))
        taken.untold.extend(load_untold(connection, consumer, *place))
        held, skipped = held_again(connection, consumer, *place, offset)
        taken.held_again.update(held)
        taken.skipped_again.update(skipped)

    def give_up(self, places: Collection[Place]) -> None:
        """Write nothing more for ``places``."""
        for place in places:
            self._leases.pop(place, None)

    def save(
        self,
        positions: Mapping[Place, int],
        holds: HoldChanges,
        breakers: BreakerChanges = _NOTHING_OF_BREAKERS,
    ) -> None:
        """Move the leases to ``positions`` and write what changed, in one transaction.

        Raises LeaseLost; nothing has happened then.
        """
        with self._transaction() as connection:
            if self._unsure:
                self._reload(connection)
            moves = {
                place: Progress(offset)
                for place, offset in positions.items()
                if place in self._leases and offset > self._leases[place].next_offset
            }
            moved = leases.advance(connection, self._leases, moves)
            if holds or breakers:
                places = holds.places() | breakers.places()
                self._hold(connection, {place for place in places if place not in moved})
                write_changes(connection, self._consumer, holds)
                save_breakers(connection, self._consumer, breakers.breakers)
                mark_taken(connection, breakers.taken)
            reached("normalizer.before_hold_commit" if holds.held else "normalizer.before_progress_commit")
            self._unsure = True
        self._unsure = False
        self._leases.update(moved)

    def write_verdicts(self, verdicts: Sequence[Verdict]) -> list[Verdict | None]:
        """Store ``verdicts`` while their leases are held; None for each of a place that was given up.

        Raises LeaseLost when another process holds one of the places.
        """
        ours = [v for v in verdicts if (v.topic, v.partition) in self._leases]
        with self._transaction() as connection:
            self._hold(connection, {(v.topic, v.partition) for v in ours})
            stored = dict(zip(map(id, ours), write_verdicts(connection, ours), strict=True))
        return [stored.get(id(v)) for v in verdicts]

    def wave(self, wanted: Mapping[HoldKey, int]) -> list[HeldRecord]:
        """The first held records after the given offset of each key, as many as may be in memory at once.

        Raises LeaseLost when another process holds one of their places.
        """
        with self._transaction() as connection:
            self._hold(connection, {key[:2] for key in wanted})
            return load_wave(
                connection,
                self._consumer,
                wanted,
                most_records=_WAVE_RECORDS,
                most_bytes=_WAVE_BYTES,
                most_of_a_key=_WAVE_OF_A_KEY,
            )

    def begin(self, places: Sequence[RecordPlace]) -> None:
        """Commands of these held records may be sent from now on. Raises LeaseLost."""
        with self._transaction() as connection:
            self._hold(connection, {place[:2] for place in places})
            begin_release(connection, self._consumer, places)

    def requests(self) -> list[Request]:
        """What people asked of the holds of our partitions and is not done yet."""
        with self._transaction() as connection:
            return open_requests(connection, self._consumer, list(self._leases)) if self._leases else []

    def breaker_actions(self) -> list[Action]:
        """What people asked of the breakers of our partitions and is not done yet."""
        with self._transaction() as connection:
            return asked_of(connection, self._consumer, list(self._leases)) if self._leases else []

    def look_up(self, asked: Collection[Asked]) -> list[RefRow]:
        """The rows of these references, those of Tierline's own ids included.

        Raises LeaseLost when another process holds one of our partitions, and LookUpFailed where the server
        gave the statement up by itself.
        """
        wanted = [one for one in asked if _storable(one)]
        places = {*wanted, *((OWN, OWN, ref) for _, _, ref in wanted)}
        if not places:
            return []
        asking = (*self._columns(self._leases), *map(list, zip(*places, strict=True)))
        try:
            rows = self._read(_ROWS, asking)
        except _GIVEN_UP as error:
            raise LookUpFailed(error.sqlstate or "") from error
        if any(leases != len(self._leases) for leases, *_ in rows):
            raise LeaseLost(f"{self._consumer}: another process holds one of our partitions")
        found = [row for _, *row in rows if row[0] is not None]
        texts = {ref: ref for _, _, ref in wanted}
        return [_lean(RefRow(*row), texts) for row in found]

    def is_outage(self, error: BaseException) -> bool:
        """Whether ``error`` means that the store is away."""
        return is_outage(error, self._connection)

    def close(self) -> None:
        """End the session."""
        self._drop()

    def _session(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        return self._connection

    def _read(self, statement: str, parameters: Sequence[object]) -> list[TupleRow]:
        """The rows of one statement: one way to the server and back, where a transaction takes three."""
        connection = self._session()
        connection.autocommit = True
        try:
            return connection.execute(statement, parameters).fetchall()
        finally:
            if not connection.closed:
                connection.autocommit = False

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        connection = self._session()
        try:
            yield connection
            connection.commit()
        except BaseException:
            try:
                connection.rollback()
            except psycopg.Error:
                self._drop()
            raise

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _hold(self, connection: Connection, places: Collection[Place]) -> None:
        missing = [place for place in places if place not in self._leases]
        if missing:
            raise LeaseLost(f"{self._consumer}: {missing} were given up")
        if places and set(self._still_ours(connection, places, " FOR SHARE OF held")) != set(places):
            raise LeaseLost(f"{self._consumer}: another process holds one of {sorted(places)}")

    def _reload(self, connection: Connection) -> None:
        """After a commit whose answer never came: the row tells whether it happened."""
        found = self._still_ours(connection, self._leases, "")
        if found.keys() != self._leases.keys():
            raise LeaseLost(f"{self._consumer}: another process holds {sorted(self._leases.keys() - found)}")
        for place, next_offset in found.items():
            self._leases[place] = leases.advanced(self._leases[place], Progress(next_offset))
        self._unsure = False

    def _still_ours(self, connection: Connection, places: Collection[Place], lock: str) -> dict[Place, int]:
        rows = connection.execute(_STILL_OURS + lock, self._columns(places)).fetchall()
        return {(topic, partition): next_offset for topic, partition, next_offset in rows}

    def _columns(self, places: Collection[Place]) -> tuple[object, ...]:
        """Our leases of ``places`` as the statement takes them."""
        held = [self._leases[place] for place in places]
        return (
            [lease.topic for lease in held],
            [lease.partition for lease in held],
            [lease.epoch for lease in held],
            [lease.owner for lease in held],
            self._consumer,
        )


def _lean(row: RefRow, texts: Mapping[str, str]) -> RefRow:
    """``row`` with texts that other rows hold too: many of them are kept for long."""
    ref = texts[row.ref]
    return RefRow(
        intern(row.channel),
        intern(row.source),
        "account" if row.kind == "account" else "subscription",
        ref,
        ref if row.account_id == ref else row.account_id,
        ref if row.subscription_id == ref else row.subscription_id,
    )


def _storable(asked: Asked) -> bool:
    """Whether PostgreSQL's text can hold the reference; what it cannot hold has no row."""
    try:
        return b"\x00" not in "".join(asked).encode("utf-8")
    except UnicodeEncodeError:
        return False
