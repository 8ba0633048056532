"""After the database went back in time: the events topic gives back what the store has lost.

A restored backup knows fewer events than were published. The decider keeps such partitions closed. Recovery
follows the topic from where the store ends, proves that the chain continues, and writes the very bytes again,
with everything that is derived from them: claims, origins, references. Dead-letter topics give back the
verdicts, so that an intent once dead stays dead. Commands and orders that are read again afterwards are known
by their claims; nothing happens twice.

Work goes in portions that end with a decision, each one transaction under the partition's lease, so it can be
stopped and started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import islice

from deadletter.envelope import dead_letter_topic
from deadletter.open_records import NOT_A_DEAD_LETTER, OpenRecord, open_record_of
from deadletter.verdicts import Verdict, write_verdicts
from schemas.topics import CHANNELS, COMMANDS, EVENTS, NORMALIZER, ORDERS, orders_topic
from streams.deciding import claims_store, event_store
from streams.deciding.agreement import Disagreement, compare
from streams.deciding.claims_store import NewClaim, NewOrigin
from streams.deciding.external_refs import NewRef, refs_of_opening, write_refs
from streams.deciding.recording import StoredEvent
from streams.event_following import EventsBroken, follow
from tierline.domain.claims import OrderMoved, claim_changes_of
from tierline.domain.events import RecordedEvent, SubscriptionOpened
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.domain.state import subscription_stream
from tierline.kit import leases
from tierline.kit.broker import Log
from tierline.kit.database import Connection
from tierline.kit.leases import Lease, Progress
from tierline.kit.records import Record

PORTION = 2_000

Connect = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Recovered:
    """One partition of the events: how many the store had, and how many the topic gave back.

    ``refusal`` says why it could not be recovered; what was given back before stays.
    """

    partition: int
    stored: int
    imported: int
    refusal: str | None = None


class UnfinishedDecision(Exception):
    """The topic ends inside a decision: its last events were stored, but never published.

    They are gone with the database. Restore a newer backup; where there is none, a person has to decide what
    the order of the event became, because what was published of it cannot be taken back.
    """

    def __init__(self, last: RecordedEvent) -> None:
        super().__init__(
            f"the topic ends with event {last.position}, {last.decision_index + 1} of {last.decision_count}"
            f" of a decision about {last.order_id or last.account_id}: restore a newer backup"
        )


@dataclass(slots=True)
class _Portion:
    """What one transaction writes: whole decisions, and where the partition stands after them."""

    events: list[StoredEvent] = field(default_factory=list)
    claims: list[NewClaim] = field(default_factory=list)
    origins: list[NewOrigin] = field(default_factory=list)
    moved: dict[str, OrderMoved] = field(default_factory=dict)
    refs: list[NewRef] = field(default_factory=list)
    progress: Progress | None = None

    def add(self, decision: Sequence[StoredEvent]) -> None:
        """One decision with everything that is derived from it."""
        first = decision[0].event
        changes = claim_changes_of([stored.event for stored in decision])
        stream_id = subscription_stream(first.subscription_id)
        if changes.claim is not None:
            self.claims.append(NewClaim(changes.claim, stream_id, first.partition, first.position))
        if changes.origin_attempt is not None:
            self.origins.append(NewOrigin(first.command_id, first.origin, changes.origin_attempt))
        for order in changes.moved:
            self._move(order)
        self.events += decision
        for event in (stored.event for stored in decision):
            if isinstance(event.body, SubscriptionOpened):
                refs = event.body.external_refs
                self.refs += refs_of_opening(event.account_id, event.subscription_id, refs)

    def _move(self, order: OrderMoved) -> None:
        """A claim of this portion changes before it is written; any other one in the store."""
        for index, new in enumerate(self.claims):
            if new.claim.order_id == order.order_id:
                claim = replace(new.claim, outcome=order.outcome, reasons=order.reasons)
                self.claims[index] = replace(new, claim=claim)
                return
        self.moved[order.order_id] = order


class Recovery:
    """Brings the store back in step with the topic. Stop the orders workers first.

    ``decode`` reads the value of an event. Every method raises what psycopg and the log raise when a server
    is away; start again then.
    """

    def __init__(
        self, connect: Connect, log: Log, decode: Callable[[bytes], RecordedEvent], partitions: int
    ) -> None:
        self._connect = connect
        self._log = log
        self._decode = decode
        self._partitions = partitions

    def events(self) -> Iterator[Recovered]:
        """Recover every partition of the events, one after the other."""
        with self._connect() as connection:
            for partition in range(self._partitions):
                yield self._partition(connection, partition)

    def verdicts(self) -> int:
        """Give back the verdicts of all dead letters that are in their topics; returns how many were gone."""
        twins = [
            *(dead_letter_topic(orders_topic(channel).name, NORMALIZER) for channel in CHANNELS),
            dead_letter_topic(COMMANDS.name, ORDERS),
        ]
        with self._connect() as connection:
            before = _count_verdicts(connection)
            for topic in twins:
                for partition in range(self._partitions):
                    records = self._log.read(topic, partition, *self._log.log_range(topic, partition))
                    for batch in in_batches(records, PORTION):
                        write_verdicts(connection, list(_verdicts(map(open_record_of, batch))))
                        connection.commit()
            return _count_verdicts(connection) - before

    def _partition(self, connection: Connection, partition: int) -> Recovered:
        lease = leases.acquire(connection, ORDERS, COMMANDS.name, partition, 0)
        connection.commit()
        stored = lease.next_position
        found = compare(self._log, lease, lambda p: event_store.hash_at(connection, partition, p))
        if not isinstance(found, Disagreement):
            return Recovered(partition, stored, 0)
        first, end = self._log.log_range(EVENTS.name, partition)
        records = self._log.read(EVENTS.name, partition, max(first, lease.published_offset), end)
        refusal = None
        try:
            for portion in self._portions(connection, lease, records):
                lease = _write(connection, lease, portion)
        except (EventsBroken, UnfinishedDecision) as broken:
            connection.rollback()
            refusal = str(broken)
        return Recovered(partition, stored, lease.next_position - stored, refusal)

    def _portions(
        self, connection: Connection, lease: Lease, records: Iterator[Record]
    ) -> Iterator[_Portion]:
        """The events that the store lacks, in portions of whole decisions."""

        def hash_at(position: int) -> bytes | None:
            return event_store.hash_at(connection, lease.partition, position)

        portion, decision, standing = _Portion(), list[StoredEvent](), lease
        for batch in in_batches(records, PORTION):
            fresh, read_to = follow(batch, standing, hash_at)
            standing = leases.advanced(standing, read_to)
            for record, progress in ((followed.record, followed.progress) for followed in fresh):
                event = self._decode(record.value or b"")
                decision.append(StoredEvent(event, record.value or b"", progress.chain_hash))
                if event.decision_index == event.decision_count - 1:
                    portion.add(decision)
                    portion.progress = replace(
                        progress, next_offset=lease.next_offset, published_offset=record.offset
                    )
                    decision = []
            if portion.progress is not None:
                yield portion
                portion = _Portion()
        if decision:
            raise UnfinishedDecision(decision[-1].event)


def _verdicts(letters: Iterable[OpenRecord]) -> Iterator[Verdict]:
    for letter in letters:
        if letter.code != NOT_A_DEAD_LETTER:
            dead = Dead(DeadLetterClass(letter.class_), letter.code, letter.field, letter.message)
            yield Verdict(
                letter.dead_letter_id,
                letter.consumer,
                letter.origin_topic,
                letter.origin_partition,
                letter.origin_offset,
                letter.intent_index,
                letter.intent_count,
                dead,
            )


def _count_verdicts(connection: Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM deadletter.verdict").fetchone() or (0,)
    return int(count)


def _write(connection: Connection, lease: Lease, portion: _Portion) -> Lease:
    """One transaction, guarded by the lease."""
    if portion.progress is None:
        return lease
    event_store.append(connection, portion.events)
    claims_store.write_claims(connection, portion.claims)
    claims_store.write_origins(connection, portion.origins)
    claims_store.move_claims(connection, portion.moved)
    write_refs(connection, portion.refs)
    moved = leases.advance(connection, {lease.partition: lease}, {lease.partition: portion.progress})
    connection.commit()
    return moved[lease.partition]


def in_batches(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    """The records in lists of at most ``size``."""
    while batch := list(islice(records, size)):
        yield batch
