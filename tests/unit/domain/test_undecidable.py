"""Commands about something that is not here are dead letters; what was decided before never is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.given_when_then import Given
from tests.support.order_values import CATALOG, NOON, POLICY, a_result, an_opening, an_order, from_elsewhere
from tierline.domain.claims import NewAttempt
from tierline.domain.context import Context
from tierline.domain.decide import decide
from tierline.domain.events import SubscriptionOpened
from tierline.domain.invariant import BrokenInvariant
from tierline.domain.outcome import DeadLetterClass
from tierline.domain.state import initial
from tierline.domain.undecidable import undecidable


def test_order_for_an_unknown_account_is_a_dead_letter() -> None:
    """Class unknown_account: the normalizer's cache may be older than the store."""
    dead = undecidable(initial(), an_order(), NewAttempt(1, "x"))
    assert dead is not None
    assert (DeadLetterClass.UNKNOWN_ACCOUNT, "ACCOUNT_UNKNOWN", "account_id") == (
        dead.dead_letter_class,
        dead.code,
        dead.field,
    )


def test_order_for_an_unknown_subscription_is_a_dead_letter() -> None:
    """The account exists, the subscription does not."""
    Given(an_opening()).when(an_order(subscription_id="sub_1")).then_dead("SUBSCRIPTION_UNKNOWN")


def test_order_for_the_subscription_of_another_account_is_a_dead_letter() -> None:
    """Account and subscription must belong together."""
    other = an_opening(account_id="acc_1", subscription_id="sub_1", external_refs=())
    Given(an_opening(), other).when(an_order(subscription_id="sub_1")).then_dead("SUBSCRIPTION_UNKNOWN")


def test_repeat_from_an_account_that_does_not_own_the_subscription_is_a_dead_letter() -> None:
    """Its reference and content are known, but the answer is nobody's business but the owner's."""
    order = an_order()
    other = an_opening(account_id="acc_1", subscription_id="sub_1", external_refs=())
    stranger = replace(from_elsewhere(order), account_id="acc_1")
    Given(an_opening(), other, order).when(stranger).then_dead("SUBSCRIPTION_UNKNOWN")


def test_payment_result_for_an_unknown_account_is_a_dead_letter() -> None:
    """The same holds for every command but an opening."""
    Given().when(a_result(an_order(), "captured", 1)).then_dead("ACCOUNT_UNKNOWN")


def test_opening_is_never_undecidable() -> None:
    """It needs nothing to be there."""
    Given(an_opening()).when(an_opening(subscription_id="sub_89", external_refs=())).then(SubscriptionOpened)


def test_redelivery_is_never_undecidable() -> None:
    """What was decided before is silent, whatever is remembered of it."""
    order = an_order()
    given = Given(an_opening(), order)
    given.decider.subscriptions.clear()
    assert None is undecidable(given.decider.state(order), order, given.decider.context(order).identity)


@pytest.mark.parametrize("command", [an_order(), a_result(an_order(), "captured", 1)])
def test_deciding_the_undecidable_is_a_bug(command: object) -> None:
    """Whoever skips the check hears of it: the partition stops instead of guessing."""
    context = Context(NOON, NewAttempt(1, "x"), CATALOG, POLICY)
    with pytest.raises(BrokenInvariant, match="sub_88 is not a subscription of acc_204"):
        decide(initial(), command, context)  # type: ignore[arg-type]


def test_deciding_a_result_for_an_unknown_payment_is_a_bug() -> None:
    """The same, one level deeper."""
    result = a_result(an_order(), "captured", 1)
    state = Given(an_opening()).decider.state(result)
    with pytest.raises(BrokenInvariant, match="which nobody asked for"):
        decide(state, result, Context(NOON, NewAttempt(1, None), CATALOG, POLICY))
