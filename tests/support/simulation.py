"""Deciders under a scheduler that is out to get them: seeded, repeatable, without servers or clocks.

Real code: the worker loop with its leases, the decider with identity and rules, publisher, agreement of
topic and store, hash chain. Simulated: broker, database, time, group coordinator, gateway, client. Every
crash point of the code is a place where the scheduler may let somebody else run, kill the process, freeze it
past its session, or lose the answer of a commit. One seed is one story; it gives the same one again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NoReturn

import psycopg
import structlog
from greenlet import getcurrent, greenlet

from schemas.topics import COMMANDS, EVENTS, ORDERS
from streams.deciding.turn import Rules
from streams.orders import Orders, Ports
from tests.support.memory_decisions import LockingLeases, MemoryDecisions, Session
from tests.support.order_records import CODEC, command_message
from tests.support.order_values import CATALOG, MINUTE, NOON, POLICY, a_result, an_opening, an_order
from tierline.domain.commands import Command, ExternalRef
from tierline.domain.events import (
    PaymentCaptureRequested,
    PaymentRequested,
    PaymentVoidRequested,
    RecordedEvent,
    RefundRequested,
)
from tierline.domain.identity import payment_result_command_id
from tierline.kit import crash_points
from tierline.kit.clock import FakeClock
from tierline.kit.health import Health
from tierline.kit.leased_worker import LeasedWorker
from tierline.kit.memory_broker import MemoryBroker, MemoryConsumer, MemoryProducer
from tierline.kit.records import Record
from tierline.kit.telemetry import Metrics
from tierline.verify.evidence import Evidence, Place, RawRecord, StoredEvent, TopicEvent

PARTITIONS = 2
ACCOUNTS = 4
DECIDERS = 2
ORDERS_PLACED = 14
STEP_MS = 10_000
MOST_STEPS = 20_000
RAW_TOPIC = "orders.portal.v1"


class Killed(BaseException):
    """What kill -9 looks like from inside: nothing after it runs."""


class DidNotSettle(AssertionError):
    """Work was left when the story should have ended."""


class Decider:
    """One process: a coroutine of ordinary code that moves only while the scheduler lets it."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.frozen = self.ended = False
        self.session: Session | None = None
        self.consumer = MemoryConsumer(world.broker)
        handler = Orders(
            codec=CODEC,
            rules=Rules(CATALOG, POLICY),
            partitions=PARTITIONS,
            app_version="test",
            ports=Ports(
                store=world.store,  # type: ignore[arg-type] # takes sessions in memory
                producer=MemoryProducer(world.broker),
                log=world.broker,
                clock=world.clock,
                connect=self._connect,  # type: ignore[arg-type]
                fail=_fail,
            ),
            metrics=world.metrics,
        )
        self._worker = LeasedWorker(
            group=ORDERS,
            topic=COMMANDS.name,
            handler=handler,
            consumer=self.consumer,
            connect=self._connect,  # type: ignore[arg-type]
            metrics=world.metrics,
            health=Health(),
            batch_records=3,
            clock=world.clock,
            lease_store=world.leases,
            each_turn=handler.each_turn,
        )
        self._worker.join()
        self._process = _Process(self._run)
        self._process.decider = self

    def step(self) -> None:
        """Let it run to its next crash point."""
        self._process.switch()

    def kill(self) -> None:
        """End it where it stands; its session goes with it."""
        if self._process:  # otherwise it has not begun yet
            self._process.throw(Killed)
        self.ended = True

    def pause(self) -> None:
        """Give way to the scheduler; called from inside the process."""
        self._process.parent.switch()

    def _run(self) -> None:
        try:
            while True:
                self._worker.turn()
                self.pause()
        except Killed:
            pass
        finally:
            if self.session is not None:
                self.session.close()

    def _connect(self) -> Session:
        self.session = Session(self.name)
        return self.session


def _current() -> Decider | None:
    """The process that runs now; None while the scheduler does."""
    return getattr(getcurrent(), "decider", None)


def _passed(_: str) -> None:
    decider = _current()
    if decider is not None:
        decider.pause()


def _fail(reason: str) -> NoReturn:
    raise AssertionError(reason)


class _Process(greenlet):
    """A coroutine that can be paused anywhere inside ordinary code."""

    decider: Decider


