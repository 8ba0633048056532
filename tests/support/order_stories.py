"""The usual stories of orders, as decisions on an EventLog."""

from __future__ import annotations

from typing import Any

from tests.support.event_log import EventLog, uuid_for

LIMITS = [{"name": "api_calls", "value": 1000}]


def opening(log: EventLog, number: int = 1, *, account: str | None = None, first: bool = True) -> None:
    """Open subscription ``sub_<number>``, with its account when it is the ``first`` of it."""
    terms = {"time_zone": "Europe/Berlin", "currency": "EUR", "country": "DE", "segment": "mid"}
    account_opened = ("AccountOpened", terms | {"standing": "good", "payment": "invoice"})
    subscription_opened = (
        "SubscriptionOpened",
        {
            "tier": "team",
            "plan": "team-month",
            "seats": 12,
            "features": ["boards"],
            "limits": LIMITS,
            "currency": "EUR",
            "billing_day": 1,
            "period_start": "2026-11-01",
            "period_end": "2026-12-01",
        },
    )
    decision = (account_opened, subscription_opened) if first else (subscription_opened,)
    log.decide(*decision, **envelope(number, account), command_type="OpenSubscription")


def envelope(number: int, account: str | None = None) -> dict[str, Any]:
    """The envelope fields of account and subscription ``number``."""
    return {"account_id": account or f"acc_{number}", "subscription_id": f"sub_{number}"}


def order_id_of(number: int, order: int = 1) -> str:
    """The id of the ``order``-th order of subscription ``number``."""
    return uuid_for("order", number, order)


RECEIVED = ("OrderReceived", {"plan": "business-year", "seats": 15, "effective": "now"})
VALIDATED = (
    "OrderValidated",
    {"verdicts": [{"rule": "seats", "verdict": "PASS", "severity": "reject", "detail": ""}]},
)
QUOTED = (
    "QuoteIssued",
    {
        "quote_id": "quote_5f",
        "currency": "EUR",
        "net_minor": 1_342_192,
        "due_minor": 1_342_192,
        "zone": "Europe/Berlin",
        "plan": "business-year",
        "seats": 15,
        "period_start": "2026-11-23",
        "period_end": "2027-11-01",
        "next_billing_date": "2027-11-01",
        "next_billing_minor": 1_512_000,
        "expires_at": 1_795_429_931_104,
        "lines": [
            {
                "kind": "charge",
                "item": "base",
                "start": "2026-11-23",
                "end": "2027-11-01",
                "numerator": 343,
                "denominator": 365,
                "mode": "day",
                "amount_minor": 1_420_866,
                "invoiced_index": None,
                "formula": "343/365 x 15120.00",
            },
            {
                "kind": "credit",
                "item": "base",
                "start": "2026-11-23",
                "end": "2026-12-01",
                "numerator": 8,
                "denominator": 30,
                "mode": "day",
                "amount_minor": -78_674,
                "invoiced_index": 0,
                "formula": "8/30 x 2950.27",
            },
        ],
    },
)
TIER_CHANGED = (
    "TierChanged",
    {
        "from_tier": "team",
        "to_tier": "business",
        "from_plan": "team-month",
        "to_plan": "business-year",
        "from_seats": 12,
        "to_seats": 15,
    },
)
ENTITLED = (
    "EntitlementsChanged",
    {"on": ["sso", "audit-log"], "off": ["boards"], "limits": [{"name": "api_calls", "value": 9000}]},
)
BILLED = (
    "BillingScheduleAdjusted",
    {
        "currency": "EUR",
        "period_start": "2026-11-23",
        "period_end": "2027-11-01",
        "billing_day": 1,
        "next_billing_date": "2027-11-01",
        "next_billing_minor": 1_512_000,
    },
)
COMPLETED = (
    "OrderCompleted",
    {"tier": "business", "plan": "business-year", "seats": 15, "charged_minor": 1_342_192, "currency": "EUR"},
)
PERIOD_ROLLED = (
    "PeriodRolled",
    {
        "currency": "EUR",
        "period_start": "2026-12-01",
        "period_end": "2027-01-01",
        "next_billing_date": "2027-01-01",
        "next_billing_minor": 34_800,
        "invoiced": [],
    },
)
PERIOD_INVOICED = (
    "PeriodInvoiced",
    {"currency": "EUR", "period_start": "2026-12-01", "period_end": "2027-01-01", "amount_minor": 34_800},
)
PAYMENT = {
    "payment_id": uuid_for("payment"),
    "gateway_ref": "pi_3N",
    "amount_minor": 1_342_192,
    "currency": "EUR",
}


def upgrade(log: EventLog, number: int = 1, order: int = 1, **over: Any) -> str:
    """An accepted order of an invoiced account, in one decision. Returns its id."""
    order_id = order_id_of(number, order)
    log.decide(
        *(RECEIVED, VALIDATED, QUOTED, TIER_CHANGED, ENTITLED, BILLED, COMPLETED),
        order_id=order_id,
        **envelope(number) | over,
    )
    return order_id


def upgrade_through_gateway(log: EventLog, number: int = 1, order: int = 1, **over: Any) -> str:
    """An accepted order that is paid at the gateway: three decisions. Returns its id."""
    order_id = order_id_of(number, order)
    where = envelope(number) | over | {"order_id": order_id}
    log.decide(RECEIVED, VALIDATED, QUOTED, ("PaymentRequested", PAYMENT), **where)
    result = where | {"command_type": "RecordPaymentResult", "channel": "payments"}
    log.decide(("PaymentAuthorized", PAYMENT), ("PaymentCaptureRequested", PAYMENT), **result)
    log.decide(("PaymentCaptured", PAYMENT), TIER_CHANGED, ENTITLED, BILLED, COMPLETED, **result)
    return order_id


def rejection(log: EventLog, number: int = 1, order: int = 1, **over: Any) -> str:
    """A rejected order. Returns its id."""
    order_id = order_id_of(number, order)
    reasons = [
        {"code": "CONTRACT_ENDS_FIRST", "detail": "2027-10-31"},
        {"code": "BELOW_TIER_MINIMUM", "detail": "10"},
    ]
    log.decide(
        *(RECEIVED, VALIDATED, ("OrderRejected", {"reasons": reasons, "retry": False})),
        order_id=order_id,
        reason_code="CONTRACT_ENDS_FIRST",
        **envelope(number) | over,
    )
    return order_id
