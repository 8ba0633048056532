"""Who is this order? Redelivery, duplicate, reused reference, new attempt."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.given_when_then import COMPLETED_AT_ONCE, Given, reason_codes
from tests.support.order_values import NOON, a_result, an_opening, an_order, from_elsewhere, order_of
from tierline.domain.claims import attempt_of, identify
from tierline.domain.commands import Command
from tierline.domain.events import (
    DuplicateOrderIgnored,
    OrderCompleted,
    OrderReceived,
    OrderRejected,
    OrderValidated,
    PaymentRequested,
    QuoteIssued,
    Reason,
)
from tierline.domain.identity import uuid_of

TOO_FEW: dict[str, Any] = {"seats": 9}


@pytest.mark.parametrize(
    "order",
    [an_order(), an_order(**TOO_FEW), an_order(validate_only=True)],
    ids=["accepted", "rejected", "question"],
)
def test_redelivered_order_stays_quiet(order: Command) -> None:
    """The same origin again is silent, whatever came of it."""
    Given(an_opening(), order).when(order).then_nothing_happened()


def test_redelivery_is_recognised_even_when_it_reads_differently_now() -> None:
    """The origin decides before the content: a new release may canonicalise the same record otherwise."""
    other_content = an_order(requested_by="usr_10")
    Given(an_opening(), an_order()).when(other_content).then_nothing_happened()


def test_redelivery_names_the_latest_attempt() -> None:
    """Whoever logs it can find the claim."""
    rejected, accepted = an_order(**TOO_FEW), an_order(offset=1)
    decider = Given(an_opening(), rejected, accepted).decider
    assert 2 == attempt_of(decider.context(accepted).identity)


def test_same_order_from_another_origin_is_ignored_with_the_first_outcome() -> None:
    """Same reference and content: DuplicateOrderIgnored names the first order and where it stands."""
    first = an_order()
    decided = Given(an_opening(), first).when(from_elsewhere(first))
    decided.then(DuplicateOrderIgnored("completed", ()))
    assert order_of(first) == decided.events[0].order_id


def test_duplicate_of_a_rejected_order_repeats_its_reasons() -> None:
    """The channel gets the answer that it got before."""
    first = an_order(**TOO_FEW)
    Given(an_opening(), first).when(from_elsewhere(first)).then(
        DuplicateOrderIgnored("rejected", (Reason("BELOW_TIER_MINIMUM", ""),))
    )


def test_duplicate_sees_where_a_running_order_stands_now() -> None:
    """The outcome moves with the order: awaiting payment, capturing, completed."""
    first = an_order()
    given = Given(an_opening(payment="gateway"), first)
    due = 1_411_586
    outcomes = []
    for number, status in enumerate(("", "authorized", "captured")):
        if status:
            given.when(a_result(first, status, due))
        duplicate = given.when(from_elsewhere(first, 100 + number))
        outcomes.append(duplicate.the(DuplicateOrderIgnored).outcome)
    assert ["awaiting_payment", "capturing", "completed"] == outcomes


def test_duplicate_is_ignored_once_per_origin() -> None:
    """A redelivered duplicate is silent; one from a third origin is told again."""
    first = an_order()
    given = Given(an_opening(), first, from_elsewhere(first, 7))
    given.when(from_elsewhere(first, 7)).then_nothing_happened()
    given.when(from_elsewhere(first, 8)).then(DuplicateOrderIgnored)


def test_duplicate_changes_no_claim() -> None:
    """Only the first order of a reference owns its outcome."""
    first = an_order()
    duplicate = Given(an_opening(), first).when(from_elsewhere(first))
    assert [("completed", 1)] == [
        (claim.outcome, claim.attempt) for claim in duplicate.decider.claims[first.command_id]
    ]


def test_other_content_under_a_taken_reference_is_rejected() -> None:
    """REFERENCE_REUSED is an order of its own, whose id comes from its origin."""
    reused = an_order(offset=5, seats=20)
    decided = Given(an_opening(), an_order()).when(reused)
    decided.then(OrderReceived, OrderRejected)
    assert ["REFERENCE_REUSED"] == reason_codes(decided.the(OrderRejected))
    expected = uuid_of("order", reused.command_id, "orders.portal.v1", "0", "5")
    assert {expected} == {event.order_id for event in decided.events}
    decided.decider.decide(reused)
    assert "completed" == decided.claim.outcome


def test_reused_reference_redelivered_stays_quiet() -> None:
    """Its origin is remembered under the claim that has the reference."""
    reused = an_order(offset=5, seats=20)
    Given(an_opening(), an_order(), reused).when(reused).then_nothing_happened()


def test_corrected_order_under_the_same_reference_is_a_new_attempt_after_a_rejection() -> None:
    """A rejected reference is free for other content; the second attempt is another order."""
    corrected = an_order(offset=1)
    decided = Given(an_opening(), an_order(**TOO_FEW)).when(corrected)
    assert order_of(corrected, attempt=2) == decided.event(OrderCompleted).order_id
    assert [(1, "rejected"), (2, "completed")] == [
        (claim.attempt, claim.outcome) for claim in decided.decider.claims[corrected.command_id]
    ]


def test_new_attempt_is_possible_after_a_failed_payment() -> None:
    """A failed reference is free for other content, too."""
    first, second = an_order(), an_order(offset=1, payment_method="pm_other")
    given = Given(an_opening(payment="gateway"), first, a_result(first, "declined", 0))
    given.when(second).then(OrderReceived, OrderValidated, QuoteIssued, PaymentRequested)


def test_superseded_reference_is_not_free() -> None:
    """Only rejected and failed orders free their reference."""
    first = an_order()
    newer = an_order("PO-2", offset=1, received_at=NOON + 1, seats=20)
    given = Given(an_opening(payment="gateway"), first, newer)
    again = an_order(offset=2, received_at=NOON + 2, seats=30)
    assert ["REFERENCE_REUSED"] == reason_codes(given.when(again).the(OrderRejected))


def test_content_of_an_earlier_attempt_is_a_duplicate_of_that_attempt() -> None:
    """Each content is answered with the outcome of the attempt that had it."""
    rejected, accepted = an_order(**TOO_FEW), an_order(offset=1)
    given = Given(an_opening(), rejected, accepted)
    given.when(from_elsewhere(rejected, 10)).then(
        DuplicateOrderIgnored("rejected", (Reason("BELOW_TIER_MINIMUM", ""),))
    )
    given.when(from_elsewhere(accepted, 11)).then(DuplicateOrderIgnored("completed", ()))


def test_two_partners_may_use_the_same_reference() -> None:
    """The sending instance is part of the identity."""
    one = an_order("PO-1001", channel="partner", source="acme")
    other = an_order("PO-1001", channel="partner", source="globex", received_at=NOON + 1, seats=20)
    Given(an_opening(), one).when(other).then(*COMPLETED_AT_ONCE)


def test_question_asked_again_is_answered_afresh() -> None:
    """validate_only has no effect, so another origin gets today's answer, not the first one."""
    question = an_order(validate_only=True)
    decided = Given(an_opening(), question).when(from_elsewhere(question))
    decided.then(OrderValidated, QuoteIssued)
    assert (2, "previewed") == (decided.claim.attempt, decided.claim.outcome)


def test_identity_does_not_depend_on_the_order_of_the_claims() -> None:
    """The latest attempt is found by its number."""
    rejected, accepted = an_order(**TOO_FEW), an_order(offset=1)
    decider = Given(an_opening(), rejected, accepted).decider
    claims, other = decider.claims[accepted.command_id], an_order(offset=2, seats=30)
    assert identify(other, claims, ()) == identify(other, claims[::-1], ())
