"""What the payments worker does with a batch: each call once, the answers as commands that repeat exactly."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from schemas.topics import COMMANDS, EVENTS
from streams.payments import Payments
from tests.support.event_log import EventLog, uuid_for
from tests.support.order_records import CODEC, EVENT_SCHEMA, PARTITIONS
from tierline.domain.commands import Command, Origin, RecordPaymentResult
from tierline.domain.identity import payment_result_command_id
from tierline.kit.errors import DeliveryFailed, Unavailable
from tierline.kit.gateway import Payment, Status
from tierline.kit.leases import Lease, Progress
from tierline.kit.memory_broker import MemoryBroker, MemoryProducer
from tierline.kit.partitioner import partition_of

FIRST, SECOND = uuid_for("payment", 1), uuid_for("payment", 2)
ORDER = uuid_for("order", 1)
DUE = 12_345
Asked = tuple[str, str]
"""A step and the payment it was asked for."""


class Attempts:
    """Session of the worker: keeps the attempts that were noted before its commit."""

    def __init__(self) -> None:
        self.closed = False
        self.rows: set[Asked] = set()
        self._fresh: list[tuple[str, str]] = []

    def execute(self, _: str, columns: Sequence[Sequence[str]]) -> Attempts:
        payments, steps, _orders = columns
        self._fresh = [
            pair for pair in dict.fromkeys(zip(payments, steps, strict=True)) if pair not in self.rows
        ]
        return self

    def fetchall(self) -> list[tuple[str, str]]:
        return self._fresh

    def commit(self) -> None:
        self.rows |= set(self._fresh)

    def close(self) -> None:
        self.closed = True


class Books:
    """A gateway: where each payment stands, what was asked. ``away`` makes calls fail."""

    def __init__(self) -> None:
        self.status: dict[str, Status] = {}
        self.asked: list[Asked] = []
        self.away = False
        self.amount_minor = DUE
        self.declined: set[str] = set()
        self.closed = False
        self._one_at_a_time = threading.Lock()

    def _move(self, step: str, payment_id: str, status: Status) -> Payment:
        with self._one_at_a_time:
            if self.away:
                raise Unavailable("the gateway is away")
            self.asked.append((step, payment_id))
            self.status[payment_id] = status
            return self._stands(payment_id)

    def _stands(self, payment_id: str) -> Payment:
        status = self.status[payment_id]
        code = "card_declined" if status == "declined" else None
        return Payment(payment_id, status, f"ref-{payment_id[:8]}", self.amount_minor, "EUR", code)

    def authorize(self, payment_id: str, amount_minor: int, currency: str, method: str | None) -> Payment:
        assert (DUE, "EUR", "pm_card_visa") == (amount_minor, currency, method)
        status: Status = "declined" if payment_id in self.declined else "authorized"
        return self._move("authorize", payment_id, status)

    def capture(self, payment_id: str) -> Payment:
        return self._move("capture", payment_id, "captured")

    def void(self, payment_id: str) -> Payment:
        return self._move("void", payment_id, "voided")

    def refund(self, payment_id: str) -> Payment:
        return self._move("refund", payment_id, "refunded")

    def lookup(self, payment_id: str) -> Payment | None:
        with self._one_at_a_time:
            self.asked.append(("lookup", payment_id))
            return self._stands(payment_id) if payment_id in self.status else None

    def close(self) -> None:
        self.closed = True


class Session:
    """The worker's own session; ``called_before``: how many calls the gateway had at each commit."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self.called_before: list[int] = []

    def commit(self) -> None:
        self.called_before.append(len(self._books.asked))


