"""What a newer order meets: supersede, conflict, in progress, hold."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.given_when_then import AWAITING_PAYMENT, COMPLETED_AT_ONCE, Given, reason_codes
from tests.support.order_values import (
    MINUTE,
    NOON,
    a_policy,
    a_result,
    an_opening,
    an_order,
    order_of,
    payment_of,
)
from tierline.domain.commands import Command
from tierline.domain.events import (
    OrderCompleted,
    OrderConflictDetected,
    OrderFailed,
    OrderHeld,
    OrderReceived,
    OrderRejected,
    OrderSuperseded,
    OrderValidated,
    PaymentVoidRequested,
    QuoteIssued,
)
from tierline.domain.policy import Severity
from tierline.domain.subscription import AwaitingPayment, Capturing

DUE = 1_411_586
FIRST = an_order()
NEWER = an_order("PO-2", offset=1, received_at=NOON + MINUTE, seats=20)
HELD_AT = NOON + 2 * MINUTE
HOLDING = a_policy(below_tier_minimum=Severity.HOLD)
TOO_FEW = 9
CONFLICTED = (OrderReceived, OrderConflictDetected, OrderValidated, OrderRejected)


def waiting_for_payment() -> Given:
    """A gateway account whose first order was asked for its payment."""
    return Given(an_opening(payment="gateway"), FIRST, policy=HOLDING)


def on_hold() -> Given:
    """An account whose first order is on hold, for a rule that says so."""
    held = an_order(received_at=HELD_AT, seats=TOO_FEW)
    return Given(an_opening(), held, policy=HOLDING)


def after_hold(**changed: Any) -> Command:
    """An order that comes a minute after the one on hold."""
    return an_order("PO-2", offset=1, received_at=HELD_AT + MINUTE, **{"seats": TOO_FEW, **changed})


def test_newer_order_of_the_same_sender_supersedes_an_unpaid_one() -> None:
    """The old order ends and its payment is voided before the new one begins."""
    decided = waiting_for_payment().when(NEWER)
    decided.then(
        OrderSuperseded(order_of(NEWER)),
        PaymentVoidRequested(payment_of(FIRST), gateway_ref=None),
        *AWAITING_PAYMENT,
    )
    assert [order_of(FIRST), order_of(FIRST), order_of(NEWER)] == [e.order_id for e in decided.events[:3]]
    assert "SUPERSEDED" == decided.event(OrderSuperseded).reason_code


def test_superseded_order_keeps_its_outcome_in_its_claim() -> None:
    """Both claims say where their orders stand."""
    decided = waiting_for_payment().when(NEWER)
    (old,) = decided.decider.claims[FIRST.command_id]
    assert (("superseded", ("SUPERSEDED",)), "awaiting_payment") == (
        (old.outcome, old.reasons),
        decided.claim.outcome,
    )


def test_one_order_is_live_after_a_supersede() -> None:
    """The newer one."""
    live = waiting_for_payment().when(NEWER).subscription.live
    assert isinstance(live, AwaitingPayment)
    assert order_of(NEWER) == live.order.order_id


def test_order_received_in_the_same_millisecond_supersedes() -> None:
    """Arrival order decides between equals."""
    same = an_order("PO-2", offset=1, seats=20)
    waiting_for_payment().when(same).then(OrderSuperseded, PaymentVoidRequested, *AWAITING_PAYMENT)


def test_rejected_order_leaves_the_running_one_alone() -> None:
    """Only an order that is itself accepted may end another."""
    decided = waiting_for_payment().when(an_order("PO-2", offset=1, received_at=NOON + MINUTE, seats=0))
    decided.then(OrderReceived, OrderValidated, OrderRejected)
    assert isinstance(decided.subscription.live, AwaitingPayment)
    assert order_of(FIRST) == decided.subscription.live.order.order_id


def test_held_order_leaves_the_running_one_alone() -> None:
    """A hold may still end in a rejection, so it does not end what runs."""
    decided = waiting_for_payment().when(after_hold())
    decided.then(OrderReceived, OrderHeld)
    assert isinstance(decided.subscription.live, AwaitingPayment)
    assert decided.subscription.held is not None


def test_question_leaves_the_running_order_alone() -> None:
    """validate_only never supersedes, and says what it would."""
    question = an_order("PO-2", offset=1, received_at=NOON + MINUTE, seats=20, validate_only=True)
    decided = waiting_for_payment().when(question)
    decided.then(OrderValidated, QuoteIssued)
    assert isinstance(decided.subscription.live, AwaitingPayment)


def test_order_for_what_is_in_force_supersedes_too() -> None:
    """A customer who returns to what there is has changed their mind: nothing is paid."""
    back = an_order("PO-2", offset=1, received_at=NOON + MINUTE, plan=None, seats=None)
    decided = waiting_for_payment().when(back)
    decided.then(OrderSuperseded, PaymentVoidRequested, OrderReceived, OrderValidated, OrderCompleted)
    assert (None, "team-month") == (decided.subscription.live, decided.subscription.plan)


@pytest.mark.parametrize(
    "other",
    [
        an_order("PO-2", offset=1, channel="partner", received_at=NOON + MINUTE, seats=20),
        an_order("PO-2", offset=1, source="second-portal", received_at=NOON + MINUTE, seats=20),
    ],
    ids=["another channel", "another source"],
)
def test_order_of_another_sender_is_in_conflict(other: Command) -> None:
    """The first wins; the event names it, so that both can be told; the newer may come again."""
    decided = waiting_for_payment().when(other)
    decided.then(*CONFLICTED)
    assert OrderConflictDetected(order_of(FIRST), "portal") == decided.the(OrderConflictDetected)
    rejected = decided.the(OrderRejected)
    assert (["ORDER_CONFLICT"], True) == (reason_codes(rejected), rejected.retry)
    assert isinstance(decided.subscription.live, AwaitingPayment)


def test_conflict_is_a_verdict_of_a_question() -> None:
    """validate_only tells of the conflict, without an OrderConflictDetected."""
    question = an_order(channel="partner", received_at=NOON + MINUTE, seats=20, validate_only=True)
    decided = waiting_for_payment().when(question)
    decided.then(OrderValidated)
    assert ("order_conflict", "FAIL", "reject") == (
        decided.the(OrderValidated).verdicts[-1].rule,
        decided.the(OrderValidated).verdicts[-1].verdict,
        decided.the(OrderValidated).verdicts[-1].severity,
    )


@pytest.mark.parametrize("channel", ["portal", "partner"])
def test_nothing_supersedes_after_the_point_of_no_return(channel: str) -> None:
    """Once the capture was asked for every newer order is ORDER_IN_PROGRESS and may come again."""
    given = waiting_for_payment()
    given.when(a_result(FIRST, "authorized", DUE))
    newer = an_order("PO-2", offset=1, channel=channel, received_at=NOON + MINUTE, seats=20)
    decided = given.when(newer)
    decided.then(OrderReceived, OrderValidated, OrderRejected)
    rejected = decided.the(OrderRejected)
    assert (["ORDER_IN_PROGRESS"], True) == (reason_codes(rejected), rejected.retry)
    assert isinstance(decided.subscription.live, Capturing)


def test_conflict_and_rules_are_named_together() -> None:
    """All failing reasons at once."""
    other = an_order("PO-2", offset=1, channel="partner", received_at=NOON + MINUTE, seats=9)
    rejected = waiting_for_payment().when(other).the(OrderRejected)
    assert (["ORDER_CONFLICT", "BELOW_TIER_MINIMUM"], False) == (reason_codes(rejected), rejected.retry)


def test_stale_order_of_another_sender_is_stale_and_in_conflict() -> None:
    """An older order neither supersedes nor wins."""
    older = an_order("PO-0", offset=1, channel="partner", received_at=NOON - MINUTE)
    rejected = waiting_for_payment().when(older).the(OrderRejected)
    assert {"STALE_ORDER", "ORDER_CONFLICT"} == set(reason_codes(rejected))


@pytest.mark.parametrize("status", ["declined", "voided"])
def test_ended_order_is_no_longer_in_the_way(status: str) -> None:
    """After a failure every sender may order."""
    given = waiting_for_payment()
    given.when(a_result(FIRST, status, 0)).the(OrderFailed)
    other = an_order("PO-2", offset=1, channel="partner", received_at=NOON + MINUTE, seats=20)
    given.when(other).then(*AWAITING_PAYMENT)


def test_held_order_is_superseded_by_a_newer_one_on_hold() -> None:
    """The newer takes its place: one order of a sender waits at a time."""
    decided = on_hold().when(after_hold())
    decided.then(OrderSuperseded, OrderReceived, OrderHeld)
    held = decided.subscription.held
    assert held is not None
    assert order_of(decided.command) == held.order.order_id


def test_held_order_is_superseded_by_one_received_in_the_same_millisecond() -> None:
    """Arrival order decides between equals here, too."""
    on_hold().when(an_order("PO-2", offset=1, received_at=HELD_AT, seats=TOO_FEW)).then(
        OrderSuperseded, OrderReceived, OrderHeld
    )


def test_held_order_is_superseded_by_an_accepted_one() -> None:
    """Held by a rule that the newer order does not break."""
    given = Given(an_opening(), an_order(seats=TOO_FEW), policy=HOLDING)
    decided = given.when(NEWER)
    decided.then(OrderSuperseded, *COMPLETED_AT_ONCE)
    assert None is decided.subscription.held


def test_accepted_order_supersedes_the_running_and_the_held_one() -> None:
    """Everything pending of its sender ends."""
    held = an_order("PO-2", offset=1, received_at=NOON + 1, seats=TOO_FEW)
    given = Given(an_opening(payment="gateway"), FIRST, held, policy=HOLDING)
    newest = an_order("PO-3", offset=2, received_at=NOON + MINUTE, seats=20)
    decided = given.when(newest)
    decided.then(OrderSuperseded, OrderSuperseded, PaymentVoidRequested, *AWAITING_PAYMENT)
    assert [order_of(held), order_of(FIRST)] == [event.order_id for event in decided.events[:2]]


def test_held_order_is_not_superseded_by_a_rejected_one() -> None:
    """It goes on waiting."""
    decided = on_hold().when(after_hold(plan="gold"))
    decided.then(OrderReceived, OrderValidated, OrderRejected)
    assert decided.subscription.held is not None


def test_held_order_is_in_conflict_with_another_sender() -> None:
    """The first wins, also when it is only waiting."""
    on_hold().when(after_hold(channel="partner")).then(*CONFLICTED)


@pytest.mark.parametrize("stale", [Severity.REJECT, Severity.HOLD])
def test_order_older_than_the_one_on_hold_is_stale(stale: Severity) -> None:
    """It is rejected whatever the policy says of stale orders: a hold has room for the newest only."""
    policy = a_policy(below_tier_minimum=Severity.HOLD, stale_order=stale)
    given = Given(an_opening(), an_order(seats=9), policy=policy)
    decided = given.when(an_order("PO-0", offset=1, received_at=NOON - MINUTE))
    decided.then(OrderReceived, OrderValidated, OrderRejected)
    assert ["STALE_ORDER"] == reason_codes(decided.the(OrderRejected))
    assert 1 == [verdict.rule for verdict in decided.the(OrderValidated).verdicts].count("stale_order")


def test_stale_order_may_be_held_by_policy() -> None:
    """It waits for a person instead of being refused."""
    given = Given(an_opening(), FIRST, policy=a_policy(stale_order=Severity.HOLD))
    older = an_order("PO-0", offset=1, received_at=NOON - MINUTE, seats=20)
    decided = given.when(older)
    decided.then(OrderReceived, OrderHeld)
    assert ["STALE_ORDER"] == reason_codes(decided.the(OrderHeld))
