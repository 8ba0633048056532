"""An order's screen says what happened in the reader's words, and never fails on what was recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from projections import audit_entry, order_status, tier_status
from projections.read_model import Event
from tests.support.event_log import EventLog, uuid_for
from tests.support.order_stories import (
    BILLED,
    COMPLETED,
    ENTITLED,
    PAYMENT,
    PERIOD_INVOICED,
    PERIOD_ROLLED,
    QUOTED,
    RECEIVED,
    TIER_CHANGED,
    VALIDATED,
    envelope,
    opening,
    order_id_of,
    rejection,
    upgrade,
    upgrade_through_gateway,
)
from tierline.cli.order_view import OrderStory, found_row, order_lines, story_record

ORDER = order_id_of(1)
OTHER = uuid_for("other order")
ITEM = {
    "id": "base",
    "plan": "business-year",
    "interval": "1year",
    "quantity": 1,
    "list_minor": 1,
    "mode": "day",
}
CREDIT = {"amount_minor": 500, "currency": "EUR"}


def story_of(events: list[Event], order_id: str = ORDER, visible_ms: int | None = None) -> OrderStory:
    """What the read models would say about an order of subscription 1."""
    order = next(row for row in order_status.fold([], events) if row["order_id"] == order_id)
    steps = [row for row in audit_entry.fold([], events) if row["order_id"] == order_id]
    return OrderStory(
        order=order,
        steps=steps,
        before=tier_status.fold([], events[:2])[0],
        now=tier_status.fold([], events)[0],
        visible_at=None if visible_ms is None else order["received_at"] + visible_ms,
    )


def screen(story: OrderStory) -> list[str]:
    """The lines as text."""
    return [line for drawn in order_lines(story) for line in drawn.plain.splitlines()]


@pytest.fixture
def log() -> EventLog:
    """An opened subscription."""
    log = EventLog()
    opening(log)
    return log


def decided(log: EventLog, *bodies: Any, **over: Any) -> list[str]:
    """The screen after one decision about the order."""
    log.decide(RECEIVED, *bodies, **envelope(1) | {"order_id": ORDER} | over)
    return screen(story_of(list(log.events)))


def test_a_completed_order_is_one_screen(log: EventLog) -> None:
    """Header, what was asked, every step with its time, the price line by line, what to do next."""
    upgrade(log)
    times, seats, features = "\u00d7", "15 seats, now", "2 features on, 1 feature off"
    where = f"where order_id = '{ORDER}' order by position"

    assert [
        f"Order {ORDER}   COMPLETED   portal, reference web-1",
        " account acc_1 (Berlin, EUR)   subscription sub_1",
        f" team-month {times}12 seats → business-year {times}{seats}",
        "",
        " 2026-11-23, times in UTC",
        "  10:02:11.124  received      portal                                       orders.portal.v1[0]@2",
        "  10:02:11.134  validated     1 rule passes",
        "  10:02:11.144  quoted        €13,421.92 due now, holds until 10:32        quote_5f",
        "                 charge  base     2026-11-23 → 2027-11-01   343/365 x 15120.00         €14,208.66",
        "                 credit  base     2026-11-23 → 2026-12-01   8/30 x 2950.27               -€786.74",
        f"  10:02:11.184  completed     tier team → business, {features}, next bill 2027-11-01 €15,120.00",
        "  1,298 ms from channel to tier",
        "",
        f' Next: tierline psql -c "select * from audit_entry {where}"',
        f'       tierline psql -c "select * from tier_history {where}"',
    ] == screen(story_of(list(log.events), visible_ms=1298))


def test_modules_are_told_as_asked_for_and_as_they_end(log: EventLog) -> None:
    """Header, note under the quote, and room for the longest item in the lines."""
    note = {"code": "MODULE_INCLUDED", "detail": "sso-pack is part of business-year"}
    lines: Any = QUOTED[1]["lines"]
    credit = lines[1] | {"item": "residency-pack"}
    quoted = ("QuoteIssued", QUOTED[1] | {"notes": [note], "lines": [lines[0], credit]})
    billed = ("BillingScheduleAdjusted", BILLED[1] | {"items": [ITEM | {"id": "audit-pack"}, ITEM]})
    told = decided(log, VALIDATED, quoted, TIER_CHANGED, ENTITLED, billed, COMPLETED)
    times = "\u00d7"

    assert f" team-month {times}12 seats → business-year {times}15 seats + audit-pack, now" in told
    assert "                 MODULE_INCLUDED       sso-pack is part of business-year" in told
    assert any(line.startswith("                 charge  base           2026-11-23") for line in told)
    assert any(line.startswith("                 credit  residency-pack 2026-11-23") for line in told)


def test_a_rejected_order_says_why_and_whether_to_send_it_again(log: EventLog) -> None:
    """Every reason with its facts, the customer's text and the operator's action."""
    rejection(log)
    shown = screen(story_of(list(log.events)))

    assert "                 BELOW_TIER_MINIMUM    10" in shown
    assert " CONTRACT_ENDS_FIRST: The contract ends before the new billing period would." in shown
    assert 2 == sum(line.endswith("Sending the order again does not help.") for line in shown)


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ({"verdict": "PASS", "severity": "reject"}, "1 rule passes"),
        ({"verdict": "FAIL", "severity": "reject"}, "1 against (seat_jump)"),
        ({"verdict": "FAIL", "severity": "hold"}, "1 to be held (seat_jump)"),
        ({"verdict": "FAIL", "severity": "warn"}, "1 warned (seat_jump: 50 %)"),
        ({"verdict": "FAIL", "severity": "shadow"}, "1 would object in the shadow (seat_jump: 50 %)"),
        ({"verdict": "ERROR", "severity": "reject"}, "1 not answered (seat_jump)"),
    ],
)
def test_verdicts_are_summed_up(log: EventLog, verdict: dict[str, str], said: str) -> None:
    """Rules that pass are counted, the others are named with what they found."""
    verdicts = [verdict | {"rule": "seat_jump", "detail": "50 %"}]

    assert f"validated     {said}" in "\n".join(decided(log, ("OrderValidated", {"verdicts": verdicts})))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (("OrderValidated", {}), "validated     no rule was asked"),
        (("OrderHeld", {"reasons": [{"code": "ARREARS", "detail": "overdue"}]}), "held"),
        (("OrderFailed", {"reasons": [{"code": "PAYMENT_DECLINED", "detail": "card"}]}), "failed"),
        (("PaymentDeclined", {"code": "insufficient_funds"}), "declined      insufficient_funds"),
        (("PaymentVoidRequested", PAYMENT), "void asked"),
        (("PaymentVoided", PAYMENT), "voided"),
        (("RefundRequested", PAYMENT), "refund asked  €13,421.92"),
        (("PaymentRefunded", PAYMENT), "refunded      €13,421.92"),
        (("CreditGranted", CREDIT), "credit        €5.00 added to the account's credit"),
        (("CreditReserved", CREDIT), "credit        €5.00 of the account's credit set aside for this order"),
        (("CreditUsed", CREDIT), "credit        €5.00 of the account's credit used"),
        (("CreditReleased", CREDIT), "credit        €5.00 of the account's credit free again"),
        (PERIOD_ROLLED, "new period    2026-12-01 → 2027-01-01, the one before had ended"),
        (PERIOD_INVOICED, "invoiced      €348.00 for 2026-12-01 → 2027-01-01"),
        (
            ("QuoteIssued", CREDIT | {"due_minor": 100, "credit_used_minor": 500}),
            "quoted        €1.00 due now after €5.00 of credit, holds until",
        ),
        (("DuplicateOrderIgnored", {"outcome": "completed"}), "the same order came again through portal"),
        (
            ("OrderConflictDetected", {"winner_order_id": OTHER, "winner_channel": "crm"}),
            "from crm came first",
        ),
        (("OrderCompleted", {"reason": "ALREADY_IN_FORCE"}), "ALREADY_IN_FORCE: nothing had to change"),
        (("OrderSuperseded", {"by_order_id": OTHER}), "superseded    by a newer order"),
    ],
)
def test_each_step_has_its_words(log: EventLog, body: Any, said: str) -> None:
    """What happened, in one line."""
    assert said in "\n".join(decided(log, body))


@pytest.mark.parametrize(
    "body",
    [
        ("OrderSuperseded", {"by_order_id": OTHER}),
        ("OrderConflictDetected", {"winner_order_id": OTHER, "winner_channel": "crm"}),
    ],
)
def test_the_other_order_is_the_next_command(log: EventLog, body: Any) -> None:
    """Whoever lost to another order wants to see that one."""
    assert f" Next: tierline orders show {OTHER}" in decided(log, body)


def test_an_item_of_several_is_counted(log: EventLog) -> None:
    """A partner's record may carry several orders; the sending instance is named."""
    shown = decided(log, channel="partner", source="acme-telco", intent_index=1, intent_count=3)

    assert shown[0].endswith("RECEIVED   partner acme-telco, reference web-1")
    assert "received      partner, item 2 of 3" in "\n".join(shown)


