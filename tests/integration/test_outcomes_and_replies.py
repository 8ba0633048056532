"""Every way an order can end, through both channels and all workers, and what its sender hears.

One run for all tests. The payments worker starts last, so that every meeting of two orders happens while the
first one waits for its money.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from projections.read import orders_by_reference, tier_now
from schemas.topics import CHANNELS, COMMANDS, orders_topic, replies_topic
from tests.support.hold_policies import no_patience
from tests.support.order_values import a_result
from tests.support.orders_bench import OrdersBench
from tests.support.stack import SharedStack, own_part_of
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.domain.commands import Command, PlaceOrder
from tierline.domain.reasons import REASONS, ReasonCode
from tierline.kit.clock import SystemClock
from tierline.kit.confluent_broker import new_admin
from tierline.kit.database import connect
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.verify.check import Report, check
from tierline.workload.accounts import SampleSubscription, sample_subscriptions
from tierline.workload.running import open_samples, target_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

SEED = 3
PORTAL, PARTNER = (orders_topic(channel).name for channel in ("portal", "partner"))
HOUR_MS = 3_600_000
BY_INVOICE = ("done", "wrong", "nothing", "rolled", "asked", "pair-1", "pair-2", "equipped")
BY_GATEWAY = ("paid", "declined", "twice", "contested", "changed", "late")


def subscription(name: str) -> str:
    return f"sub_{name}_00000"


def portal(
    reference: str, name: str, plan: str | None = "business-year", seats: int = 30, **more: Any
) -> Message:
    """A portal order for the subscription ``name``; ``more`` are fields of the payload."""
    order = {
        "reference": reference,
        "subscription_id": subscription(name),
        "target": {"plan": plan, "seats": seats},
    }
    return Message(PORTAL, subscription(name).encode(), json.dumps(order | more).encode())


def partner(reference: str, *names: str, offering: str = "OFF-BUSINESS-Y", quantity: int = 40) -> Message:
    """A partner order with an item for each subscription, by the partner's own references."""
    items = [
        {
            "id": str(number),
            "action": "modify",
            "quantity": quantity,
            "product": {"id": f"PROD-{name}_00000"},
            "productOffering": {"id": offering},
        }
        for number, name in enumerate(names, 1)
    ]
    value = json.dumps({"externalId": reference, "productOrderItem": items}).encode()
    return Message(PARTNER, reference.encode(), value)


@dataclass(frozen=True, slots=True)
class Run:
    """What is left when everything has ended."""

    settings: Settings
    published: frozenset[tuple[str, int, int]]
    replies: Sequence[Mapping[str, Any]]
    orders: Mapping[str, Sequence[Mapping[str, Any]]]
    payments: Mapping[str, tuple[str, int]]
    report: Report

    def order(self, reference: str) -> Mapping[str, Any]:
        """The only order under ``reference``."""
        (order,) = self.orders[reference]
        return order

    def answers(self, reference: str | None) -> list[Mapping[str, Any]]:
        """Every reply that names ``reference``."""
        return [reply for reply in self.replies if reply["reference"] == reference]

    def answer(self, reference: str | None, outcome: str) -> Mapping[str, Any]:
        """The only reply to ``reference`` with that outcome."""
        (reply,) = [reply for reply in self.answers(reference) if reply["outcome"] == outcome]
        return reply

    def status(self, name: str) -> Mapping[str, Any]:
        """What the read model says is in force."""
        with connect(self.settings.database_url, "test") as connection:
            status = tier_now(connection, subscription(name))
        assert status is not None
        return status

    def tier(self, name: str) -> tuple[str, int]:
        """Plan and seats in force."""
        status = self.status(name)
        return status["plan"], status["seats"]


