"""Where an order stands follows from its events, and an end is an end."""

from __future__ import annotations

from typing import Any

import pytest

from projections.order_status import fold, keys
from tests.support.event_log import EventLog, uuid_for
from tests.support.order_stories import (
    COMPLETED,
    PAYMENT,
    QUOTED,
    RECEIVED,
    VALIDATED,
    envelope,
    order_id_of,
    rejection,
    upgrade,
    upgrade_through_gateway,
)

ORDER = order_id_of(1)
WHERE = envelope(1) | {"order_id": ORDER}
OTHER = uuid_for("other order")


def only_row(log: EventLog) -> dict[str, Any]:
    """The row of the one order in the log."""
    (row,) = fold([], log.events)
    return row


def after(*bodies: Any) -> dict[str, Any]:
    """The row after one decision with these events."""
    log = EventLog()
    log.decide(*bodies, **WHERE)
    return only_row(log)


REASON = {"reasons": [{"code": "BELOW_TIER_MINIMUM", "detail": "10"}]}


@pytest.mark.parametrize(
    ("state", "more"),
    [
        ("RECEIVED", []),
        ("RECEIVED", [("OrderConflictDetected", {"winner_order_id": OTHER})]),
        ("VALIDATED", [VALIDATED]),
        ("VALIDATED", [VALIDATED, QUOTED]),
        ("ON_HOLD", [("OrderHeld", REASON)]),
        ("AWAITING_PAYMENT", [VALIDATED, QUOTED, ("PaymentRequested", PAYMENT)]),
        ("AUTHORIZED", [VALIDATED, ("PaymentAuthorized", PAYMENT)]),
        ("CAPTURING", [VALIDATED, ("PaymentCaptureRequested", PAYMENT)]),
        ("CAPTURING", [VALIDATED, ("PaymentCaptureRequested", PAYMENT), ("PaymentCaptured", PAYMENT)]),
        ("COMPLETED", [VALIDATED, COMPLETED]),
        ("REJECTED", [("OrderRejected", REASON)]),
        ("FAILED", [VALIDATED, ("OrderFailed", REASON)]),
        ("SUPERSEDED", [VALIDATED, ("OrderSuperseded", {"by_order_id": OTHER})]),
    ],
)
def test_the_state_follows_the_events(state: str, more: list[Any]) -> None:
    """Each state of an order comes from the event that names it."""
    assert state == after(RECEIVED, *more)["state"]


@pytest.mark.parametrize(
    "end",
    [
        COMPLETED,
        ("OrderRejected", REASON),
        ("OrderFailed", REASON),
        ("OrderSuperseded", {"by_order_id": OTHER}),
    ],
)
@pytest.mark.parametrize(
    "late",
    [("PaymentAuthorized", PAYMENT), ("PaymentCaptured", PAYMENT), ("OrderValidated", {}), COMPLETED],
)
def test_an_end_never_changes(end: Any, late: Any) -> None:
    """A late payment result moves the place of the row and nothing else."""
    moved = {"position": 2, "recorded_at": after(RECEIVED, end, late)["recorded_at"]}

    assert after(RECEIVED, end) | moved == after(RECEIVED, end, late)


def test_a_completed_order_has_its_price_its_charge_and_its_tiers() -> None:
    """What an analyst asks of an order stands in one row."""
    log = EventLog()
    upgrade(log)
    row = only_row(log)
    expected = {
        "state": "COMPLETED",
        "quote_id": "quote_5f",
        "currency": "EUR",
        "net_minor": 1_342_192,
        "due_minor": 1_342_192,
        "charged_minor": 1_342_192,
        "from_tier": "team",
        "to_tier": "business",
        "reasons": [],
        "ended_at": log.events[-1]["recorded_at"],
    }

    assert expected == {name: row[name] for name in expected}


def test_all_reasons_of_a_rejection_are_kept_in_order() -> None:
    """Not only the first reason."""
    log = EventLog()
    rejection(log)

    assert ["CONTRACT_ENDS_FIRST", "BELOW_TIER_MINIMUM"] == only_row(log)["reasons"]
    assert only_row(log)["retry"] is False


def test_a_released_hold_forgets_its_reasons() -> None:
    """An order that was held and then validated has nothing against it."""
    assert [] == after(RECEIVED, ("OrderHeld", REASON), VALIDATED)["reasons"]


def test_an_order_already_in_force_says_so() -> None:
    """Success without a change is still told apart."""
    already = ("OrderCompleted", COMPLETED[1] | {"charged_minor": 0, "reason": "ALREADY_IN_FORCE"})

    assert ["ALREADY_IN_FORCE"] == after(RECEIVED, VALIDATED, already)["reasons"]


def test_origin_and_receipt_are_those_of_the_order_not_of_its_payment() -> None:
    """A payment result comes with an origin of its own."""
    log = EventLog()
    upgrade_through_gateway(log)
    first = log.events[0]

    assert first["received_at"] == only_row(log)["received_at"]
    assert first["origin"]["offset"] == only_row(log)["origin_offset"]
    assert "portal" == only_row(log)["channel"]


def test_duplicates_are_counted_also_after_the_end() -> None:
    """Each copy from another record counts once."""
    log = EventLog()
    upgrade(log)
    for _ in range(2):
        log.decide(("DuplicateOrderIgnored", {"outcome": "completed"}), **WHERE)

    assert 2 == only_row(log)["duplicates"]
    assert "COMPLETED" == only_row(log)["state"]


def test_events_about_no_order_make_no_row() -> None:
    """An answer to a question is not an order."""
    log = EventLog()
    log.decide(("OrderValidated", {"validate_only": True}), **envelope(1))

    assert [] == fold([], log.events)


def test_a_stored_row_is_continued() -> None:
    """Folding in two halves gives what folding at once gives."""
    log = EventLog()
    upgrade_through_gateway(log)
    first = fold([], log.events[:4])

    assert fold([], log.events) == fold(first, log.events[4:])


def test_events_that_the_row_has_seen_change_nothing() -> None:
    """The same events again, duplicates and all, are not counted twice."""
    log = EventLog()
    upgrade(log)
    log.decide(("DuplicateOrderIgnored", {"outcome": "completed"}), **WHERE)
    stored = fold([], log.events)

    assert [] == fold(stored, log.events)


def test_only_orders_under_way_are_looked_up() -> None:
    """An order that is received in the batch has no row yet."""
    log = EventLog()
    upgrade(log, number=1)
    log.decide(("PaymentCaptured", PAYMENT), **envelope(2) | {"order_id": order_id_of(2)})

    assert [order_id_of(2)] == keys(log.events)
