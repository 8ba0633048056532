"""What a person does about orders on hold: release and reject."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.given_when_then import ACTIVATED, Decided, Given, reason_codes
from tests.support.order_values import (
    MINUTE,
    NOON,
    a_policy,
    a_review,
    an_opening,
    an_order,
    due,
    from_elsewhere,
    order_of,
)
from tierline.domain.commands import Command, RejectOrder, ReleaseOrder
from tierline.domain.events import (
    OrderCompleted,
    OrderHeld,
    OrderRejected,
    OrderReleased,
    OrderReviewRefused,
    OrderValidated,
    PaymentRequested,
    QuoteIssued,
    Reason,
)
from tierline.domain.policy import Severity

HOLDS = a_policy(arrears=Severity.HOLD)
ORDER = an_order()
ID = order_of(ORDER)
RELEASE = a_review(ReleaseOrder(ID, "they paid by wire"), offset=1)
REJECT = a_review(RejectOrder(ID, "a test order"), offset=2)
LIMIT = NOON + 8_000
MARKET_ORDER = due(an_order("op-1", channel="marketplace", seats=9), LIMIT)


def on_hold(**opening: Any) -> Given:
    """An account in arrears, whose orders wait, and one order."""
    return Given(an_opening(**{"standing": "arrears"} | opening), ORDER, policy=HOLDS)


def accepted_there() -> Given:
    """An order of the marketplace that was decided too late to be rejected for its seats."""
    story = Given(an_opening())
    story.decider.now = LIMIT + 1
    story.when(MARKET_ORDER)
    return story


def refusal(decided: Decided) -> list[str]:
    """Why a person's action had no effect."""
    decided.then(OrderReviewRefused)
    return list(reason_codes(decided.the(OrderReviewRefused)))


def test_a_released_order_is_carried_out() -> None:
    """The person waives the rule that held it."""
    decided = on_hold().when(RELEASE)
    decided.then(OrderReleased("they paid by wire"), OrderValidated, QuoteIssued, *ACTIVATED)
    assert {ID} == {event.order_id for event in decided.events}
    assert (None, "business-year") == (decided.subscription.held, decided.subscription.plan)


def test_a_released_order_costs_what_it_cost_when_it_was_received() -> None:
    """The wait is not the customer's."""
    at_once = Given(an_opening()).when(ORDER).the(QuoteIssued)
    story = on_hold()
    story.decider.now = NOON + 3 * 24 * 60 * MINUTE
    released = story.when(RELEASE).the(QuoteIssued)
    assert (at_once.net_minor, at_once.lines) == (released.net_minor, released.lines)


def test_a_released_order_counts_from_when_it_was_received() -> None:
    """Also in what is remembered as the newest accepted order."""
    decided = on_hold().when(RELEASE)
    assert NOON == decided.subscription.accepted_at == decided.event(ACTIVATED[0]).effective_at


def test_a_released_order_of_a_gateway_account_asks_for_its_payment() -> None:
    """As any other."""
    decided = on_hold(payment="gateway").when(RELEASE)
    decided.then(OrderReleased, OrderValidated, QuoteIssued, PaymentRequested)
    live = decided.subscription.live
    assert live is not None
    assert (ID, "portal", NOON) == (live.order.order_id, live.order.channel, live.order.received_at)


def test_a_release_waives_no_rule_that_rejects() -> None:
    """What rejects when the person looks, rejects."""
    story = on_hold()
    story.later(policy=a_policy(arrears=Severity.REJECT))
    decided = story.when(RELEASE)
    decided.then(OrderReleased, OrderValidated, OrderRejected)
    assert ["ARREARS"] == reason_codes(decided.the(OrderRejected))


