"""Audit and timeline take every event, of types that this version has never heard of too."""

from __future__ import annotations

from typing import Any

import pytest

from projections import audit_entry, order_status, order_timeline, tier_history, tier_status
from projections.models import KNOWN_TYPES, READ_MODELS
from tests.support.event_log import EventLog
from tests.support.order_stories import (
    COMPLETED,
    PAYMENT,
    QUOTED,
    RECEIVED,
    envelope,
    opening,
    order_id_of,
    rejection,
    upgrade,
    upgrade_through_gateway,
)


def audited(*bodies: Any, **over: Any) -> dict[str, Any]:
    """The audit row of the last event of one decision."""
    log = EventLog()
    log.decide(*bodies, **envelope(1) | over)
    return audit_entry.fold([], log.events)[-1]


def future(event: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """An event of a type that does not exist yet."""
    return event | {"type": "OrderPaused", "body": body}


def test_every_event_is_audited_once() -> None:
    """One row per event, by its place."""
    log = EventLog()
    opening(log)
    upgrade(log)
    rejection(log, order=2)

    assert [(0, n) for n in range(12)] == [
        (row["partition"], row["position"]) for row in audit_entry.fold([], log.events)
    ]


@pytest.mark.parametrize(
    ("body", "amount"),
    [
        (QUOTED, 1_342_192),
        (COMPLETED, 1_342_192),
        (("PaymentCaptured", PAYMENT), 1_342_192),
        (RECEIVED, None),
    ],
)
def test_the_fee_of_an_event_is_audited(body: Any, amount: int | None) -> None:
    """Due of a quote, charge of a completed order, amount of a payment; nothing where there is none."""
    assert amount == audited(body)["amount_minor"]


def test_reason_codes_come_from_the_reasons_else_from_the_envelope() -> None:
    """All reasons of the body; the envelope's code where the body has none."""
    reasons = {"reasons": [{"code": "A", "detail": ""}, {"code": "B", "detail": ""}]}

    assert ["A", "B"] == audited(("OrderFailed", reasons), reason_code="A")["reason_codes"]
    assert ["C"] == audited(RECEIVED, reason_code="C")["reason_codes"]
    assert [] == audited(RECEIVED)["reason_codes"]


def test_the_timeline_has_the_events_about_orders() -> None:
    """What belongs to no order is not in a timeline."""
    log = EventLog()
    opening(log)
    order_id = upgrade(log)

    assert [(order_id, n) for n in range(2, 9)] == [
        (row["order_id"], row["position"]) for row in order_timeline.fold([], log.events)
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reasons": 7, "amount_minor": "much", "currency": 3},
        {"reasons": ["word", {"code": 5}, {}], "net_minor": {"nested": []}},
    ],
)
def test_an_unknown_type_is_kept_by_audit_and_timeline_and_ignored_by_the_rest(body: dict[str, Any]) -> None:
    """Readers are deployed before writers, whatever the new type does with familiar names."""
    log = EventLog()
    opening(log)
    order_id = upgrade_through_gateway(log)
    before = {model.name: model.fold([], log.events) for model in READ_MODELS}
    last = log.decide(RECEIVED, order_id=order_id, **envelope(1))[0]
    events = [*log.events[:-1], future(last, body)]

    assert "OrderPaused" not in KNOWN_TYPES
    assert "OrderPaused" == audit_entry.fold([], events)[-1]["type"]
    assert body == audit_entry.fold([], events)[-1]["body"]
    for column, kind in (("amount_minor", int), ("net_minor", int), ("currency", str)):
        assert isinstance(audit_entry.fold([], events)[-1][column], kind | None)
    assert "OrderPaused" == order_timeline.fold([], events)[-1]["type"]
    for tiers in (tier_status, tier_history):
        assert before[tiers.MODEL.name] == tiers.fold([], events)
    assert "COMPLETED" == order_status.fold([], events)[0]["state"]


def test_an_unknown_type_about_an_unknown_order_is_no_order() -> None:
    """Only OrderReceived makes an order."""
    log = EventLog()
    event = log.decide(RECEIVED, order_id=order_id_of(1), **envelope(1))[0]

    assert [] == order_status.fold([], [future(event, {})])
