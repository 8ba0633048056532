"""Builds a read model anew beside the live one, from the first event on, and swaps the two.

A rebuild that was stopped goes on where it stopped: its places in the topic are leases of its own. The swap
holds the projector's leases for the moment in which the new table reads on to exactly the live places and
takes the name; live traffic waits for that moment and continues on the new table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg.errors import LockNotAvailable

from projections import audit_entry, next_table, store
from projections.intake import HashesAt, Intake, LogBroken, ReadEvent, take_in_blocks
from projections.read_model import Event, ReadModel
from projections.runner import hashes_of
from schemas.topics import EVENTS, PROJECTOR
from tierline.kit import leases
from tierline.kit.broker import Log
from tierline.kit.database import Connection
from tierline.kit.leases import Lease, Progress

BATCH_RECORDS = 2_000
# With this little left to read the swap begins: live traffic waits for it.
_CLOSE_ENOUGH = 2_000
_SWAP_TRIES = 5
_SWAP_LOCK = "SET LOCAL lock_timeout = '3s'"

_LIVE_PLACES = """
SELECT partition, next_offset, next_position, chain_hash FROM oms.lease
 WHERE consumer = %s AND topic = %s ORDER BY partition
"""

Told = Callable[[int, int], None]
"""Called with how many events are done, and how many the live table has."""


class TableInUse(Exception):
    """The live table could not be had for the swap: somebody reads it for a long time.

    Find them in ``pg_stat_activity``, then run the rebuild again: it has little more than the swap to do.
    """


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did: events read, and the rows of old and new table at the same places."""

    name: str
    resumed: bool
    events: int
    rows_before: int
    rows_after: int


class Rebuild:
    """One rebuild of one model, on a connection of its own on which it commits as it goes."""

    def __init__(self, model: ReadModel, connection: Connection, log: Log, read: ReadEvent) -> None:
        self._model = model
        self._connection = connection
        self._log = log
        self._read = read
        self._leases: dict[int, Lease] = {}

    def run(self, told: Told = lambda _done, _all: None) -> Rebuilt:
        """Build, catch up, swap.

        Raises LeaseLost when a second rebuild of the model took over, LogBroken where the topic does not
        hold the chain that the live projector has read, TableInUse when the swap could not get the table.
        """
        resumed = next_table.begin(self._connection, self._model)
        store.create_stages(self._connection, [self._model])
        self._connection.commit()
        for _ in range(_SWAP_TRIES):
            self._catch_up(told)
            try:
                return self._swap(told, resumed)
            except LockNotAvailable:
                self._connection.rollback()
                self._leases.clear()
        raise TableInUse(
            f"{self._model.table.live} is read without pause, so the new table cannot take its place. "
            "Look for the reader in pg_stat_activity, then run the rebuild again"
        )

    def _catch_up(self, told: Told) -> None:
        """Read until little is left, committing batch by batch."""
        while self._left(live := self._live_places()) > _CLOSE_ENOUGH:
            self._connection.commit()
            for partition, goal in live.items():
                for intake in self._intakes(partition, goal):
                    # First, so that a rebuild that was taken over ends before it touches the other's table.
                    moved = leases.advance(self._connection, self._leases, {partition: intake.progress})
                    self._apply(intake.events)
                    self._connection.commit()
                    self._leases |= moved
                    told(_total(live) - self._left(live), _total(live))
        self._connection.commit()

    def _swap(self, told: Told, resumed: bool) -> Rebuilt:
        """In one transaction: keep the projector out, read on to where it stands, count, swap."""
        self._connection.execute(_SWAP_LOCK)
        live = self._live_places(" FOR NO KEY UPDATE")
        events = [e for p, goal in live.items() for i in self._intakes(p, goal) for e in i.events]
        leases.advance(self._connection, self._leases, live)
        self._apply(events)
        rebuilt = Rebuilt(
            self._model.name,
            resumed,
            events=_total(live),
            rows_before=next_table.count_rows(self._connection, self._model.table.live),
            rows_after=next_table.count_rows(self._connection, self._model.table.next),
        )
        next_table.swap(self._connection, self._model)
        self._connection.commit()
        told(rebuilt.events, rebuilt.events)
        return rebuilt

    def _apply(self, events: Sequence[Event]) -> None:
        store.apply(self._connection, self._model, self._model.table.next, events)

    def _intakes(self, partition: int, goal: Progress) -> Iterator[Intake]:
        """What ``partition`` holds from where this rebuild stands up to ``goal``, batch by batch."""
        lease = self._lease(partition)
        place = Progress(lease.next_offset, lease.next_position, lease.chain_hash)
        records = self._log.read(EVENTS.name, partition, place.next_offset, goal.next_offset)
        hashes_at = self._hashes_of(partition)
        for intake in take_in_blocks(records, place, self._read, hashes_at, BATCH_RECORDS):
            place = intake.progress
            yield intake
        if place != goal:
            raise LogBroken(
                f"{EVENTS.name} partition {partition} ends at position {place.next_position}, but the live "
                f"projector has read {goal.next_position} events of another chain or another log"
            )

    def _lease(self, partition: int) -> Lease:
        if partition not in self._leases:
            first, _ = self._log.log_range(EVENTS.name, partition)
            consumer = next_table.consumer_of(self._model)
            self._leases[partition] = leases.acquire(
                self._connection, consumer, EVENTS.name, partition, first
            )
        return self._leases[partition]

    def _hashes_of(self, partition: int) -> HashesAt:
        # A rebuild may be there to mend the live audit trail: then its own table is what to trust.
        trusted = self._model.table.next if self._model is audit_entry.MODEL else audit_entry.TABLE.live
        return hashes_of(self._connection, partition, trusted)

    def _live_places(self, hold: str = "") -> dict[int, Progress]:
        rows = self._connection.execute(_LIVE_PLACES + hold, (PROJECTOR, EVENTS.name)).fetchall()
        return {
            partition: Progress(offset, position, bytes(link)) for partition, offset, position, link in rows
        }

    def _left(self, live: Mapping[int, Progress]) -> int:
        return _total(live) - sum(self._lease(partition).next_position for partition in live)


def _total(places: Mapping[int, Progress]) -> int:
    return sum(place.next_position for place in places.values())