class World:
    """One worker between a log of events, a gateway and a broker."""

    def __init__(self) -> None:
        self.log = EventLog(schema_id=EVENT_SCHEMA)
        self.attempts = Attempts()
        self.books = Books()
        self.session = Session(self.books)
        self.broker = MemoryBroker(PARTITIONS)
        self.producer = MemoryProducer(self.broker)
        self.worker = Payments(
            codec=CODEC,
            producer=self.producer,
            connect=lambda: self.attempts,  # type: ignore[arg-type,return-value]
            new_gateway=lambda: self.books,
            partitions=PARTITIONS,
            app_version="9.9",
        )

    def ask(self, kind: str, payment_id: str = FIRST, **envelope: Any) -> None:
        """Append an event that asks something of the gateway."""
        body: dict[str, Any] = {"payment_id": payment_id}
        if kind != "PaymentVoidRequested":
            body |= {"amount_minor": DUE, "currency": "EUR"}
        if kind == "PaymentRequested":
            body["payment_method"] = "pm_card_visa"
        self.log.decide((kind, body), order_id=ORDER, **envelope)

    def work(self, start: int = 0, end: int | None = None, lease: Lease | None = None) -> Progress:
        """One turn over the records from ``start`` on."""
        records = self.log.records[start:end]
        moves: Mapping[int, Progress] = self.worker.process(
            self.session,  # type: ignore[arg-type] # only repeats are looked up
            {0: records},
            {0: lease or Lease("c", EVENTS.name, 0, 1, UUID(int=0), start)},
        )
        return moves[0]

    def results(self) -> list[Command]:
        """The commands that were sent, by partition, then offset."""
        return [CODEC.to_command(CODEC.read(r.value or b"")) for r in self.broker.records(COMMANDS.name)]

    def statuses(self) -> list[str]:
        """What the commands say."""
        return [c.body.status for c in self.results() if isinstance(c.body, RecordPaymentResult)]


@pytest.fixture
def world() -> Iterator[World]:
    """A world whose threads end with the test."""
    made = World()
    with closing(made.worker):
        yield made


def test_no_transaction_is_open_while_the_gateway_is_waited_for(world: World) -> None:
    """PostgreSQL ends one that waits for 5 s; a gateway may take longer."""
    world.ask("PaymentRequested")

    world.work()

    assert [0] == world.session.called_before
    assert [("authorize", FIRST)] == world.books.asked


def test_the_answer_of_the_gateway_is_a_command_of_the_order_it_belongs_to(world: World) -> None:
    """It keeps the order's sender and correlation, and names the event as its cause."""
    world.ask("PaymentRequested", channel="partner", source="eu", source_ref="PO-1", correlation_id="corr-7")

    world.work()

    (event,) = world.log.events
    (command,) = world.results()
    assert payment_result_command_id(FIRST, "authorized") == command.command_id
    assert (
        RecordPaymentResult(FIRST, ORDER, "authorized", f"ref-{FIRST[:8]}", None, DUE, "EUR") == command.body
    )
    assert ("partner", "eu", "PO-1", "corr-7") == (
        command.channel,
        command.source,
        command.source_ref,
        command.correlation_id,
    )
    assert (event["event_id"], "gateway", "9.9") == (
        command.causation_id,
        command.actor,
        command.app_version,
    )
    assert (Origin(EVENTS.name, 0, 0), 0, 1) == (command.origin, command.intent_index, command.intent_count)


def test_the_command_goes_to_the_partition_of_its_account(world: World) -> None:
    """Where the account's other commands are, with the account as key and the type in the headers."""
    world.ask("PaymentRequested", account_id="acc_somebody")

    world.work()

    (record,) = world.broker.records(COMMANDS.name)
    assert (partition_of("acc_somebody", PARTITIONS), b"acc_somebody") == (record.partition, record.key)
    assert (("type", b"RecordPaymentResult"),) == record.headers


def test_events_that_ask_nothing_of_the_gateway_are_passed(world: World) -> None:
    """The reader moves on; nobody is called and no attempt is noted."""
    world.log.decide(("OrderReceived", {}), order_id=ORDER)

    assert Progress(1, 1, world.log.events[-1]["hash"]) == world.work()
    assert ([], [], set()) == (world.books.asked, world.results(), world.attempts.rows)


def test_the_steps_of_one_payment_keep_their_order_in_a_batch(world: World) -> None:
    """A void is for what was authorized before it, also where both are asked in one batch."""
    for payment in (FIRST, SECOND):
        world.ask("PaymentRequested", payment)
    for payment in (SECOND, FIRST):
        world.ask("PaymentVoidRequested", payment)

    world.work()

    for payment in (FIRST, SECOND):
        steps = [step for step, asked_for in world.books.asked if asked_for == payment]
        assert ["authorize", "void"] == steps
    assert {"voided"} == set(world.books.status.values())
    assert ["authorized", "authorized", "voided", "voided"] == sorted(world.statuses())


