"""What the replies worker makes of a batch: whole decisions, each answered once to whoever sent the order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from schemas.topics import EVENTS, replies_topic
from streams.replies import Replies
from tests.support.event_log import EventLog
from tests.support.order_records import CODEC, EVENT_SCHEMA
from tests.support.order_stories import (
    BILLED,
    COMPLETED,
    PAYMENT,
    QUOTED,
    RECEIVED,
    TIER_CHANGED,
    VALIDATED,
    envelope,
    opening,
    order_id_of,
    rejection,
    upgrade,
)
from tierline.kit.clock import FakeClock
from tierline.kit.errors import DeliveryFailed
from tierline.kit.leases import Lease, Progress
from tierline.kit.memory_broker import MemoryBroker, MemoryProducer

NOW = 1_795_428_200_000
PORTAL, PARTNER = replies_topic("portal").name, replies_topic("partner").name


class Store:
    """Session on the event store, as much of it as replies ask: the beginnings of orders.

    ``sent_before``: how many replies the broker had at each commit.
    """

    def __init__(self, log: EventLog, broker: MemoryBroker) -> None:
        self._log = log
        self._broker = broker
        self.asked: list[tuple[list[str], list[str]]] = []
        self.sent_before: list[int] = []

    def commit(self) -> None:
        self.sent_before.append(len(self._broker.records(PORTAL)))

    def execute(self, _: str, values: tuple[list[str], list[str], list[str]]) -> list[tuple[bytes]]:
        streams, orders, types = values
        self.asked.append((streams, orders))
        return [
            (record.value or b"",)
            for event, record in zip(self._log.events, self._log.records, strict=True)
            if event["stream_id"] in streams and event["order_id"] in orders and event["type"] in types
        ]


class World:
    """The worker between a log of events and a broker."""

    def __init__(self) -> None:
        self.log = EventLog(schema_id=EVENT_SCHEMA)
        self.broker = MemoryBroker()
        self.store = Store(self.log, self.broker)
        self.producer = MemoryProducer(self.broker)
        self.worker = Replies(codec=CODEC, producer=self.producer, clock=FakeClock(NOW))

    def work(self, start: int = 0, end: int | None = None) -> Progress | None:
        """One turn over the records from ``start`` to ``end``."""
        link = self.log.events[start - 1]["hash"] if start else bytes(32)
        lease = Lease("c", EVENTS.name, 0, 1, UUID(int=0), start, start, link)
        moves = self.worker.process(self.store, {0: self.log.records[start:end]}, {0: lease})  # type: ignore[arg-type]
        return moves.get(0)

    def told(self, topic: str = PORTAL) -> list[dict[str, Any]]:
        """The replies on ``topic``, in the order in which they were sent per partition."""
        return [json.loads(record.value or b"") for record in self.broker.records(topic)]


def pairs(replies: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Reference and outcome of each reply, sorted."""
    return sorted((reply["reference"], reply["outcome"]) for reply in replies)


@pytest.fixture
def world() -> World:
    return World()


def test_a_decision_is_answered_when_its_last_event_is_there(world: World) -> None:
    """Read half, it waits: the reader stays before it and says nothing."""
    upgrade(world.log)

    assert world.work(0, 4) is None
    assert [] == world.told()

    assert Progress(7, 7, world.log.events[-1]["hash"]) == world.work()
    assert [("web-1", "completed")] == pairs(world.told())


def test_whole_decisions_before_half_a_one_are_answered(world: World) -> None:
    """The reader stands between the two, so the second is read again from its beginning."""
    rejection(world.log, order=1, source_ref="first")
    upgrade(world.log, order=2, source_ref="second")
    assert Progress(3, 3, world.log.events[2]["hash"]) == world.work(0, 6)
    assert [("first", "rejected")] == pairs(world.told())

    world.work(3)

    assert [("first", "rejected"), ("second", "completed")] == pairs(world.told())


def test_no_transaction_is_open_while_the_broker_is_waited_for(world: World) -> None:
    """PostgreSQL ends one that waits for 5 s, and the turn would begin again and again."""
    upgrade(world.log)

    world.work()

    assert [0] == world.store.sent_before
    assert 1 == len(world.told())


def test_a_paid_order_is_answered_from_its_beginning_in_the_store(world: World) -> None:
    """Payment results come turns later; amounts and sender are those of the order."""
    where = envelope(1) | {"order_id": order_id_of(1), "channel": "partner", "source_ref": "PO-1"}
    world.log.decide(RECEIVED, VALIDATED, QUOTED, ("PaymentRequested", PAYMENT), **where)
    world.work()
    world.log.decide(
        *(("PaymentCaptured", PAYMENT), TIER_CHANGED, BILLED, COMPLETED),
        **where | {"origin": {"topic": EVENTS.name, "partition": 0, "offset": 99}},
    )
    world.work(4)

    began, ended = sorted(world.told(PARTNER), key=lambda reply: reply["outcome"], reverse=True)
    assert ("in_progress", "completed") == (began["outcome"], ended["outcome"])
    assert world.log.events[0]["origin"] == began["origin"] == ended["origin"]
    assert {
        "currency": "EUR",
        "net_minor": 1_342_192,
        "due_minor": 1_342_192,
        "charged_minor": 1_342_192,
    } == (ended["amounts"])
    assert [(["subscription:sub_1"], [order_id_of(1)])] == world.store.asked


