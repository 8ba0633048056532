"""A folded state survives being stored as plain values."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from tests.support.given_when_then import Given
from tests.support.order_values import NOON, a_policy, a_result, an_opening, an_order
from tierline.domain import snapshot
from tierline.domain.account import NoAccount, OpenAccount
from tierline.domain.commands import Command
from tierline.domain.policy import Severity
from tierline.domain.snapshot import plain_to_state, state_to_plain
from tierline.domain.subscription import ActiveSubscription, NoSubscription

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
    """Through msgpack, for both streams."""
    state = Given(*story, policy=HOLDING).decider.state(story[0])
    for side in (state.account, state.subscription):
        assert side == reopened(side)


@pytest.mark.parametrize("nothing", [NoAccount(), NoSubscription()])
def test_nothing_comes_back_as_nothing(nothing: NoAccount | NoSubscription) -> None:
    """The empty situations are situations."""
    assert nothing == plain_to_state(state_to_plain(nothing))


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
    "plain",
    [
        {},
        {"is": "Unheard"},
        {"is": "OpenAccount", "account_id": "acc_204"},
        {"is": "NoAccount", "extra": 1},
        {"is": "Limit", "name": "seats", "value": 1},
        {"is": "Limit", "name": "seats", "value": {"is": 3}},
    ],
)
def test_anything_else_is_refused(plain: dict[str, Any]) -> None:
    """A snapshot of another shape is thrown away by its reader, not half understood."""
    with pytest.raises(ValueError, match="not a"):
        plain_to_state(plain)


def test_every_class_that_a_state_can_hold_is_known() -> None:
    """A forgotten class would only show when a state that has it is stored."""
    found: set[type] = set()
    for root in (NoAccount, OpenAccount, NoSubscription, ActiveSubscription):
        collect_classes(root, found)
    assert {known.__name__ for known in found} == set(snapshot._CLASSES)


def collect_classes(hint: Any, found: set[type]) -> None:
    """Every dataclass that a value of this type can hold, at any depth."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if hint not in found:
            found.add(hint)
            for inner in get_type_hints(hint).values():
                collect_classes(inner, found)
        return
    for inner in get_args(hint):
        collect_classes(inner, found)


def reopened(state: Any) -> Any:
    """The state after it was stored and read."""
    return plain_to_state(msgspec.msgpack.decode(msgspec.msgpack.encode(state_to_plain(state))))
