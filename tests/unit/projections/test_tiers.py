"""What a subscription is on, now and through its history, follows from its events."""

from __future__ import annotations

from typing import Any

from projections import tier_history, tier_status
from tests.support.event_log import EventLog
from tests.support.order_stories import (
    BILLED,
    ENTITLED,
    PERIOD_INVOICED,
    PERIOD_ROLLED,
    RECEIVED,
    TIER_CHANGED,
    envelope,
    opening,
    order_id_of,
    rejection,
    upgrade,
    upgrade_through_gateway,
)


def an_item(item_id: str) -> dict[str, Any]:
    """An item of a billing schedule."""
    facts = {"plan": item_id, "interval": "1year", "quantity": 1, "list_minor": 1, "mode": "day"}
    return {"id": item_id} | facts


def now(log: EventLog) -> dict[str, dict[str, Any]]:
    """The rows of tier_status by subscription."""
    return {row["subscription_id"]: row for row in tier_status.fold([], log.events)}


def test_an_opened_subscription_is_on_its_first_tier() -> None:
    """The opening states everything but the next bill."""
    log = EventLog()
    opening(log)
    row = now(log)["sub_1"]
    expected = {
        "account_id": "acc_1",
        "tier": "team",
        "plan": "team-month",
        "seats": 12,
        "features": ["boards"],
        "limits": {"api_calls": 1000},
        "period_start": "2026-11-01",
        "period_end": "2026-12-01",
        "next_billing_date": None,
        "order_id": None,
        "standing": "good",
        "payment": "invoice",
        "time_zone": "Europe/Berlin",
        "position": 1,
    }

    assert expected == {name: row[name] for name in expected}


def test_an_upgrade_changes_tier_features_limits_and_billing() -> None:
    """The three events of an activation are one new row."""
    log = EventLog()
    opening(log)
    order_id = upgrade(log)
    row = now(log)["sub_1"]
    expected = {
        "tier": "business",
        "plan": "business-year",
        "seats": 15,
        "features": ["audit-log", "sso"],
        "limits": {"api_calls": 9000},
        "period_end": "2027-11-01",
        "next_billing_date": "2027-11-01",
        "next_billing_minor": 1_512_000,
        "order_id": order_id,
        "standing": "good",
    }

    assert expected == {name: row[name] for name in expected}


def test_the_items_beside_the_plan_are_the_modules() -> None:
    """The opening names them, each change of the schedule has them as items."""
    log = EventLog()
    opening(log)
    before = now(log)["sub_1"]["modules"]
    billed = (BILLED[0], BILLED[1] | {"items": [an_item("sso-pack"), an_item("base"), an_item("audit-pack")]})
    log.decide(RECEIVED, TIER_CHANGED, ENTITLED, billed, order_id=order_id_of(1), **envelope(1))

    assert ([], ["audit-pack", "sso-pack"]) == (before, now(log)["sub_1"]["modules"])


def test_a_period_that_rolls_moves_the_schedule_and_is_no_ones_change() -> None:
    """Period and next bill; the tier and the order that last changed the subscription stay."""
    log = EventLog()
    opening(log)
    upgrade(log)
    before = now(log)["sub_1"]
    log.decide(PERIOD_ROLLED, PERIOD_INVOICED, order_id=order_id_of(1, 2), **envelope(1))
    row = now(log)["sub_1"]

    expected = before | {
        "period_start": "2026-12-01",
        "period_end": "2027-01-01",
        "next_billing_date": "2027-01-01",
        "next_billing_minor": 34_800,
    }
    marks = ("effective_at", "recorded_at", "version", "position")
    assert {name: expected[name] for name in expected if name not in marks} == {
        name: row[name] for name in row if name not in marks
    }
    assert log.events[-2]["position"] == row["position"]


def test_a_second_subscription_has_the_terms_of_its_account() -> None:
    """The account is opened once; its terms hold for all its subscriptions, also in a later batch."""
    log = EventLog()
    opening(log, number=1, account="acc_9")
    opening(log, number=2, account="acc_9", first=False)
    stored = tier_status.fold([], log.events[:2])

    assert "Europe/Berlin" == now(log)["sub_2"]["time_zone"]
    assert "Europe/Berlin" == tier_status.fold(stored, log.events[2:])[0]["time_zone"]


def test_a_rejected_order_changes_no_tier() -> None:
    """The tier in force is untouched until TierChanged."""
    log = EventLog()
    opening(log)
    before = now(log)
    rejection(log)

    assert before == now(log)


def test_a_change_of_an_unknown_subscription_is_ignored() -> None:
    """A fold never raises on a recorded fact."""
    log = EventLog()
    log.decide(TIER_CHANGED, ENTITLED, BILLED, order_id=order_id_of(1), **envelope(1))

    assert {} == now(log)


def test_a_date_that_is_none_is_left_out() -> None:
    """A fold never raises on a recorded fact, strange text included."""
    log = EventLog()
    opening(log)
    log.decide(("BillingScheduleAdjusted", BILLED[1] | {"period_end": "soon"}), **envelope(1))

    assert now(log)["sub_1"]["period_end"] is None
    assert "2026-11-23" == now(log)["sub_1"]["period_start"]


def test_history_has_one_row_per_decision_that_changed_something() -> None:
    """Opening and upgrade are two states; what was decided without a change is none."""
    log = EventLog()
    opening(log)
    rejection(log)
    upgrade(log, order=2)
    rows = tier_history.fold([], log.events)

    assert [("team", 1), ("business", 10)] == [(row["tier"], row["position"]) for row in rows]


def test_the_last_state_of_history_is_the_state_now() -> None:
    """Both are the same fold."""
    log = EventLog()
    for number in (1, 2):
        opening(log, number)
        upgrade_through_gateway(log, number)
    last = {row["subscription_id"]: row for row in tier_history.fold([], log.events)}

    assert now(log) == last


def test_history_does_not_share_its_rows() -> None:
    """A later state leaves an earlier one as it was."""
    log = EventLog()
    opening(log)
    first = tier_history.fold([], log.events)
    upgrade(log)
    second = tier_history.fold(first, log.events[2:])

    assert ["boards"] == first[0]["features"]
    assert ["audit-log", "sso"] == second[0]["features"]


def test_events_that_were_seen_make_no_state() -> None:
    """The same events again are no change."""
    log = EventLog()
    opening(log)
    upgrade(log)
    stored = tier_status.fold([], log.events)

    assert [] == tier_status.fold(stored, log.events)
    assert [] == tier_history.fold(stored, log.events)


def test_only_accounts_whose_subscriptions_change_are_looked_up() -> None:
    """An order that is rejected needs no tier."""
    log = EventLog()
    rejection(log, number=1)
    upgrade(log, number=2)

    assert {"acc_2"} == tier_status.keys(log.events)


def test_a_suspended_subscription_shows_its_standing_beside_that_of_its_account() -> None:
    """Features off, tier and plan as they are; the account may be in good standing."""
    log = EventLog()
    opening(log)
    log.decide(
        ("StandingChanged", {"from_standing": "good", "to_standing": "suspended", "told_at": 5}),
        ("EntitlementsChanged", {"on": [], "off": ["boards"], "limits": []}),
        **envelope(1),
    )
    row = now(log)["sub_1"]

    assert ("suspended", "good", "team", [], {}) == tuple(
        row[name] for name in ("subscription_standing", "standing", "tier", "features", "limits")
    )
    assert 2 == len(tier_history.fold([], log.events))