def test_the_store_is_not_asked_for_what_the_batch_holds(world: World) -> None:
    """Most orders begin and end in one decision."""
    upgrade(world.log)
    rejection(world.log, order=2)

    world.work()

    assert 2 == len(world.told())
    assert [] == world.store.asked


def test_a_superseded_order_is_answered_to_its_own_channel_and_sender(world: World) -> None:
    """The decision that ends it carries the newer order's sender."""
    first, second = order_id_of(1, 1), order_id_of(1, 2)
    of_first = envelope(1) | {"order_id": first, "channel": "partner", "source": "eu", "source_ref": "PO-old"}
    world.log.decide(RECEIVED, VALIDATED, QUOTED, ("PaymentRequested", PAYMENT), **of_first)
    world.work()
    newer = of_first | {"source": "us", "source_ref": "PO-new"}
    world.log.decide(("OrderSuperseded", {"by_order_id": second}), **newer)

    world.work(4)

    (reply,) = [reply for reply in world.told(PARTNER) if reply["outcome"] == "superseded"]
    assert ("PO-old", "eu", first, world.log.events[0]["origin"]) == (
        reply["reference"],
        reply["source"],
        reply["order_id"],
        reply["origin"],
    )
    assert ["SUPERSEDED"] == [reason["code"] for reason in reply["reasons"]]


def test_openings_are_not_answered(world: World) -> None:
    """An import is no channel: its answers are read by whoever imports."""
    opening(world.log)
    world.log.decide(
        ("SubscriptionOpeningRejected", {"reasons": []}), channel="import", command_type="OpenSubscription"
    )

    assert Progress(3, 3, world.log.events[-1]["hash"]) == world.work()
    assert [] == world.told() + world.told(PARTNER)


def test_each_channel_hears_of_its_own_orders(world: World) -> None:
    """Keyed by the order's reference, so the answers to one order keep their order."""
    rejection(world.log, 1, channel="portal", source_ref="web-7")
    rejection(world.log, 2, channel="partner", source_ref="PO-7")

    world.work()

    assert [("web-7", "rejected")] == pairs(world.told(PORTAL))
    assert [("PO-7", "rejected")] == pairs(world.told(PARTNER))
    assert [b"web-7"] == [record.key for record in world.broker.records(PORTAL)]


def test_a_question_is_answered_with_the_price_that_follows_it(world: World) -> None:
    """The quote is the second event of the same decision; no order id, nothing charged."""
    validated = ("OrderValidated", VALIDATED[1] | {"validate_only": True})
    world.log.decide(validated, (QUOTED[0], QUOTED[1] | {"validate_only": True}), source_ref="ask")

    world.work()

    (reply,) = world.told()
    assert ("validated", None, None) == (reply["outcome"], reply["order_id"], reply["retry"])
    assert {
        "currency": "EUR",
        "net_minor": 1_342_192,
        "due_minor": 1_342_192,
        "charged_minor": None,
    } == reply["amounts"]
    assert [] == world.store.asked


def test_a_batch_read_again_gives_the_same_ids(world: World) -> None:
    """After a crash before the lease moved, a channel can tell that it heard this."""
    upgrade(world.log)
    world.work()
    world.work()

    first, again = world.told()
    assert first == again


def test_an_answer_that_the_broker_does_not_take_fails_the_turn(world: World) -> None:
    """The lease stays, so nobody goes without an answer."""
    upgrade(world.log)
    world.producer.fail_next.append("broker is away")

    with pytest.raises(DeliveryFailed):
        world.work()

    world.work()
    assert [("web-1", "completed")] == pairs(world.told())


def test_a_repeat_on_the_topic_is_not_answered_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decider may publish a decision twice after a crash."""
    upgrade(world.log)
    world.work()
    world.log.repeat(range(7))
    links = [event["hash"] for event in world.log.events]
    monkeypatch.setattr("streams.replies.hash_at", lambda _connection, _partition, at: links[at])

    lease = Lease("c", EVENTS.name, 0, 1, UUID(int=0), 7, 7, links[-1])
    moves = world.worker.process(world.store, {0: world.log.records[7:]}, {0: lease})  # type: ignore[arg-type]

    assert {0: Progress(14, 7, links[-1])} == moves
    assert [("web-1", "completed")] == pairs(world.told())
