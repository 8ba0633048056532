"""The checker's own fold of the read models, and the comparison with what the tables say."""

from __future__ import annotations

from typing import Any

from tierline.verify.evidence import Evidence, Place, TopicEvent
from tierline.verify.folds import fold_tiers, judge_read_models

OPENED = {
    "tier": "team",
    "plan": "team-month",
    "seats": 12,
    "currency": "EUR",
    "billing_day": 1,
    "features": ["sso", "api"],
    "modules": ["audit-pack"],
    "limits": [{"name": "projects", "value": 10}],
    "period_start": "2026-11-01",
    "period_end": "2026-12-01",
}
CHANGED = {"to_tier": "business", "to_plan": "business-year", "to_seats": 15}
ENTITLED = {"on": ["audit"], "off": ["api"], "limits": [{"name": "projects", "value": 99}]}
BILLED = {
    "currency": "EUR",
    "billing_day": 1,
    "period_start": "2026-11-01",
    "period_end": "2027-11-01",
    "next_billing_date": "2027-11-01",
    "next_billing_minor": 100,
    "items": [{"id": "base"}, {"id": "sso-pack"}],
}
RECEIVED = {"plan": "business-year", "seats": 15, "modules": ["sso-pack"]}
COMPLETED = {"charged_minor": 1420866}


def an_event(position: int, kind: str, body: dict[str, Any], index: int, count: int) -> TopicEvent:
    envelope = {
        "position": position,
        "partition": 2,
        "type": kind,
        "stream_id": "subscription:sub_88",
        "version": position + 1,
        "decision_index": index,
        "decision_count": count,
        "event_id": f"event-{position}",
        "command_id": "command-1",
        "recorded_at": 1_000 + position,
        "received_at": 900,
        "account_id": "acc_204",
        "subscription_id": "sub_88",
        "order_id": None if kind == "SubscriptionOpened" else "order-1",
        "channel": "partner",
        "source": "main",
        "source_ref": "PO-7781",
        "origin": {"topic": "orders.partner.v1", "partition": 1, "offset": 7},
        "intent_index": 0,
        "body": body,
    }
    return TopicEvent(Place("oms.events.v1", 2, position), position, b"h", kind, b"v", envelope)


LOG = [
    an_event(0, "SubscriptionOpened", OPENED, 0, 1),
    an_event(1, "OrderReceived", RECEIVED, 0, 5),
    an_event(2, "TierChanged", CHANGED, 1, 5),
    an_event(3, "EntitlementsChanged", ENTITLED, 2, 5),
    an_event(4, "BillingScheduleAdjusted", BILLED, 3, 5),
    an_event(5, "OrderCompleted", COMPLETED, 4, 5),
]

IN_FORCE: dict[str, Any] = {
    "subscription_id": "sub_88",
    "account_id": "acc_204",
    "tier": "business",
    "plan": "business-year",
    "seats": 15,
    "currency": "EUR",
    "billing_day": 1,
    "features": ["audit", "sso"],
    "modules": ["sso-pack"],
    "limits": {"projects": 99},
    "period_start": "2026-11-01",
    "period_end": "2027-11-01",
    "next_billing_date": "2027-11-01",
    "next_billing_minor": 100,
    "subscription_standing": "good",
    "order_id": "order-1",
    "partition": 2,
    "position": 4,
    "version": 5,
}
BEFORE: dict[str, Any] = {
    **IN_FORCE,
    "tier": "team",
    "plan": "team-month",
    "seats": 12,
    "features": ["api", "sso"],
    "modules": ["audit-pack"],
    "limits": {"projects": 10},
    "period_end": "2026-12-01",
    "order_id": None,
    "position": 0,
    "version": 1,
}
ORDER: dict[str, Any] = {
    "order_id": "order-1",
    "account_id": "acc_204",
    "subscription_id": "sub_88",
    "channel": "partner",
    "source": "main",
    "source_ref": "PO-7781",
    "plan": "business-year",
    "seats": 15,
    "modules": ["sso-pack"],
    "decide_by": None,
    "received_at": 900,
    "origin_topic": "orders.partner.v1",
    "origin_partition": 1,
    "origin_offset": 7,
    "duplicates": 0,
    "charged_minor": 1420866,
    "state": "COMPLETED",
}


def the_tables() -> dict[str, list[dict[str, Any]]]:
    audit = [
        {
            **{
                name: event.envelope[name]
                for name in ("event_id", "type", "stream_id", "version", "order_id", "command_id")
            },
            "recorded_at": event.envelope["recorded_at"],
            "hash": b"h",
            "partition": 2,
            "position": event.position,
        }
        for event in LOG
    ]
    timeline = [
        {
            "order_id": "order-1",
            "position": e.position,
            "partition": 2,
            "type": e.type_header,
            "recorded_at": e.envelope["recorded_at"],
        }
        for e in LOG[1:]
    ]
    return {
        "tier_status": [dict(IN_FORCE)],
        "tier_history": [dict(BEFORE), dict(IN_FORCE)],
        "order_status": [dict(ORDER)],
        "order_timeline": timeline,
        "audit_entry": audit,
    }


def offences(tables: dict[str, list[dict[str, Any]]]) -> dict[str, str | None]:
    found = judge_read_models(Evidence(topic=LOG, read_models=tables))
    return {f.invariant: f.first for f in found if not f.holds}


def test_tables_that_follow_from_the_events_are_clean() -> None:
    """Every read model equals its fold."""
    assert {} == offences(the_tables())


def test_a_rolled_period_is_folded() -> None:
    """It moves period and next bill, and is not the order's change yet."""
    rolled = {
        "period_start": "2026-12-01",
        "period_end": "2027-01-01",
        "next_billing_date": "2027-01-01",
        "next_billing_minor": 34_800,
    }
    log = {2: [LOG[0], an_event(1, "PeriodRolled", rolled, 0, 1)]}
    now, history = fold_tiers(log)

    assert BEFORE | rolled | {"position": 1, "version": 2} == now["sub_88"]
    assert [(2, 0), (2, 1)] == list(history)


def test_an_edited_row_is_named_with_both_values() -> None:
    """A tier that nobody ordered is found, and what the events say stands beside it."""
    tables = the_tables()
    tables["tier_status"][0]["tier"] = "enterprise"

    assert "read.tier_status: sub_88 has tier 'enterprise', the events say 'business'" == offences(
        tables
    ).get("tier_status equals its fold")


def test_a_deleted_audit_row_is_named() -> None:
    """An audit trail with a gap is not one."""
    tables = the_tables()
    del tables["audit_entry"][3]

    assert "read.audit_entry: (2, 3) is missing" == offences(tables).get("audit_entry equals its fold")


def test_a_row_that_no_event_made_is_named() -> None:
    """A row that was slipped in is found."""
    tables = the_tables()
    tables["order_status"].append({**ORDER, "order_id": "order-2"})

    assert "read.order_status: order-2 is not in the events" == offences(tables).get(
        "order_status equals its fold"
    )


def test_a_missing_state_of_the_past_is_named() -> None:
    """History keeps every state that a decision brought."""
    tables = the_tables()
    del tables["tier_history"][0]

    assert "read.tier_history: (2, 0) is missing" == offences(tables).get("tier_history equals its fold")


def test_an_altered_timeline_is_named() -> None:
    """What happened to an order stands as it happened."""
    tables = the_tables()
    tables["order_timeline"][0]["type"] = "OrderRejected"

    assert "the events say 'OrderReceived'" in str(offences(tables)["order_timeline equals its fold"])
