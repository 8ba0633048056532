"""The marketplace takes silence for a yes: an order decided later is completed or held, never rejected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.given_when_then import COMPLETED_AT_ONCE, Decided, Given, reason_codes
from tests.support.order_values import (
    CONTRACT,
    MINUTE,
    NOON,
    a_change,
    a_policy,
    an_opening,
    an_order,
    due,
    order_of,
)
from tierline.domain.commands import Command
from tierline.domain.events import (
    OrderCompleted,
    OrderFailed,
    OrderHeld,
    OrderReceived,
    OrderRejected,
    OrderSuperseded,
    OrderValidated,
)
from tierline.domain.policy import Rule, Severity
from tierline.domain.reasons import ReasonCode

LIMIT = NOON + 8_000
LATE = LIMIT + 1
ALREADY = "MARKETPLACE_ALREADY_ACCEPTED"


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