class Story:
    """Publishes the orders of the run, step by step."""

    def __init__(self, bench: OrdersBench) -> None:
        self.bench = bench

    def open_subscriptions(self) -> None:
        today = datetime.now(UTC).date()
        samples = [self._sample(name, today) for name in BY_INVOICE + BY_GATEWAY]
        open_samples(self.bench.settings, samples, lambda *_: None)

    def first_orders(self) -> None:
        """One order for every subscription; those of the gateway wait for their money."""
        self.bench.publish(
            portal("web-done", "done"),
            portal("web-paid", "paid"),
            portal("web-declined", "declined", payment_method="pm_card_declined"),
            portal("web-twice", "twice"),
            portal("web-contested", "contested"),
            portal("web-first", "changed"),
            portal("web-late", "late"),
            portal("web-wrong", "wrong", plan="enterprise-year", seats=20),
            portal("web-nothing", "nothing", plan="no-such-plan", effective="next_cycle"),
            portal("web-rolled", "rolled"),
            portal("web-module", "equipped", target={"modules": ["sso-pack"]}),
            portal("ask-yes", "asked", validate_only=True),
            portal("ask-no", "asked", plan="enterprise-year", seats=20, validate_only=True),
            portal("ask-nonsense", "asked", plan="no-such-plan", validate_only=True),
            portal("web-unknown", "nobody"),
            Message(PORTAL, b"k", json.dumps({"reference": "web-empty", "subscription_id": "s"}).encode()),
            Message(PORTAL, b"k", b'{"reference": "web-cut'),
            partner("PO-pair", "pair-1", "pair-2"),
        )
        self.wait_until("COMPLETED", "web-done", "web-module", "PO-pair")
        self.wait_until("AWAITING_PAYMENT", *GATEWAY_ORDERS)

    def meetings(self) -> None:
        """Orders that meet the first ones while they wait, or after they ended."""
        self.bench.publish(
            portal("web-twice", "twice"),
            portal("web-second", "changed", seats=35),
            portal("web-done", "done", seats=50),
            portal("web-same", "done"),
            portal("web-included", "equipped", plan="enterprise-year", seats=60),
            partner("PO-rival", "contested"),
        )
        self.bench.publish(self._authorized("web-late"))
        self.publish_late_by(HOUR_MS, partner("PO-stale", "done", offering="OFF-ENTERPRISE-Y", quantity=60))
        self.wait_until("CAPTURING", "web-late")
        self.bench.publish(portal("web-later", "late", seats=60))
        self.wait_until("REJECTED", "web-later", "PO-rival", "PO-stale")
        self.wait_until("COMPLETED", "web-included")
        self.wait_until("AWAITING_PAYMENT", "web-second")

    def after_payment(self) -> None:
        """The same order once more, when it is completed."""
        self.wait_until("COMPLETED", *(set(GATEWAY_ORDERS) - {"web-declined", "web-first"}), "web-second")
        self.wait_until("FAILED", "web-declined")
        self.bench.publish(portal("web-twice", "twice"))

    def wait_until(self, state: str, *references: str) -> None:
        """Until the orders under ``references`` stand there in the read model."""
        with connect(self.bench.settings.database_url, "test") as connection:
            for reference in references:
                wait_for(
                    lambda reference=reference: state in self._states(connection, reference),  # type: ignore[misc]
                    f"{reference} {state}",
                )

    def publish_late_by(self, late_ms: int, message: Message) -> None:
        """A record that reached its topic ``late_ms`` ago, and this reader only now."""
        kafka = self.bench.settings.kafka
        sender = confluent_kafka.Producer({"bootstrap.servers": kafka.bootstrap_servers})
        sender.produce(
            kafka.topic_prefix + message.topic,
            message.value,
            message.key,
            timestamp=SystemClock().now_ms() - late_ms,
        )
        assert 0 == sender.flush(30)

    def let_senders_stamp(self, topic: str) -> None:
        """Keep the senders' time on the records of ``topic``, so that one can be old."""
        kafka = self.bench.settings.kafka
        entry = ConfigEntry(
            "message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET
        )
        resource = ConfigResource(ResourceType.TOPIC, kafka.topic_prefix + topic, incremental_configs=[entry])
        admin = new_admin(kafka)
        for altered in admin.incremental_alter_configs([resource]).values():
            altered.result(30)

    @staticmethod
    def _states(connection: Any, reference: str) -> list[str]:
        channel = "partner" if reference.startswith("PO") else "portal"
        states = [row["state"] for row in orders_by_reference(connection, channel, reference)]
        connection.rollback()
        return states

    def _authorized(self, reference: str) -> Command:
        """What the gateway says about the payment of ``reference``, before its own worker does."""
        codec = self.bench.codec
        commands = [codec.to_command(codec.read(r.value or b"")) for r in self.bench.records(COMMANDS.name)]
        (order,) = [c for c in commands if c.source_ref == reference and isinstance(c.body, PlaceOrder)]
        with connect(self.bench.settings.database_url, "test") as connection:
            (row,) = orders_by_reference(connection, order.channel, reference)
        result = a_result(
            order, "authorized", row["due_minor"], currency=row["currency"], gateway_ref="early"
        )
        return replace(result, channel=order.channel, source=order.source, source_ref=order.source_ref)

    def _sample(self, name: str, today: date) -> SampleSubscription:
        catalog = bootstrap.catalog(self.bench.settings)
        (sample,) = sample_subscriptions(1, SEED, today, catalog, name)
        line = sample.line | {
            "payment": "gateway" if name in BY_GATEWAY else "invoice",
            "contract": None,
        }
        if name == "wrong":
            soon = (today + timedelta(days=70)).isoformat()
            line |= {"standing": "arrears", "contract": {"start": "2025-01-01", "end": soon}}
        if name == "equipped":
            line |= {"modules": [], "invoiced": None}
        if name == "rolled":
            end = date.fromisoformat(line["period"]["start"])
            start = (end - timedelta(days=2)).replace(day=1)
            line |= {"period": {"start": start.isoformat(), "end": end.isoformat()}, "invoiced": None}
        return replace(sample, line=line)


