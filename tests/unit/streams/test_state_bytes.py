"""A folded state survives being stored as bytes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.deciding.state_bytes import bytes_of_state, state_of_bytes
from tests.support.given_when_then import Given
from tests.support.order_values import NOON, a_policy, a_result, an_opening, an_order
from tierline.domain.account import NoAccount
from tierline.domain.commands import Command
from tierline.domain.policy import Severity
from tierline.domain.subscription import NoSubscription, PaymentStage

ORDER = an_order()
HELD = an_order("PO-2", offset=1, received_at=NOON + 1, seats=9)
HOLDING = a_policy(below_tier_minimum=Severity.HOLD)

STORIES: dict[str, tuple[Command, ...]] = {
    "opened": (an_opening(),),
    "opened without rows and contract": (an_opening(invoiced=None, contract=None, billing_day=1),),
    "completed": (an_opening(), ORDER),
    "on hold": (an_opening(), HELD),
    "awaiting payment and on hold": (an_opening(payment="gateway"), ORDER, HELD),
    "capturing": (an_opening(payment="gateway"), ORDER, a_result(ORDER, "authorized", 1_411_586)),
    "awaiting payment for a plan that ends a module": (
        an_opening(payment="gateway", modules=("chat-pack",), invoiced=None, contract=None),
        an_order(plan="business-month"),
    ),
    "superseded": (an_opening(payment="gateway"), ORDER, an_order("PO-3", offset=3, received_at=NOON + 1)),
    "failed": (an_opening(payment="gateway"), ORDER, a_result(ORDER, "declined", 0)),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_state_comes_back_as_it_was(story: tuple[Command, ...]) -> None:
    """Both streams."""
    state = Given(*story, policy=HOLDING).decider.state(story[0])
    for side in (state.account, state.subscription):
        assert side == reopened(side)


def test_stages_of_payments_come_back_as_stages() -> None:
    """Their text alone would be equal to them."""
    story = STORIES["capturing"]
    restored = reopened(Given(*story).decider.state(story[0]).subscription)

    assert [PaymentStage.CAPTURE_REQUESTED] == [payment.stage for payment in restored.payments]
    assert all(isinstance(payment.stage, PaymentStage) for payment in restored.payments)


@pytest.mark.parametrize("nothing", [NoAccount(), NoSubscription()])
def test_nothing_comes_back_as_nothing(nothing: NoAccount | NoSubscription) -> None:
    """The empty situations are situations."""
    assert nothing == reopened(nothing)


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_decisions_are_the_same_after_a_snapshot(story: tuple[Command, ...]) -> None:
    """Restored and folded states decide alike."""
    folded, restored = Given(*story, policy=HOLDING), Given(*story, policy=HOLDING)
    account, subscription = story[0].account_id, story[0].subscription_id
    restored.decider.accounts[account] = reopened(restored.decider.accounts[account])
    restored.decider.subscriptions[subscription] = reopened(restored.decider.subscriptions[subscription])
    newer = an_order("PO-9", offset=9, received_at=NOON + 2, seats=20)
    assert folded.when(newer).outcome == restored.when(newer).outcome


@pytest.mark.parametrize(
    "other", [("Unheard", None, {}), ("OpenAccount", None, {"account_id": "acc_204"})], ids=["class", "field"]
)
def test_bytes_of_another_shape_are_refused(other: tuple[str, None, dict[str, str]]) -> None:
    """They are not half understood."""
    with pytest.raises(KeyError):
        state_of_bytes(msgspec.msgpack.encode(other))


def reopened(state: Any) -> Any:
    """The state after it was stored and read."""
    return state_of_bytes(bytes_of_state(state))
