"""The standing of a subscription: suspended, given back, ended; in whatever order the news arrives."""

from __future__ import annotations

import itertools

import pytest

from tests.support.given_when_then import AWAITING_PAYMENT, Decided, Given, reason_codes
from tests.support.order_values import (
    MINUTE,
    NOON,
    a_change,
    a_policy,
    a_result,
    an_opening,
    an_order,
    from_elsewhere,
    order_of,
    payment_of,
)
from tierline.domain.commands import Command
from tierline.domain.events import (
    BillingScheduleAdjusted,
    EntitlementsChanged,
    OperationIgnored,
    OrderCompleted,
    OrderFailed,
    OrderReceived,
    OrderRejected,
    OrderValidated,
    PaymentCaptured,
    PaymentVoidRequested,
    RefundRequested,
    StandingChanged,
    TierChanged,
)
from tierline.domain.policy import Severity

DUE = 1_411_586
SUSPEND = a_change("suspended", NOON, offset=1, reference="op-1")
REINSTATE = a_change("good", NOON + MINUTE, offset=2, reference="op-2")
UNSUBSCRIBE = a_change("ended", NOON + 2 * MINUTE, offset=3, reference="op-3")
FEATURES = ("boards", "guests")


def ignored_because(decided: Decided) -> str | None:
    """The reason of an operation that changed nothing."""
    decided.then(OperationIgnored)
    (code,) = reason_codes(decided.the(OperationIgnored))
    assert code == decided.events[0].reason_code
    return code


def test_suspension_switches_the_features_off() -> None:
    """From when it happened, not from when we heard."""
    decided = Given(an_opening()).when(SUSPEND)
    decided.then(StandingChanged("good", "suspended", NOON), EntitlementsChanged((), FEATURES, ()))
    assert {NOON} == {event.effective_at for event in decided.events}
    assert ("suspended", ()) == (decided.subscription.standing, decided.subscription.features)


def test_reinstatement_gives_back_what_the_plan_gives() -> None:
    """Features and limits as they were."""
    before = Given(an_opening()).decider.subscriptions["sub_88"]
    decided = Given(an_opening(), SUSPEND).when(REINSTATE)
    decided.then(StandingChanged("suspended", "good", NOON + MINUTE), EntitlementsChanged)
    after = decided.subscription
    assert ("good", FEATURES, before.limits) == (after.standing, after.features, after.limits)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "code"), [(SUSPEND, "SUBSCRIPTION_SUSPENDED"), (UNSUBSCRIBE, "SUBSCRIPTION_ENDED")]
)
def test_orders_are_rejected_with_the_standing_as_reason(change: Command, code: str) -> None:
    """Whatever the policy says, and although the account is in good standing."""
    decided = Given(an_opening(), change).when(an_order(offset=9, received_at=NOON + 3 * MINUTE))
    decided.then(OrderReceived, OrderValidated, OrderRejected)
    assert [code] == reason_codes(decided.the(OrderRejected))


def test_an_order_for_what_is_in_force_is_rejected_too() -> None:
    """Nothing is in force that could be used."""
    order = an_order(offset=9, received_at=NOON + 3 * MINUTE, plan=None, seats=None)
    assert ["SUBSCRIPTION_SUSPENDED"] == reason_codes(
        Given(an_opening(), SUSPEND).when(order).the(OrderRejected)
    )


def test_orders_are_accepted_again_after_reinstatement() -> None:
    """As if nothing had been."""
    order = an_order(offset=9, received_at=NOON + 3 * MINUTE)
    Given(an_opening(), SUSPEND, REINSTATE).when(order).the(OrderCompleted)


def test_an_order_under_way_completes_while_suspended_and_its_features_wait() -> None:
    """What was paid is carried out; its features are switched on when the subscription is given back."""
    order = an_order(offset=9)
    story = Given(
        an_opening(payment="gateway"), order, SUSPEND, a_result(order, "authorized", DUE, offset=10)
    )
    decided = story.when(a_result(order, "captured", DUE, offset=11))
    decided.then(PaymentCaptured, TierChanged, EntitlementsChanged, BillingScheduleAdjusted, OrderCompleted)
    assert EntitlementsChanged((), (), ()) == decided.the(EntitlementsChanged)
    assert (("boards", "sso"), ()) == (
        story.when(REINSTATE).the(EntitlementsChanged).on,
        story.when(REINSTATE).events and decided.subscription.withheld_features,
    )