class World:
    """Everything around the deciders, and the scheduler."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.broker = MemoryBroker(PARTITIONS)
        self.store = MemoryDecisions()
        self.leases = LockingLeases(self._wait_for_lock)
        self.clock = FakeClock(NOON)
        self.metrics = Metrics()
        self.faults: dict[str, int] = {}
        self.raw: list[RawRecord] = []
        self._deciders: list[Decider] = []
        self._count = 0
        self._holder: dict[int, Decider] = {}
        self._gateway_read = [0] * PARTITIONS
        self._unanswered: list[Command] = []
        self._captures: dict[str, int] = {}
        self._orders: dict[str, Command] = {}

    # --- the story ----------------------------------------------------------------------------------------

    def play(self) -> Evidence:
        """Orders and faults until everything was published, then peace until everything is settled."""
        with _watched(), _quiet():
            for number in range(ACCOUNTS):
                self._publish(_opening(number))
            for _ in range(DECIDERS):
                self._join()
            script = iter(self._script())
            steps, more = 0, True
            while more:
                steps += 1
                self._disturb()
                self._step_somebody()
                if self.random.random() < 0.2:
                    more = self._publish_next(script)
                if self.random.random() < 0.2:
                    self._gateway()
            self._settle()
            for decider in self._deciders:
                decider.kill()
        return self._evidence()

    def _script(self) -> Iterator[Command]:
        """Orders of few subscriptions under few references, so that they meet, repeat and contradict."""
        for number in range(ORDERS_PLACED):
            account = self.random.randrange(ACCOUNTS)
            reference = f"PO-{self.random.randrange(4)}"
            order = an_order(
                reference,
                offset=number,
                channel="portal",
                source=self.random.choice(("main", "main", "shop")),
                received_at=NOON + number * MINUTE - self.random.randrange(3) * 2 * MINUTE,
                account_id=f"acc_{account}",
                subscription_id=f"sub_{account}",
                plan=self.random.choice(("business-year", "business-month", "team-year", "enterprise-year")),
                seats=self.random.choice((12, 15, 20, 5)),
                modules=self.random.choice(((), (), ("sso-pack",), ("audit-pack",))),
                modules_complete=self.random.choice((False, True)),
            )
            self._orders[order.command_id] = order
            yield order

    def _publish_next(self, script: Iterator[Command]) -> bool:
        order = next(script, None)
        if order is None:
            return False
        place = Place(RAW_TOPIC, 0, order.origin.offset)
        self.raw.append(RawRecord(place, None, b""))
        for _ in range(self.random.choice((1, 1, 1, 2))):  # the normalizer sends at least once
            self._publish(order)
        return True

    def _publish(self, command: Command) -> None:
        self.broker.append(command_message(command, PARTITIONS), timestamp_ms=command.received_at)

    # --- the gateway --------------------------------------------------------------------------------------

    def _gateway(self) -> None:
        """Read what was asked, answer some of it: late, out of order, sometimes twice."""
        for partition in range(PARTITIONS):
            log = self.broker.logs[EVENTS.name, partition]
            for record in log[self._gateway_read[partition] :]:
                self._unanswered += self._answers(CODEC.to_event(CODEC.read(record.value)))
            self._gateway_read[partition] = len(log)
        self.random.shuffle(self._unanswered)
        keep = self.random.randrange(len(self._unanswered) + 1)
        answered, self._unanswered = self._unanswered[keep:], self._unanswered[:keep]
        for answer in answered:
            for _ in range(self.random.choice((1, 1, 2))):
                self._publish(answer)

    def _answers(self, event: RecordedEvent) -> Iterator[Command]:
        match event.body:
            case PaymentRequested():
                status = self.random.choice(("authorized", "authorized", "declined"))
            case PaymentCaptureRequested():
                status = "captured"
                self._captures[event.body.payment_id] = 1
            case PaymentVoidRequested():
                status = "voided"
            case RefundRequested():
                status = "refunded"
            case _:
                return
        body = event.body
        result = a_result(
            an_order(account_id=event.account_id, subscription_id=event.subscription_id),
            status,
            getattr(body, "amount_minor", 0),
            offset=len(self.broker.logs[EVENTS.name, event.partition]),
            payment_id=body.payment_id,
            order_id=event.order_id,
        )
        yield replace(result, command_id=payment_result_command_id(body.payment_id, status))

    # --- the scheduler ------------------------------------------------------------------------------------

    def _step_somebody(self) -> None:
        running = [decider for decider in self._deciders if not decider.frozen]
        if running:
            self.clock.advance(STEP_MS)
            self.random.choice(running).step()

    def _disturb(self) -> None:
        roll = self.random.random()
        for share, fault in (
            (0.02, self._kill),
            (0.02, self._freeze),
            (0.03, self._thaw),
            (0.03, self._rebalance),
            (0.02, self._fail_commit),
            (0.02, self._lose_answer),
        ):
            roll -= share
            if roll < 0:
                fault()
                return

    def _join(self) -> Decider:
        self._count += 1
        decider = Decider(self, f"orders-{self._count}")
        self._deciders.append(decider)
        self._spread()
        return decider

    def _spread(self) -> None:
        """The coordinator gives every partition to somebody who is not frozen."""
        alive = [decider for decider in self._deciders if not decider.frozen]
        for partition in range(PARTITIONS):
            if alive:
                self._give(partition, self.random.choice(alive))

    def _give(self, partition: int, to: Decider) -> None:
        before = self._holder.get(partition)
        if before is to:
            return
        if before is not None and not before.ended:
            before.consumer.revoke([partition])
        to.consumer.assign([partition])
        self._holder[partition] = to

    def _kill(self) -> None:
        victim = self.random.choice(self._deciders)
        victim.kill()
        self._deciders.remove(victim)
        self._holder = {p: d for p, d in self._holder.items() if d is not victim}
        self._count_fault("killed")
        self._join()

    def _freeze(self) -> None:
        alive = [decider for decider in self._deciders if not decider.frozen]
        if len(alive) > 1:
            self.random.choice(alive).frozen = True
            self._count_fault("frozen")
            self._spread()

    def _thaw(self) -> None:
        for decider in self._deciders:
            decider.frozen = False

    def _rebalance(self) -> None:
        self._count_fault("rebalanced")
        self._spread()

    def _fail_commit(self) -> None:
        session = self.random.choice(self._deciders).session
        if session is not None and not session.closed:
            session.fail_commit = psycopg.errors.SerializationFailure("could not serialize access")
            self._count_fault("commit refused")

    def _lose_answer(self) -> None:
        session = self.random.choice(self._deciders).session
        if session is not None and not session.closed:
            session.answer_lost = True
            self._count_fault("answer of a commit lost")

    def _count_fault(self, name: str) -> None:
        self.faults[name] = self.faults.get(name, 0) + 1

    def _wait_for_lock(self, holder: Session) -> None:
        """A frozen holder is thrown out by the server; a running one is waited for."""
        owner = next((d for d in self._deciders if d.name == holder.owner), None)
        if owner is None or owner.frozen:
            holder.close()
        else:
            _passed("a locked row")

    def _settle(self) -> None:
        self._thaw()
        self._spread()
        for _ in range(MOST_STEPS):
            for decider in self._deciders:
                self.clock.advance(STEP_MS)
                decider.step()
            if self._is_settled():
                return
            self._gateway()
        raise DidNotSettle("commands are still unread, or payments unanswered")

    def _is_settled(self) -> bool:
        if self._unanswered:
            return False
        for partition in range(PARTITIONS):
            row = self.leases.rows.get((ORDERS, COMMANDS.name, partition))
            if row is None or row.next_offset < len(self.broker.logs[COMMANDS.name, partition]):
                return False
            positions = {int(r.header("position") or b"") for r in self.broker.logs[EVENTS.name, partition]}
            if len(positions) < row.next_position:
                return False
            if self._gateway_read[partition] < len(self.broker.logs[EVENTS.name, partition]):
                return False
        return True

    # --- what is judged -----------------------------------------------------------------------------------

    def _evidence(self) -> Evidence:
        return Evidence(
            raw=self.raw,
            topic=[_topic_event(r) for p in range(PARTITIONS) for r in self.broker.logs[EVENTS.name, p]],
            store=[
                _stored_event(place, stored.event, stored.hash, stored.value)
                for place, stored in sorted(self.store.events.items(), key=lambda item: item[0])
            ],
            captures=self._captures,
        )


def _opening(number: int) -> Command:
    return an_opening(
        account_id=f"acc_{number}",
        subscription_id=f"sub_{number}",
        offset=number,
        payment=("gateway", "gateway", "gateway", "invoice")[number % 4],
        external_refs=(ExternalRef("partner", "main", f"PROD-{number}"),),
        contract=None,
    )


def _topic_event(record: Record) -> TopicEvent:
    value = record.value or b""
    return TopicEvent(
        Place(record.topic, record.partition, record.offset),
        int(record.header("position") or b""),
        record.header("hash") or b"",
        (record.header("type") or b"").decode(),
        value,
        CODEC.read(value),
    )


def _stored_event(place: tuple[int, int], event: RecordedEvent, link: bytes, value: bytes) -> StoredEvent:
    return StoredEvent(*place, event.stream_id, event.version, link, value)


@contextmanager
def _watched() -> Iterator[None]:
    crash_points.watch(_passed)
    try:
        yield
    finally:
        crash_points.watch(None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Thousands of deaths are not worth a line each."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
