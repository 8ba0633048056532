"""Values that orders are decided with: a small price book, a policy, and the commands of one subscription.

The subscription is that of the import example: sub_88 of acc_204 in Berlin, team-month with 12 seats, its
period 2026-11-01 to 2026-12-01, its contract until 2027-10-31.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from tierline.domain.calendar import Interval
from tierline.domain.catalog import Catalog, Module, Plan, Price, Tier
from tierline.domain.commands import (
    ChangeStanding,
    Command,
    CommandBody,
    Contract,
    ExternalRef,
    InvoicedRow,
    OpenSubscription,
    Origin,
    PlaceOrder,
    RecordPaymentResult,
    RejectOrder,
    ReleaseOrder,
    RollPeriod,
)
from tierline.domain.cycles import Cycle
from tierline.domain.identity import (
    opening_command_id,
    order_command_id,
    order_id_of,
    payment_id_of,
    payment_result_command_id,
    uuid_of,
)
from tierline.domain.policy import Override, Policy, Rule, Severity

MONTH, YEAR = Interval.parse("1month"), Interval.parse("1year")

ACCOUNT = "acc_204"
SUBSCRIPTION = "sub_88"
REF = ExternalRef("partner", "main", "PROD-991")
CONTRACT = Contract("2025-11-01", "2027-10-31", 12, 0)
ROW = InvoicedRow("base", "2026-11-01", "2026-12-01", 12, 34_800)


def ms(text: str) -> int:
    """An instant in ms; without offset it is UTC."""
    instant = datetime.fromisoformat(text)
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1000)


NOON = ms("2026-11-23T12:00:00")
MINUTE = 60_000


def plan(plan_id: str, tier: str, interval: Interval, per_seat: int, **other: Any) -> Plan:
    """A plan that costs ``per_seat`` euro cents a seat, and as many US cents."""
    prices = {"EUR": Price(0, per_seat), "USD": Price(0, per_seat)}
    usual = Plan(plan_id, plan_id, tier, interval, prices, features=(tier,), limits={"seats": 500})
    return replace(usual, **other)


def module(module_id: str, tiers: str, price: Price, *intervals: Interval, excludes: str = "") -> Module:
    """A module for ``tiers`` at ``price`` in euros; its feature and the partner's offering have its name."""
    return Module(
        module_id,
        module_id,
        (module_id.removesuffix("-pack"),),
        frozenset(tiers.split()),
        {interval: {"EUR": price} for interval in intervals},
        frozenset(excludes.split()),
        {"partner": (f"OFF-{module_id.removesuffix('-pack').upper()}",)},
    )


CATALOG = Catalog(
    "c1",
    (
        Tier("starter", 0),
        Tier("team", 1),
        Tier("business", 2),
        Tier("enterprise", 3, frozenset({"sso-pack"})),
    ),
    {
        known.id: known
        for known in (
            plan("starter-year", "starter", YEAR, 9_000),
            plan("team-month", "team", MONTH, 2_900, features=("boards", "guests")),
            plan("team-plus", "team", MONTH, 2_900),
            plan("team-year", "team", YEAR, 29_000),
            plan("business-month", "business", MONTH, 9_900, aliases={"partner": ("OFF-BUSINESS-M",)}),
            plan(
                "business-year",
                "business",
                YEAR,
                100_800,
                minimum_seats=10,
                features=("boards", "sso"),
                limits={"seats": 500, "guests": 80},
                cycles={"team-month": Cycle.KEEP_BILLING_DAY},
                aliases={"partner": ("OFF-BUSINESS-Y", "team-month")},
            ),
            plan("business-same", "business", MONTH, 2_900),
            plan("business-lite", "business", MONTH, 1_000),
            plan("business-us", "business", MONTH, 9_900, countries=frozenset({"US"})),
            plan("business-old", "business", MONTH, 9_900, sellable_to=date(2026, 11, 23)),
            plan("business-usd", "business", MONTH, 9_900, prices={"USD": Price(0, 9_900)}),
            plan("enterprise-year", "enterprise", YEAR, 250_000, features=("enterprise", "sso")),
        )
    },
    {
        known.id: known
        for known in (
            module("sso-pack", "team business", Price(0, 300), MONTH, YEAR),
            module("audit-pack", "business", Price(9_900), MONTH, YEAR),
            module("chat-pack", "team", Price(1_000), MONTH, YEAR),
            module("voice-pack", "team business", Price(1_500), MONTH, excludes="chat-pack"),
        )
    },
)


def a_policy(*overrides: Override, **severities: Severity) -> Policy:
    """Every rule rejects; ``severities`` by rule name change that."""
    usual = dict.fromkeys(Rule, Severity.REJECT)
    return Policy("p1", usual | {Rule(name): severity for name, severity in severities.items()}, overrides)


POLICY = a_policy()


def an_opening(
    *, account_id: str = ACCOUNT, subscription_id: str = SUBSCRIPTION, offset: int = 0, **changed: Any
) -> Command:
    """The opening of sub_88; ``changed`` are fields of the body."""
    body = OpenSubscription(
        time_zone="Europe/Berlin",
        currency="EUR",
        country="DE",
        segment="mid",
        standing="good",
        payment="invoice",
        plan="team-month",
        seats=12,
        modules=(),
        opened_at=ms("2025-11-01T00:00:00"),
        billing_day=1,
        period_start="2026-11-01",
        period_end="2026-12-01",
        contract=CONTRACT,
        invoiced=(ROW,),
        external_refs=(REF,),
    )
    return _command(
        replace(body, **changed),
        opening_command_id(subscription_id),
        ("import", "main", subscription_id),
        Origin("import:accounts.ndjson", 0, offset),
        ms("2026-11-02T00:00:00"),
        account_id=account_id,
        subscription_id=subscription_id,
    )