def test_the_end_fails_what_is_under_way_and_gives_the_money_back() -> None:
    """The unpaid order ends and its payment is voided."""
    order = an_order(offset=9)
    decided = Given(an_opening(payment="gateway"), order).when(UNSUBSCRIBE)
    decided.then(
        StandingChanged, EntitlementsChanged, OrderFailed, PaymentVoidRequested(payment_of(order), None)
    )
    assert order_of(order) == decided.event(OrderFailed).order_id
    assert ("SUBSCRIPTION_ENDED", None) == (
        decided.event(OrderFailed).reason_code,
        decided.subscription.live,
    )


def test_money_that_is_captured_after_the_end_is_given_back() -> None:
    """The capture had been asked for when the subscription ended."""
    order = an_order(offset=9)
    story = Given(
        an_opening(payment="gateway"), order, a_result(order, "authorized", DUE, offset=10), UNSUBSCRIBE
    )
    story.when(a_result(order, "captured", DUE, offset=11)).then(PaymentCaptured, RefundRequested)


def test_the_end_fails_orders_on_hold() -> None:
    """They could never be decided."""
    order = an_order(offset=9)
    story = Given(an_opening(standing="arrears"), order, policy=a_policy(arrears=Severity.HOLD))
    decided = story.when(UNSUBSCRIBE)
    assert order_of(order) == decided.event(OrderFailed).order_id
    assert decided.subscription.held is None


@pytest.mark.parametrize("order", list(itertools.permutations([SUSPEND, REINSTATE, UNSUBSCRIBE])))
def test_the_order_of_arrival_does_not_matter(order: tuple[Command, ...]) -> None:
    """Suspended, given back, ended: whoever hears it in any order ends at the same."""
    story = Given(an_opening())
    for change in order:
        decided = story.when(change)
    assert ("ended", ()) == (decided.subscription.standing, decided.subscription.features)


@pytest.mark.parametrize("order", list(itertools.permutations([SUSPEND, REINSTATE])))
def test_an_older_change_does_not_undo_a_newer_one(order: tuple[Command, ...]) -> None:
    """A late Suspend does not switch off what was given back after it."""
    story = Given(an_opening())
    for change in order:
        decided = story.when(change)
    assert ("good", FEATURES) == (decided.subscription.standing, decided.subscription.features)


def test_a_change_that_was_overtaken_says_so() -> None:
    """It changes nothing and names both moments."""
    assert "OPERATION_OVERTAKEN" == ignored_because(Given(an_opening(), REINSTATE).when(SUSPEND))


def test_a_standing_in_force_is_confirmed_and_remembered() -> None:
    """Suspended again later: a reinstatement from between the two does not undo it."""
    again = a_change("suspended", NOON + 2 * MINUTE, offset=5, reference="op-5")
    story = Given(an_opening(), SUSPEND)
    assert "STANDING_IN_FORCE" == ignored_because(story.when(again))
    assert "OPERATION_OVERTAKEN" == ignored_because(story.when(REINSTATE))


@pytest.mark.parametrize(
    "change", [SUSPEND, REINSTATE, a_change("good", NOON + 9 * MINUTE, offset=8, reference="op-8")]
)
def test_nothing_comes_after_the_end(change: Command) -> None:
    """An ended subscription is not opened again, whenever the change is said to have happened."""
    story = Given(an_opening(), UNSUBSCRIBE)
    assert "SUBSCRIPTION_ENDED" == ignored_because(story.when(change))


def test_ending_twice_is_in_force() -> None:
    """Another operation with the same meaning is no refusal."""
    again = a_change("ended", NOON, offset=8, reference="op-8")
    assert "STANDING_IN_FORCE" == ignored_because(Given(an_opening(), UNSUBSCRIBE).when(again))


def test_the_same_operation_again_changes_nothing() -> None:
    """From another record it is told as repeated."""
    story = Given(an_opening(), SUSPEND, REINSTATE)
    assert "OPERATION_REPEATED" == ignored_because(story.when(from_elsewhere(SUSPEND)))


def test_the_same_record_again_stays_quiet() -> None:
    """A redelivery."""
    Given(an_opening(), SUSPEND).when(SUSPEND).then_nothing_happened()


def test_an_unknown_standing_is_a_dead_letter() -> None:
    """Nobody can decide what it means."""
    Given(an_opening()).when(a_change("frozen")).then_dead("STANDING_UNKNOWN")


def test_gateway_orders_wait_as_ever_while_in_good_standing() -> None:
    """A reinstatement of what was never suspended is only remembered."""
    story = Given(an_opening(payment="gateway"))
    assert "STANDING_IN_FORCE" == ignored_because(story.when(REINSTATE))
    story.when(an_order(offset=9, received_at=NOON + 3 * MINUTE)).then(*AWAITING_PAYMENT)