def test_a_released_order_that_meets_a_running_one_stays_on_hold() -> None:
    """The running one goes on; release again when it has ended."""
    story = accepted_there()
    running = an_order("PO-7", offset=7, received_at=NOON + MINUTE, seats=20)
    story.decider.accounts["acc_204"] = Given(an_opening(payment="gateway")).decider.accounts["acc_204"]
    story.when(running).the(PaymentRequested)
    decided = story.when(a_review(ReleaseOrder(order_of(MARKET_ORDER), "now"), offset=1))
    decided.then(OrderReleased, OrderHeld)
    assert ["MARKETPLACE_ALREADY_ACCEPTED", "ORDER_CONFLICT"] == reason_codes(decided.the(OrderHeld))
    assert 1 == len(decided.subscription.kept)


def test_an_accepted_order_whose_cause_remains_stays_on_hold() -> None:
    """However often it is released, it is never rejected."""
    story = accepted_there()
    for offset in (1, 2):
        decided = story.when(a_review(ReleaseOrder(order_of(MARKET_ORDER), "again"), offset=offset))
        decided.then(OrderReleased, OrderHeld)
    assert ["MARKETPLACE_ALREADY_ACCEPTED", "BELOW_TIER_MINIMUM"] == reason_codes(decided.the(OrderHeld))


def test_an_accepted_order_whose_cause_is_gone_is_completed_by_its_release() -> None:
    """The rule was relaxed."""
    story = accepted_there()
    story.later(policy=a_policy(below_tier_minimum=Severity.WARN))
    decided = story.when(a_review(ReleaseOrder(order_of(MARKET_ORDER), "agreed"), offset=1))
    decided.the(OrderCompleted)
    assert () == decided.subscription.kept


def test_a_rejected_order_names_the_person_and_their_words() -> None:
    """The channel is told."""
    decided = on_hold().when(REJECT)
    decided.then(OrderRejected((Reason("REJECTED_BY_OPERATOR", "a test order"),), retry=False))
    assert (ID, None, "ops") == (
        decided.events[0].order_id,
        decided.subscription.held,
        decided.decider.streams["subscription:sub_88"][-1].actor,
    )


def test_the_claim_of_the_order_follows_its_review() -> None:
    """A repeat of the order hears how it ended."""
    story = on_hold()
    story.when(REJECT)
    (claim,) = story.decider.claims[ORDER.command_id]
    assert ("rejected", ("REJECTED_BY_OPERATOR",)) == (claim.outcome, claim.reasons)


def test_an_order_of_the_marketplace_can_be_rejected_in_time_only() -> None:
    """At its limit still, a millisecond later no more."""
    held = due(an_order("op-1", channel="marketplace"), LIMIT)
    reject = a_review(RejectOrder(order_of(held), "no"), offset=2)
    for now, expected in ((LIMIT, OrderRejected), (LIMIT + 1, OrderReviewRefused)):
        story = Given(an_opening(standing="arrears"), held, policy=HOLDS)
        story.decider.now = now
        story.when(reject).then(expected)


def test_a_refused_rejection_says_why_and_leaves_the_order_on_hold() -> None:
    """The marketplace counts it as accepted."""
    story = accepted_there()
    decided = story.when(a_review(RejectOrder(order_of(MARKET_ORDER), "no"), offset=2))
    assert ["MARKETPLACE_ALREADY_ACCEPTED"] == refusal(decided)
    assert 1 == len(decided.subscription.kept)


@pytest.mark.parametrize("review", [RELEASE, REJECT])
def test_an_order_that_is_not_on_hold_is_left_alone(review: Command) -> None:
    """It was completed already, or never was."""
    assert ["ORDER_NOT_ON_HOLD"] == refusal(Given(an_opening(), ORDER).when(review))
    assert ["ORDER_NOT_ON_HOLD"] == refusal(Given(an_opening()).when(review))


@pytest.mark.parametrize("review", [RELEASE, REJECT])
def test_pressing_twice_is_harmless(review: Command) -> None:
    """The second press finds the first one's claim."""
    story = on_hold()
    story.when(review)
    story.when(from_elsewhere(review)).then_nothing_happened()
    story.when(review).then_nothing_happened()
