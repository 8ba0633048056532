"""The marketplace takes silence for a yes: an order decided later is completed or held, never rejected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.given_when_then import (
    AWAITING_PAYMENT,
    COMPLETED_AT_ONCE,
    Decided,
    Given,
    reason_codes,
)
from tests.support.order_values import (
    CONTRACT,
    MINUTE,
    NOON,
    a_change,
    a_policy,
    a_result,
    a_review,
    an_opening,
    an_order,
    due,
    order_of,
)
from tierline.domain.commands import Command, RejectOrder, ReleaseOrder
from tierline.domain.events import (
    OrderCompleted,
    OrderFailed,
    OrderHeld,
    OrderReceived,
    OrderRejected,
    OrderReleased,
    OrderReviewRefused,
    OrderSuperseded,
    OrderValidated,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PaymentRequested,
    PaymentVoided,
    PaymentVoidRequested,
    QuoteIssued,
    RefundRequested,
)
from tierline.domain.identity import payment_id_of
from tierline.domain.payment_results import STATUSES
from tierline.domain.policy import Rule, Severity
from tierline.domain.reasons import ReasonCode

LIMIT = NOON + 8_000
LATE = LIMIT + 1
ALREADY = "MARKETPLACE_ALREADY_ACCEPTED"
DUE = 1_411_586


def an_operation(
    reference: str = "op-9", *, offset: int = 9, received_at: int = NOON, **changed: Any
) -> Command:
    """An order of the marketplace that must be decided within 8 s of its arrival."""
    order = an_order(
        reference,
        offset=offset,
        channel="marketplace",
        received_at=received_at,
        **{"payment_method": None} | changed,
    )
    return due(order, received_at + 8_000)


def opened(**changed: Any) -> tuple[Command, ...]:
    """The subscription alone."""
    return (an_opening(**changed),)


# What happened before, and what is ordered: one case at least for every reason to reject.
CASES: Mapping[str, tuple[tuple[Command, ...], Command]] = {
    "ACCOUNT_SUSPENDED": (opened(standing="suspended"), an_operation()),
    "ARREARS": (opened(standing="arrears"), an_operation()),
    "BELOW_TIER_MINIMUM": (opened(), an_operation(seats=9)),
    "COMMITMENT_REMAINING": (
        opened(contract=replace(CONTRACT, minimum_term_months=24)),
        an_operation(plan="business-lite", seats=12),
    ),
    "CONTRACT_ENDS_FIRST": (
        opened(contract=replace(CONTRACT, end="2026-11-30")),
        an_operation(),
    ),
    "MODULES_EXCLUSIVE": (opened(), an_operation(plan=None, modules=("chat-pack", "voice-pack"))),
    "MODULE_NOT_FITTING": (opened(), an_operation(modules=("chat-pack",))),
    "MODULE_NOT_SOLD": (opened(), an_operation(modules=("voice-pack",))),
    "MODULE_UNKNOWN": (opened(), an_operation(modules=("telepathy",))),
    "NOT_AN_UPGRADE": (opened(), an_operation(plan="starter-year")),
    "NOT_AVAILABLE_YET": (opened(), an_operation(effective="next_cycle")),
    "ORDER_CONFLICT": (
        (an_opening(payment="gateway"), an_order(offset=1, received_at=NOON - MINUTE)),
        an_operation(),
    ),
    "ORDER_IN_PROGRESS": (
        (an_opening(payment="gateway"), an_operation("op-1", offset=1, received_at=NOON - MINUTE)),
        an_operation(),
    ),
    "PLAN_NOT_SOLD": (opened(), an_operation(plan="business-us")),
    "PLAN_UNKNOWN": (opened(), an_operation(plan="palladium")),
    "BILLING_OUT_OF_DATE": (
        opened(period_start="2016-05-01", period_end="2016-06-01", invoiced=None),
        an_operation(),
    ),
    "REFERENCE_REUSED": ((*opened(), an_operation(offset=1)), an_operation(seats=16)),
    "SEATS_OUT_OF_RANGE": (opened(), an_operation(seats=0)),
    "STALE_ORDER": (
        (*opened(), an_order(offset=1, received_at=NOON + MINUTE)),
        an_operation(seats=20),
    ),
    "SUBSCRIPTION_ENDED": ((*opened(), a_change("ended", NOON - MINUTE)), an_operation()),
    "SUBSCRIPTION_SUSPENDED": ((*opened(), a_change("suspended", NOON - MINUTE)), an_operation()),
}
# These never reject an order, or what they reject is no order; a refused price needs a broken book.
BEYOND = {
    ReasonCode.ACCOUNT_TERMS_DIFFER,
    ReasonCode.ALREADY_IN_FORCE,
    ReasonCode.EXTERNAL_REF_TAKEN,
    ReasonCode.MARKETPLACE_ALREADY_ACCEPTED,
    ReasonCode.MODULE_ENDED,
    ReasonCode.MODULE_INCLUDED,
    ReasonCode.OPERATION_OVERTAKEN,
    ReasonCode.OPERATION_REPEATED,
    ReasonCode.ORDER_NOT_ON_HOLD,
    ReasonCode.PAYMENT_DECLINED,
    ReasonCode.PAYMENT_MISMATCH,
    ReasonCode.PERIOD_IN_FORCE,
    ReasonCode.PRICE_REFUSED,
    ReasonCode.REJECTED_BY_OPERATOR,
    ReasonCode.STANDING_IN_FORCE,
    ReasonCode.SUBSCRIPTION_DATA_INVALID,
    ReasonCode.SUBSCRIPTION_EXISTS,
    ReasonCode.SUPERSEDED,
}


def decided_at(now: int, case: str) -> Decided:
    """The case, its order decided at ``now``."""
    before, order = CASES[case]
    story = Given(*before)
    story.decider.now = now
    return story.when(order)


def test_every_reason_that_rejects_an_order_has_its_case() -> None:
    """A new reason must be looked at here."""
    assert set(ReasonCode) == {ReasonCode(case) for case in CASES} | BEYOND


@pytest.mark.parametrize("case", CASES)
def test_in_time_the_order_is_rejected(case: str) -> None:
    """At the very limit the refusal still counts."""
    rejected = decided_at(LIMIT, case).the(OrderRejected)
    assert case in reason_codes(rejected)
    assert ALREADY not in reason_codes(rejected)


@pytest.mark.parametrize("case", CASES)
def test_too_late_the_order_is_held_with_the_real_reasons_beside_it(case: str) -> None:
    """A millisecond after the limit nothing rejects any more."""
    decided = decided_at(LATE, case)
    decided.then(OrderReceived, OrderHeld)
    codes = reason_codes(decided.the(OrderHeld))
    assert ALREADY == codes[0] == decided.event(OrderHeld).reason_code
    assert case in codes[1:]


@settings(deadline=None, max_examples=150)
@given(
    case=st.sampled_from(sorted(CASES)),
    seats=st.none() | st.integers(-5, 600),
    plan=st.none()
    | st.sampled_from(["starter-year", "team-month", "business-year", "enterprise-year", "nothing"]),
    late=st.integers(1, 10**9),
    severities=st.dictionaries(
        st.sampled_from([rule for rule in Rule if rule not in (Rule.STALE_ORDER, Rule.NOT_AN_UPGRADE)]),
        st.sampled_from([Severity.REJECT, Severity.HOLD, Severity.WARN]),
    ),
)
def test_a_late_order_ends_completed_or_on_hold(
    case: str, seats: int | None, plan: str | None, late: int, severities: dict[Rule, Severity]
) -> None:
    """Whatever it asks for, whatever it meets, however strict the rules are."""
    before, order = CASES[case]
    story = Given(*before)
    story.decider.policy = a_policy(**{rule.value: severity for rule, severity in severities.items()})
    story.decider.now = LIMIT + late
    kinds = {type(event.body) for event in story.when(_asking(order, plan, seats)).events}
    assert not kinds & {OrderRejected, OrderFailed}
    assert kinds & {OrderCompleted, OrderHeld} or "PaymentRequested" in {kind.__name__ for kind in kinds}


def _asking(order: Command, plan: str | None, seats: int | None) -> Command:
    return replace(
        an_operation(plan=plan, seats=seats),
        command_id=order.command_id,
        source_ref=order.source_ref,
        origin=order.origin,
    )


def test_a_late_order_that_nothing_speaks_against_is_completed() -> None:
    """Late is no reason of its own."""
    story = Given(an_opening())
    story.decider.now = LATE
    story.when(an_operation()).then(*COMPLETED_AT_ONCE)


def unpaid(said: str = "authorized") -> Given:
    """An operation of a gateway account whose payment was asked for in time; the limit has passed since."""
    story = Given(an_opening(payment="gateway"), an_operation())
    if said != "nothing":
        story.when(a_result(an_operation(), said, DUE))
    story.decider.now = LATE
    return story


@pytest.mark.parametrize(
    ("before", "status", "amount_minor", "expected"),
    [
        ("nothing", "declined", 0, (PaymentDeclined, OrderHeld)),
        ("authorized", "declined", 0, (PaymentDeclined, PaymentVoidRequested, OrderHeld)),
        ("nothing", "authorized", 1, (PaymentAuthorized, PaymentVoidRequested, OrderHeld)),
        ("authorized", "captured", 1, (PaymentCaptured, RefundRequested, OrderHeld)),
        ("authorized", "voided", 0, (PaymentVoided, OrderHeld)),
        ("authorized", "refunded", DUE, (PaymentRefunded, OrderHeld)),
    ],
)
def test_an_order_that_is_not_paid_is_held_and_does_not_fail(
    before: str, status: str, amount_minor: int, expected: tuple[type, ...]
) -> None:
    """Whatever the gateway says: the marketplace counts the order as accepted."""
    decided = unpaid(before).when(a_result(an_operation(), status, amount_minor, gateway_ref="pi_1"))
    decided.then(*expected)
    held = reason_codes(decided.the(OrderHeld))
    assert (ALREADY, 2) == (decided.event(OrderHeld).reason_code, len(held))
    assert held[1] in ("PAYMENT_DECLINED", "PAYMENT_MISMATCH")
    assert (None, 1) == (decided.subscription.live, len(decided.subscription.kept))
    assert "held" == decided.decider.claims[an_operation().command_id][0].outcome


def test_a_payment_declined_in_time_fails_the_order() -> None:
    """At the very limit the marketplace can still be told."""
    story = unpaid("nothing")
    story.decider.now = LIMIT
    story.when(a_result(an_operation(), "declined", 0)).then(PaymentDeclined, OrderFailed)


def test_its_release_asks_for_another_payment() -> None:
    """At the price of when the order was received; the old payment says nothing any more."""
    story = unpaid("nothing")
    story.when(a_result(an_operation(), "declined", 0))
    decided = story.when(a_review(ReleaseOrder(order_of(an_operation()), "a new card"), offset=40))
    decided.then(OrderReleased, OrderValidated, QuoteIssued, PaymentRequested)
    asked = decided.the(PaymentRequested)
    assert (payment_id_of(order_of(an_operation()), 2), DUE) == (asked.payment_id, asked.amount_minor)
    story.when(a_result(an_operation(), "captured", DUE)).then(PaymentCaptured, RefundRequested)
    story.when(a_result(an_operation(), "captured", DUE, payment_id=asked.payment_id)).the(OrderCompleted)


def test_a_payment_that_is_declined_again_holds_again() -> None:
    """As often as somebody tries; a rejection is refused."""
    story = unpaid("nothing")
    story.when(a_result(an_operation(), "declined", 0))
    order_id = order_of(an_operation())
    for attempt in (2, 3):
        asked = story.when(a_review(ReleaseOrder(order_id, "again"), offset=40 + attempt)).the(
            PaymentRequested
        )
        assert payment_id_of(order_id, attempt) == asked.payment_id
        story.when(a_result(an_operation(), "declined", 0, payment_id=asked.payment_id, offset=attempt)).then(
            PaymentDeclined, OrderHeld
        )
    story.when(a_review(RejectOrder(order_id, "no"), offset=50)).then(OrderReviewRefused)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.sampled_from(STATUSES), st.sampled_from([0, 1, DUE]), st.integers(1, 3)) | st.none(),
        max_size=8,
    )
)
def test_no_word_of_the_gateway_ends_a_late_order_with_a_no(
    happened: list[tuple[str, int, int] | None],
) -> None:
    """In whatever order answers, also about payments of before, and releases (None) come."""
    story = unpaid("nothing")
    order_id = order_of(an_operation())
    asked = {payment_id_of(order_id, 1)}
    for offset, step in enumerate(happened, 100):
        if step is None:
            command = a_review(ReleaseOrder(order_id, "again"), offset=offset)
        else:
            status, amount_minor, number = step
            payment = payment_id_of(order_id, number)
            if payment not in asked:
                continue
            command = a_result(an_operation(), status, amount_minor, payment_id=payment, offset=offset)
        bodies = [event.body for event in story.when(command).events]
        assert not {type(body) for body in bodies} & {OrderRejected, OrderFailed}
        asked |= {body.payment_id for body in bodies if isinstance(body, PaymentRequested)}


def test_a_newer_operation_that_names_everything_ends_an_unpaid_one() -> None:
    """It is no longer in progress: the customer may order anew."""
    story = unpaid("nothing")
    story.when(a_result(an_operation(), "declined", 0))
    newer = an_operation("op-2", offset=10, received_at=NOON + MINUTE)
    decided = story.when(newer)
    decided.then(OrderSuperseded(order_of(newer)), *AWAITING_PAYMENT)
    assert () == decided.subscription.kept


def test_other_channels_are_rejected_however_late() -> None:
    """They wait for the answer."""
    story = Given(an_opening())
    story.decider.now = LATE + 10**9
    story.when(an_order(seats=9)).then(OrderReceived, OrderValidated, OrderRejected)


def held(*more: Command) -> Given:
    """An already accepted order for too few seats is on hold; then come ``more``."""
    story = Given(an_opening())
    story.decider.now = LATE
    story.when(an_operation(seats=9)).then(OrderReceived, OrderHeld)
    for command in more:
        story.when(command)
    return story


def test_a_newer_order_on_hold_does_not_take_its_place() -> None:
    """Two that the marketplace counts as accepted are both kept."""
    decided = held().when(an_operation("op-2", offset=10, seats=8))
    decided.then(OrderReceived, OrderHeld)
    assert [9, 8] == [hold.request.seats for hold in decided.subscription.kept]
    assert decided.subscription.held is None


def test_it_is_in_nobodys_way() -> None:
    """An order of another channel is decided as if it were not there, and leaves it alone."""
    decided = held().when(an_order(offset=10, received_at=NOON + MINUTE))
    decided.then(*COMPLETED_AT_ONCE)
    assert 1 == len(decided.subscription.kept)


def test_an_accepted_order_that_names_all_it_asks_for_supersedes_it() -> None:
    """The customer has said anew what they want: plan and seats."""
    first = order_of(an_operation(seats=9))
    newer = an_operation("op-2", offset=10, received_at=NOON + MINUTE)
    decided = held().when(newer)
    decided.then(OrderSuperseded(order_of(newer)), *COMPLETED_AT_ONCE)
    assert first == decided.event(OrderSuperseded).order_id
    assert () == decided.subscription.kept


@pytest.mark.parametrize("missing", [{"plan": None, "seats": 20}, {"plan": "business-year", "seats": None}])
def test_an_accepted_order_that_names_only_a_part_of_it_leaves_it_on_hold(missing: dict[str, Any]) -> None:
    """More seats do not undo the plan that the customer was promised before."""
    newer = an_operation("op-2", offset=10, received_at=NOON + MINUTE, **missing)
    decided = held().when(newer)
    assert OrderSuperseded not in [type(event.body) for event in decided.events]
    assert 1 == len(decided.subscription.kept)


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ({"modules": ("sso-pack",)}, {}, 1),
        ({"modules": ("sso-pack",)}, {"modules": ("audit-pack", "sso-pack")}, 0),
        ({"modules": ("sso-pack",)}, {"modules_complete": True}, 0),
        ({"modules": ("sso-pack",), "modules_complete": True}, {"modules": ("sso-pack",)}, 1),
    ],
    ids=["named no more", "named again", "all named", "no longer all"],
)
def test_modules_are_a_part_of_what_it_asks_for(
    before: dict[str, Any], after: dict[str, Any], kept: int
) -> None:
    """The same rule as for plan and seats."""
    story = Given(an_opening())
    story.decider.now = LATE
    story.when(an_operation(seats=9, **before)).then(OrderReceived, OrderHeld)
    newer = an_operation("op-2", offset=10, received_at=NOON + MINUTE, **after)
    assert kept == len(story.when(newer).subscription.kept)


def test_an_order_held_in_time_is_kept_too() -> None:
    """Nobody tells the marketplace no, so it becomes accepted while it waits."""
    story = Given(an_opening(standing="arrears"), policy=a_policy(arrears=Severity.HOLD))
    decided = story.when(an_operation())
    decided.then(OrderReceived, OrderHeld)
    assert ["ARREARS"] == reason_codes(decided.the(OrderHeld))
    assert 1 == len(decided.subscription.kept)


def test_a_newer_order_does_not_end_an_unpaid_one() -> None:
    """The marketplace counts it as accepted while its payment is collected."""
    story = Given(an_opening(payment="gateway"), an_operation("op-1", offset=1, received_at=NOON - MINUTE))
    rejected = story.when(an_operation(seats=20))
    assert ["ORDER_IN_PROGRESS"] == reason_codes(rejected.the(OrderRejected))
    assert rejected.subscription.live is not None