def an_order(
    reference: str = "PO-1",
    *,
    offset: int = 0,
    channel: str = "portal",
    source: str = "main",
    received_at: int = NOON,
    account_id: str = ACCOUNT,
    subscription_id: str = SUBSCRIPTION,
    **changed: Any,
) -> Command:
    """An order for business-year with 15 seats; ``changed`` are fields of the body."""
    body = PlaceOrder(
        plan="business-year",
        seats=15,
        modules=(),
        effective="now",
        payment_method="pm_card_visa",
        requested_by="usr_9",
        requested_at=None,
        unavailable=(),
        validate_only=False,
    )
    body = replace(body, **changed)
    kind = "validate" if body.validate_only else "order"
    return _command(
        body,
        order_command_id(channel, source, reference, subscription_id, kind),
        (channel, source, reference),
        Origin(f"orders.{channel}.v1", 0, offset),
        received_at,
        account_id=account_id,
        subscription_id=subscription_id,
    )


def a_change(standing: str, told_at: int = NOON, *, offset: int = 0, reference: str = "op-1") -> Command:
    """The marketplace says that sub_88 got another standing at ``told_at``."""
    return _command(
        ChangeStanding(standing, told_at),
        order_command_id("marketplace", "main", reference, SUBSCRIPTION, "standing"),
        ("marketplace", "main", reference),
        Origin("orders.marketplace.v1", 0, offset),
        told_at + 500,
        account_id=ACCOUNT,
        subscription_id=SUBSCRIPTION,
    )


def a_renewal(
    told_at: int,
    start: str | None = None,
    end: str | None = None,
    *,
    offset: int = 0,
    reference: str = "op-r",
) -> Command:
    """The marketplace says that sub_88 was renewed at ``told_at``."""
    return _command(
        RollPeriod(start, end, told_at),
        order_command_id("marketplace", "main", reference, SUBSCRIPTION, "period"),
        ("marketplace", "main", reference),
        Origin("orders.marketplace.v1", 0, offset),
        told_at + 500,
        account_id=ACCOUNT,
        subscription_id=SUBSCRIPTION,
    )


def a_review(body: ReleaseOrder | RejectOrder, *, offset: int = 0) -> Command:
    """A person releases or rejects an order."""
    command = _command(
        body,
        uuid_of("command", type(body).__name__, body.order_id, str(offset)),
        ("portal", "main", "PO-1"),
        Origin("cli:orders", 0, offset),
        NOON + MINUTE,
        account_id=ACCOUNT,
        subscription_id=SUBSCRIPTION,
    )
    return replace(command, actor="ops")


def due(command: Command, by: int) -> Command:
    """The same command of a sender that takes silence for a yes after ``by``."""
    return replace(command, decide_by=by)


def order_of(command: Command, attempt: int = 1) -> str:
    """The id of the order that a command makes."""
    return order_id_of(command.command_id, attempt)


def payment_of(command: Command) -> str:
    """The id of the payment that the order of a command asks for."""
    return payment_id_of(order_of(command), 1)


def a_result(order: Command, status: str, amount_minor: int, *, offset: int = 0, **changed: Any) -> Command:
    """What the gateway says about the payment of ``order``; ``changed`` are fields of the body."""
    payment_id = payment_of(order)
    body = RecordPaymentResult(
        payment_id=payment_id,
        order_id=order_of(order),
        status=status,
        gateway_ref="pi_1",
        code="card_declined" if status == "declined" else None,
        amount_minor=amount_minor,
        currency="EUR",
    )
    body = replace(body, **changed)
    return _command(
        body,
        payment_result_command_id(body.payment_id, status),
        ("payments", "main", payment_id),
        Origin("oms.events.v1", 0, offset),
        order.received_at + 1,
        account_id=order.account_id,
        subscription_id=order.subscription_id,
    )


def from_elsewhere(command: Command, offset: int = 1_000) -> Command:
    """The same ask, published once more."""
    return replace(command, origin=replace(command.origin, offset=offset))


def _command(
    body: CommandBody,
    command_id: str,
    sender: tuple[str, str, str],
    origin: Origin,
    received_at: int,
    *,
    account_id: str,
    subscription_id: str,
) -> Command:
    channel, source, source_ref = sender
    return Command(
        tenant_id="main",
        livemode=False,
        command_id=command_id,
        type=type(body).__name__,
        account_id=account_id,
        subscription_id=subscription_id,
        channel=channel,
        source=source,
        source_ref=source_ref,
        origin=origin,
        intent_index=0,
        intent_count=1,
        received_at=received_at,
        decide_by=None,
        actor=None,
        correlation_id="corr",
        causation_id=None,
        purchase_order_ref=None,
        digest=hashlib.sha256(repr((account_id, body)).encode()).hexdigest(),
        app_version="test",
        traceparent=None,
        body=body,
    )