GATEWAY_ORDERS = ("web-paid", "web-declined", "web-twice", "web-contested", "web-first", "web-late")


@pytest.fixture(scope="module")
def run(shared: SharedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Everything published, everything ended, nobody running any more."""
    with own_part_of(shared) as settings:
        bench = OrdersBench(
            settings, unknown_account_wait_ms=200, hold_policy=no_patience(tmp_path_factory.mktemp("policy"))
        )
        story = Story(bench)
        story.let_senders_stamp(PARTNER)
        yield _told(story, tmp_path_factory.mktemp("logs"))


def _told(story: Story, logs: Path) -> Run:
    bench = story.bench
    with bench.running(logs, "normalizer", "orders", "projector", "replies", "triage"):
        story.open_subscriptions()
        story.first_orders()
        story.meetings()
        with bench.running(logs / "paying", "payments"):
            story.after_payment()
            report = check(target_of(bench.settings), 60)
    replies = [
        json.loads(record.value or b"")
        for channel in CHANNELS
        for record in bench.records(replies_topic(channel).name)
    ]
    published = frozenset(
        (record.topic, record.partition, record.offset)
        for topic in (PORTAL, PARTNER)
        for record in bench.records(topic)
    )
    orders: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    with connect(bench.settings.database_url, "test") as connection:
        for reference in {reply["reference"] for reply in replies} - {None}:
            for channel in CHANNELS:
                orders[reference] += orders_by_reference(connection, channel, reference)
    payments = {
        order_id: (status, captures)
        for order_id, status, captures in bench.query(
            "SELECT DISTINCT attempt.order_id::text, payment.status, payment.captures"
            " FROM sandbox.payment AS payment JOIN oms.payment_attempt AS attempt USING (payment_id)"
        )
    }
    return Run(bench.settings, published, replies, orders, payments, report)


def codes(answer: Mapping[str, Any]) -> set[str]:
    return {reason["code"] for reason in answer["reasons"]}


ANSWERS: dict[str | None, Counter[tuple[str, bool]]] = {
    "web-done": Counter({("completed", False): 1, ("rejected", False): 1}),
    "web-paid": Counter({("in_progress", False): 1, ("completed", False): 1}),
    "web-declined": Counter({("in_progress", False): 1, ("failed", False): 1}),
    "web-twice": Counter(
        {
            ("in_progress", False): 1,
            ("in_progress", True): 1,
            ("completed", False): 1,
            ("completed", True): 1,
        }
    ),
    "web-contested": Counter({("in_progress", False): 1, ("conflict", False): 1, ("completed", False): 1}),
    "PO-rival": Counter({("rejected", False): 1}),
    "web-first": Counter({("in_progress", False): 1, ("superseded", False): 1}),
    "web-second": Counter({("in_progress", False): 1, ("completed", False): 1}),
    "web-late": Counter({("in_progress", False): 1, ("completed", False): 1}),
    "web-later": Counter({("rejected", False): 1}),
    "web-same": Counter({("completed", False): 1}),
    "PO-stale": Counter({("rejected", False): 1}),
    "web-module": Counter({("completed", False): 1}),
    "web-included": Counter({("completed", False): 1}),
    "web-wrong": Counter({("rejected", False): 1}),
    "web-nothing": Counter({("rejected", False): 1}),
    "web-rolled": Counter({("completed", False): 1}),
    "ask-yes": Counter({("validated", False): 1}),
    "ask-no": Counter({("validated", False): 1}),
    "ask-nonsense": Counter({("validated", False): 1}),
    "web-unknown": Counter({("held", False): 1, ("dead", False): 1}),
    "web-empty": Counter({("dead", False): 1}),
    "PO-pair": Counter({("completed", False): 2}),
    None: Counter({("dead", False): 1}),
}


@pytest.mark.parametrize("reference", ANSWERS, ids=str)
def test_every_outcome_is_answered_once(run: Run, reference: str | None) -> None:
    """Whoever sent an order hears each of its outcomes, and nothing twice."""
    told = Counter((answer["outcome"], answer["duplicate"]) for answer in run.answers(reference))

    assert ANSWERS[reference] == told


def test_every_record_is_answered_and_no_other(run: Run) -> None:
    """Also the one that could not be read: its origin says which record is meant."""
    answered = {tuple(reply["origin"].values()) for reply in run.replies}

    assert run.published == answered
    assert set(ANSWERS) == {reply["reference"] for reply in run.replies}


def test_a_reply_id_stands_for_one_origin_intent_and_outcome(run: Run) -> None:
    """So a channel can drop what it has heard."""
    meant = {(*reply["origin"].values(), reply["intent_index"], reply["outcome"]) for reply in run.replies}

    assert len(meant) == len({reply["reply_id"] for reply in run.replies}) == len(run.replies)


def test_the_whole_run_verifies(run: Run) -> None:
    """Store, topics and read models agree about everything above."""
    assert {} == {f.invariant: f.first for f in run.report.findings if not f.holds}


@pytest.mark.parametrize(
    ("reference", "state"),
    [
        ("web-paid", "COMPLETED"),
        ("web-declined", "FAILED"),
        ("web-twice", "COMPLETED"),
        ("web-contested", "COMPLETED"),
        ("PO-rival", "REJECTED"),
        ("web-first", "SUPERSEDED"),
        ("web-second", "COMPLETED"),
        ("web-late", "COMPLETED"),
        ("web-later", "REJECTED"),
        ("web-same", "COMPLETED"),
        ("PO-stale", "REJECTED"),
        ("web-wrong", "REJECTED"),
        ("web-rolled", "COMPLETED"),
    ],
)
def test_the_read_model_shows_how_each_order_ended(run: Run, reference: str, state: str) -> None:
    """And the last reply says the same."""
    assert state == run.order(reference)["state"]


@pytest.mark.parametrize(
    ("reference", "outcome", "expected"),
    [
        ("web-wrong", "rejected", {"ARREARS", "BELOW_TIER_MINIMUM", "CONTRACT_ENDS_FIRST"}),
        ("web-nothing", "rejected", {"NOT_AVAILABLE_YET", "PLAN_UNKNOWN"}),
        ("web-done", "rejected", {"REFERENCE_REUSED"}),
        ("PO-rival", "rejected", {"ORDER_CONFLICT"}),
        ("web-contested", "conflict", {"ORDER_CONFLICT"}),
        ("web-later", "rejected", {"ORDER_IN_PROGRESS"}),
        ("PO-stale", "rejected", {"STALE_ORDER"}),
        ("web-declined", "failed", {"PAYMENT_DECLINED"}),
        ("web-first", "superseded", {"SUPERSEDED"}),
        ("web-same", "completed", {"ALREADY_IN_FORCE"}),
        ("ask-no", "validated", {"BELOW_TIER_MINIMUM"}),
        ("ask-nonsense", "validated", {"PLAN_UNKNOWN"}),
        ("web-unknown", "dead", {"UNKNOWN_REFERENCE"}),
        ("web-empty", "dead", {"MISSING_FIELD"}),
        ("web-done", "completed", set()),
        ("web-module", "completed", set()),
        ("web-included", "completed", {"MODULE_INCLUDED"}),
        ("web-paid", "completed", set()),
    ],
)
def test_the_answer_names_all_reasons(run: Run, reference: str, outcome: str, expected: set[str]) -> None:
    """All that stand in the way at once, each with words for the customer."""
    answer = run.answer(reference, outcome)

    assert expected == codes(answer)
    assert all(reason["text"] for reason in answer["reasons"])


@pytest.mark.parametrize(
    ("reference", "outcome", "retry"),
    [
        ("PO-rival", "rejected", True),
        ("web-later", "rejected", True),
        ("web-declined", "failed", True),
        ("web-unknown", "dead", True),
        ("web-wrong", "rejected", False),
        ("PO-stale", "rejected", False),
        ("web-empty", "dead", False),
        ("web-paid", "completed", None),
    ],
)
def test_the_answer_says_whether_sending_again_can_help(
    run: Run, reference: str, outcome: str, retry: bool | None
) -> None:
    """Only where it helps against every reason; nothing where there is nothing to send again."""
    assert retry is run.answer(reference, outcome)["retry"]


def test_texts_are_those_of_the_reasons(run: Run) -> None:
    """Customers read the published words, never a code."""
    (reason,) = run.answer("web-declined", "failed")["reasons"]

    assert REASONS[ReasonCode.PAYMENT_DECLINED].customer == reason["text"]


@pytest.mark.parametrize("reference", ["web-done", "web-paid", "web-second", "web-late"])
def test_a_completed_order_was_charged_what_it_owed(run: Run, reference: str) -> None:
    """The amounts of the answer are those of the read model."""
    order, amounts = run.orders[reference][-1], run.answer(reference, "completed")["amounts"]

    assert amounts["due_minor"] > 0
    assert amounts == {
        "currency": order["currency"],
        "net_minor": order["net_minor"],
        "due_minor": order["due_minor"],
        "charged_minor": order["charged_minor"],
    }
    assert amounts["due_minor"] == amounts["charged_minor"]


def test_what_was_in_force_costs_nothing(run: Run) -> None:
    """A second order for the same plan and seats is a success without a charge."""
    assert 0 == run.order("web-same")["charged_minor"]
    assert ("business-year", 30) == run.tier("done")


@pytest.mark.parametrize(
    ("reference", "status", "captures"),
    [
        ("web-paid", "captured", 1),
        ("web-twice", "captured", 1),
        ("web-contested", "captured", 1),
        ("web-second", "captured", 1),
        ("web-late", "captured", 1),
        ("web-declined", "declined", 0),
        ("web-first", "voided", 0),
    ],
)
def test_the_gateway_took_money_once_for_what_was_completed(
    run: Run, reference: str, status: str, captures: int
) -> None:
    """A superseded order's late authorization is given back and never captured."""
    assert (status, captures) == run.payments[run.order(reference)["order_id"]]


def test_orders_without_a_charge_never_reach_the_gateway(run: Run) -> None:
    """Invoiced and rejected orders have no payment there."""
    paying = {run.order(reference)["order_id"] for reference in (*GATEWAY_ORDERS, "web-second")}

    assert paying == set(run.payments)


def test_a_duplicate_names_the_order_it_repeats(run: Run) -> None:
    """Under the origin of its own record."""
    answers = run.answers("web-twice")

    assert {run.order("web-twice")["order_id"]} == {answer["order_id"] for answer in answers}
    assert 3 == len({tuple(answer["origin"].values()) for answer in answers})
    assert 2 == run.order("web-twice")["duplicates"]


def test_a_reused_reference_leaves_the_first_order_alone(run: Run) -> None:
    """Other content under a taken reference is an order of its own, and rejected."""
    assert ["COMPLETED", "REJECTED"] == sorted(order["state"] for order in run.orders["web-done"])
    rejected, completed = (run.answer("web-done", outcome) for outcome in ("rejected", "completed"))
    assert rejected["order_id"] != completed["order_id"]


def test_the_superseding_order_is_in_force(run: Run) -> None:
    """And the superseded one says by whom."""
    assert ("business-year", 35) == run.tier("changed")
    assert run.order("web-second")["order_id"] == run.order("web-first")["superseded_by"]


def test_a_module_is_on_until_the_tier_includes_it(run: Run) -> None:
    """As an item of its own in the history, then as part of the plan; its feature stays throughout."""
    now = run.status("equipped")
    assert ("enterprise-year", []) == (now["plan"], now["modules"])
    assert "single-sign-on" in now["features"]
    with connect(run.settings.database_url, "test") as connection:
        history = connection.execute(
            "SELECT modules, 'single-sign-on' = ANY(features) FROM read.tier_history"
            " WHERE subscription_id = %s ORDER BY position",
            (subscription("equipped"),),
        ).fetchall()
    assert [([], False), (["sso-pack"], True), ([], True)] == history


def test_a_question_makes_no_order(run: Run) -> None:
    """It is answered with the price and changes nothing."""
    assert [[], [], []] == [run.orders[reference] for reference in ("ask-yes", "ask-no", "ask-nonsense")]
    answer = run.answer("ask-yes", "validated")
    assert answer["order_id"] is None
    assert answer["amounts"]["due_minor"] > 0
    assert answer["amounts"]["charged_minor"] is None
    assert "team-month" == run.tier("asked")[0]


def test_dead_intents_make_no_order(run: Run) -> None:
    """What nobody could decide is answered and has no order."""
    for reference in ("web-unknown", "web-empty", None):
        assert run.answer(reference, "dead")["order_id"] is None
    assert [[], []] == [run.orders[reference] for reference in ("web-unknown", "web-empty")]


def test_one_partner_record_is_two_orders_with_two_answers(run: Run) -> None:
    """Same origin, counted intents, each subscription its own order."""
    answers = sorted(run.answers("PO-pair"), key=lambda answer: answer["intent_index"])

    assert [(0, 2), (1, 2)] == [(answer["intent_index"], answer["intent_count"]) for answer in answers]
    assert 1 == len({tuple(answer["origin"].values()) for answer in answers})
    assert {("COMPLETED", subscription("pair-1")), ("COMPLETED", subscription("pair-2"))} == {
        (order["state"], order["subscription_id"]) for order in run.orders["PO-pair"]
    }
    assert [("business-year", 40)] * 2 == [run.tier("pair-1"), run.tier("pair-2")]