def test_the_whole_life_of_a_payment(world: World) -> None:
    """Each event asks its step, and each answer says where the payment stands."""
    for kind in ("PaymentRequested", "PaymentCaptureRequested", "RefundRequested"):
        world.ask(kind)

    world.work()

    assert [(step, FIRST) for step in ("authorize", "capture", "refund")] == world.books.asked
    assert ["authorized", "captured", "refunded"] == world.statuses()


def test_a_declined_payment_says_why(world: World) -> None:
    """The gateway's own code travels with the answer."""
    world.books.declined.add(FIRST)
    world.ask("PaymentRequested")

    world.work()

    (command,) = world.results()
    assert isinstance(command.body, RecordPaymentResult)
    assert ("declined", "card_declined") == (command.body.status, command.body.code)


def test_a_batch_read_again_looks_up_and_gives_the_same_commands(world: World) -> None:
    """After a crash before the lease moved: no second call, and the decider recognises the answers."""
    world.ask("PaymentRequested")
    world.work()
    world.work()

    first, again = world.results()
    assert [("authorize", FIRST), ("lookup", FIRST)] == world.books.asked
    assert first == again


def test_an_attempt_that_never_reached_the_gateway_is_made_after_all(world: World) -> None:
    """The note stays when the call fails, so the next run asks first and then calls."""
    world.ask("PaymentRequested")
    world.books.away = True
    with pytest.raises(Unavailable):
        world.work()
    assert {(FIRST, "authorize")} == world.attempts.rows

    world.books.away = False
    world.work()

    assert [("lookup", FIRST), ("authorize", FIRST)] == world.books.asked
    assert ["authorized"] == world.statuses()


def test_an_answer_that_the_broker_does_not_take_keeps_the_lease_where_it_is(world: World) -> None:
    """The turn fails, so the same events are read again and answered again."""
    world.ask("PaymentRequested")
    world.producer.fail_next.append("not enough replicas")

    with pytest.raises(DeliveryFailed):
        world.work()

    world.work()
    assert ["authorized"] == world.statuses()


def test_the_digest_tells_two_different_answers_under_one_id_apart(world: World) -> None:
    """Another amount for the same payment and status is something new, the same one is not."""
    same, other = World(), World()
    for one in (world, same, other):
        one.ask("PaymentRequested")
    digests = []
    with closing(same.worker), closing(other.worker):
        other.books.amount_minor = DUE + 1
        for one in (world, same, other):
            one.work()
            digests.append((one.results()[0].command_id, one.results()[0].digest))

    assert digests[0] == digests[1]
    assert digests[0][0] == digests[2][0]
    assert digests[0][1] != digests[2][1]


def test_a_repeat_on_the_topic_asks_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decider may publish an event twice after a crash; the gateway hears of it once."""
    world.ask("PaymentRequested")
    progress = world.work()
    world.log.repeat([0])
    stored = world.log.events[0]["hash"]
    monkeypatch.setattr("streams.payments.hash_at", lambda *_: stored)

    after = world.work(1, lease=Lease("c", EVENTS.name, 0, 1, UUID(int=0), 1, 1, progress.chain_hash))

    assert Progress(2, 1, stored) == after
    assert [("authorize", FIRST)] == world.books.asked


def test_after_an_outage_a_new_session_notes_the_attempts(world: World) -> None:
    """A session that the server closed is not used again."""
    world.ask("PaymentRequested")
    world.work()
    lost = world.attempts
    world.worker.reset([0])
    world.attempts = Attempts()
    world.ask("PaymentCaptureRequested")

    link = world.log.events[0]["hash"]
    world.work(1, lease=Lease("c", EVENTS.name, 0, 2, UUID(int=1), 1, 1, link))

    assert lost.closed
    assert {(FIRST, "capture")} == world.attempts.rows


def test_after_an_outage_every_thread_calls_over_a_session_of_its_own_anew(world: World) -> None:
    """Sixteen broken sessions would otherwise fail sixteen turns, one after the other."""
    world.ask("PaymentRequested")
    world.work()
    lost, world.books = world.books, Books()
    world.books.status = dict(lost.status)
    world.worker.reset([0])
    world.ask("PaymentCaptureRequested")

    link = world.log.events[0]["hash"]
    world.work(1, lease=Lease("c", EVENTS.name, 0, 2, UUID(int=1), 1, 1, link))

    assert [("authorize", FIRST)] == lost.asked
    assert [("capture", FIRST)] == world.books.asked
    assert lost.closed
