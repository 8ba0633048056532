"""What a person does about an order on hold: release it, or reject it.

A released order is decided anew, as of when it was received: at that moment's price, against what is in force
now. The person waives the rules that only hold; what rejects, rejects. Two things keep it on hold: another
order of the subscription that is under way, and that its channel has taken silence for a yes. Where a payment
was declined after that, another one is asked for.
"""

from __future__ import annotations

from tierline.domain.about import about
from tierline.domain.assessment import assess
from tierline.domain.claims import NewAttempt, Redelivery, ReferenceReused, Repeat
from tierline.domain.commands import Command, PlaceOrder, RejectOrder, ReleaseOrder
from tierline.domain.context import Context
from tierline.domain.events import (
    Event,
    OrderHeld,
    OrderRejected,
    OrderReleased,
    OrderReviewRefused,
    Reason,
)
from tierline.domain.orders import placed
from tierline.domain.pending import Conflict, InProgress, reasons_of_meeting
from tierline.domain.proposal import asked
from tierline.domain.reasons import ReasonCode
from tierline.domain.silence import accepted_by_silence
from tierline.domain.state import State, addressed
from tierline.domain.subscription import ActiveSubscription, OnHold
from tierline.domain.values import replace

RELEASE = "release"
REJECT = "reject"


def decide_release(
    state: State, command: Command, release: ReleaseOrder, context: Context
) -> tuple[Event, ...]:
    """The order's decision; () where the same was asked before."""
    account, subscription = addressed(state, command)
    match context.identity:
        case Redelivery() | Repeat():
            return ()
        case NewAttempt() | ReferenceReused():
            held = subscription.on_hold(release.order_id)
            if held is None:
                return _refused(RELEASE, release.order_id, _not_on_hold(subscription, release.order_id))
            request = _request(held)
            without = subscription.without_hold(release.order_id)
            order = asked(account, without, context, _command(command, held, request), request)
            assessment = replace(assess(order, context.policy), holding=())
            released = OrderReleased(release.reason)
            if isinstance(assessment.meeting, Conflict | InProgress):
                meets = reasons_of_meeting(assessment.meeting, held.order.received_at)
                still = accepted_by_silence(held.order.decide_by, context.now) + meets
                return about(release.order_id, released, OrderHeld(still))
            return placed(release.order_id, released, assessment, context, held.order.payments)


def decide_rejection(
    state: State, command: Command, rejection: RejectOrder, context: Context
) -> tuple[Event, ...]:
    """The end of the order, or why it cannot be rejected; () where the same was asked before."""
    _, subscription = addressed(state, command)
    match context.identity:
        case Redelivery() | Repeat():
            return ()
        case NewAttempt() | ReferenceReused():
            held = subscription.on_hold(rejection.order_id)
            if held is None:
                return _refused(REJECT, rejection.order_id, _not_on_hold(subscription, rejection.order_id))
            for too_late in accepted_by_silence(held.order.decide_by, context.now):
                return _refused(REJECT, rejection.order_id, too_late)
            reasons = (Reason(ReasonCode.REJECTED_BY_OPERATOR, rejection.reason),)
            return about(rejection.order_id, OrderRejected(reasons, retry=False))


def _request(held: OnHold) -> PlaceOrder:
    asked_for = held.request
    return PlaceOrder(
        plan=asked_for.plan,
        seats=asked_for.seats,
        modules=asked_for.modules,
        effective=asked_for.effective,
        payment_method=asked_for.payment_method,
        requested_by=asked_for.requested_by,
        requested_at=asked_for.requested_at,
        unavailable=(),
        validate_only=False,
        modules_complete=asked_for.modules_complete,
    )


def _command(command: Command, held: OnHold, request: PlaceOrder) -> Command:
    """The order's own command, as far as a decision looks at it."""
    order = held.order
    return replace(
        command,
        type=PlaceOrder.__name__,
        channel=order.channel,
        source=order.source,
        source_ref=order.source_ref,
        received_at=order.received_at,
        decide_by=order.decide_by,
        body=request,
    )


def _not_on_hold(subscription: ActiveSubscription, order_id: str) -> Reason:
    live = subscription.live
    is_running = live is not None and live.order.order_id == order_id
    detail = "it is under way" if is_running else "it has ended, or is no order of this subscription"
    return Reason(ReasonCode.ORDER_NOT_ON_HOLD, detail)


def _refused(action: str, order_id: str, reason: Reason) -> tuple[Event, ...]:
    refused = OrderReviewRefused(action, order_id, (reason,))
    return (Event("subscription", refused, reason_code=reason.code),)