def test_every_day_has_its_date(log: EventLog) -> None:
    """An order that took days shows on which day what happened."""
    decided(log)
    tomorrow = log.events[-1]["recorded_at"] + 86_400_000
    log.decide(
        ("OrderValidated", {}), **envelope(1), order_id=ORDER, recorded_at=tomorrow, occurred_at=tomorrow
    )

    assert [" 2026-11-23, times in UTC", " 2026-11-24, times in UTC"] == [
        line for line in screen(story_of(list(log.events))) if line.endswith("times in UTC")
    ]


def test_a_type_of_a_later_version_is_shown_by_its_name(log: EventLog) -> None:
    """The screen never hides what it does not understand."""
    decided(log)
    story = story_of(list(log.events))
    later = {**story.steps[0], "type": "OrderPaused", "body": {"reasons": 3}}

    assert "  10:02:11.124  OrderPaused" in screen(
        OrderStory(story.order, [later], story.before, story.now, None)
    )


def test_a_step_without_its_audit_row_is_still_shown(log: EventLog) -> None:
    """A damaged audit trail is said, not crashed on."""
    upgrade(log)
    story = story_of(list(log.events))
    steps = [{**step, "body": None} for step in story.steps]

    assert "OrderValidated its particulars are not in the audit trail" in "\n".join(
        screen(OrderStory(story.order, steps, None, None, None))
    )


def test_a_program_gets_the_same_facts(log: EventLog) -> None:
    """JSON with ISO instants, latency and the next commands."""
    upgrade_through_gateway(log)
    found = json.loads(json.dumps(story_record(story_of(list(log.events), visible_ms=5)), default=str))

    assert "2026-11-23T10:02:11.124Z" == found["order"]["received_at"]
    assert found["order"]["requested_at"] is None
    assert 5 == found["channel_to_tier_ms"]
    assert "2026-11-23T10:02:11.124Z" == found["timeline"][0]["recorded_at"]
    assert 2 == len(found["next"])


def test_a_found_order_is_one_row(log: EventLog) -> None:
    """Its id, where it stands and why."""
    rejection(log)
    row = found_row(story_of(list(log.events)).order)

    assert [ORDER, "REJECTED", "CONTRACT_ENDS_FIRST, BELOW_TIER_MINIMUM"] == row[:3]
