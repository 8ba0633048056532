"""The decider: which function decides which command.

``decide`` is pure: the clock, the identity of the command, the price book and the policy arrive in the
context. It returns what happened, in order; an empty tuple says that it happened before.
"""

from __future__ import annotations

from typing import assert_never

from tierline.domain.commands import (
    ChangeStanding,
    Command,
    OpenSubscription,
    PlaceOrder,
    RecordPaymentResult,
    RejectOrder,
    ReleaseOrder,
    RollPeriod,
)
from tierline.domain.context import Context
from tierline.domain.events import Event
from tierline.domain.openings import decide_opening
from tierline.domain.orders import decide_order
from tierline.domain.payment_results import decide_payment_result
from tierline.domain.renewals import decide_roll
from tierline.domain.review import decide_rejection, decide_release
from tierline.domain.standing import decide_standing
from tierline.domain.state import State


def decide(state: State, command: Command, context: Context) -> tuple[Event, ...]:
    """What ``command`` leads to. Raises BrokenInvariant for a bug, nothing for bad input."""
    match command.body:
        case OpenSubscription() as opening:
            return decide_opening(state, command, opening, context)
        case PlaceOrder() as order:
            return decide_order(state, command, order, context)
        case RecordPaymentResult() as result:
            return decide_payment_result(state, command, result, context)
        case ChangeStanding() as change:
            return decide_standing(state, command, change, context)
        case RollPeriod() as roll:
            return decide_roll(state, command, roll, context)
        case ReleaseOrder() as release:
            return decide_release(state, command, release, context)
        case RejectOrder() as rejection:
            return decide_rejection(state, command, rejection, context)
        case _ as unknown:
            assert_never(unknown)
