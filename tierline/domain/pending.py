"""What a newer order meets: orders of the same subscription that have not ended.

| pending order           | same channel and source          | any other channel or source      |
|-------------------------|----------------------------------|----------------------------------|
| on hold, or unpaid      | superseded, if the newer can be  | the first wins: ORDER_CONFLICT   |
| on hold, received later | STALE_ORDER                      | the first wins: ORDER_CONFLICT   |
| capture was asked for   | ORDER_IN_PROGRESS, send it later | ORDER_IN_PROGRESS, send it later |

Orders on hold whose sender takes silence for a yes are not in the table: they are in nobody's way, and are
superseded only by an accepted one of their sender that names everything they ask for. While such an order is
unpaid, a newer one of its sender is ORDER_IN_PROGRESS.

A newer order supersedes only what it can replace: once accepted, everything that is pending; once on hold
itself, only another order on hold, because a running order must not die for one that may never be
accepted; rejected, nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tierline.domain.about import about
from tierline.domain.account_credit import released_from
from tierline.domain.commands import Command, PlaceOrder
from tierline.domain.events import Event, OrderSuperseded, PaymentVoidRequested, Reason
from tierline.domain.moments import text_of_ms
from tierline.domain.reasons import ReasonCode
from tierline.domain.subscription import (
    ActiveSubscription,
    Authorized,
    AwaitingPayment,
    Capturing,
    LiveOrder,
    OnHold,
    OrderFacts,
)
from tierline.domain.values import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Clear:
    """Nothing is in the way, or only what the newer order may supersede."""

    live: LiveOrder | None
    held: OnHold | None
    replaced: tuple[OnHold, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another channel came first; ``winner`` is its order."""

    winner: OrderFacts


@dataclass(frozen=True, slots=True)
class InProgress:
    """An order is past its point of no return, or its sender counts it as accepted."""

    order: OrderFacts
    detail: str


@dataclass(frozen=True, slots=True)
class Overtaken:
    """An order that was received later is on hold already."""

    order: OrderFacts


Meeting = Clear | Conflict | InProgress | Overtaken


def meet(subscription: ActiveSubscription, command: Command, request: PlaceOrder) -> Meeting:
    """What the order of ``command`` meets on its subscription."""
    live, held = subscription.live, subscription.held
    if isinstance(live, Capturing):
        return InProgress(live.order, "its payment is being captured")
    for pending in (live, held):
        if pending is not None and not _same_sender(pending.order, command):
            return Conflict(pending.order)
    if held is not None and command.received_at < held.order.received_at:
        return Overtaken(held.order)
    if live is not None and live.order.decide_by is not None:
        return InProgress(live.order, "its payment is being collected")
    return Clear(live, held, tuple(hold for hold in subscription.kept if _replaces(command, request, hold)))


def reasons_of_meeting(meeting: Meeting, received_at: int) -> tuple[Reason, ...]:
    """Why the order received then (ms) is rejected for what it meets."""
    match meeting:
        case Conflict(winner=winner):
            return (Reason(ReasonCode.ORDER_CONFLICT, f"an order from {winner.channel} came first"),)
        case InProgress(detail=detail):
            return (Reason(ReasonCode.ORDER_IN_PROGRESS, detail),)
        case Overtaken(order=order):
            detail = f"received {text_of_ms(received_at)}, the order on hold {text_of_ms(order.received_at)}"
            return (Reason(ReasonCode.STALE_ORDER, detail),)
        case Clear():
            return ()


def superseded_by_accepted(meeting: Meeting, order_id: str) -> tuple[Event, ...]:
    """The end of every pending order, and of what the gateway was asked for, by an accepted one."""
    if not isinstance(meeting, Clear):
        return ()
    events = superseded_by_held(meeting, order_id)
    for hold in meeting.replaced:
        events += about(hold.order.order_id, OrderSuperseded(order_id))
    live = meeting.live
    if live is None:
        return events
    events += released_from(live.order.order_id, live.quote)
    events += about(live.order.order_id, OrderSuperseded(order_id))
    if isinstance(live, AwaitingPayment | Authorized):
        events += about(live.order.order_id, PaymentVoidRequested(live.payment_id, gateway_ref=None))
    return events


def superseded_by_held(meeting: Meeting, order_id: str) -> tuple[Event, ...]:
    """The end of an order on hold, by one that takes its place there."""
    if not isinstance(meeting, Clear) or meeting.held is None:
        return ()
    return about(meeting.held.order.order_id, OrderSuperseded(order_id))


def _replaces(command: Command, request: PlaceOrder, hold: OnHold) -> bool:
    """Whether the order was taken in after that one on hold, and names everything it asks for."""
    asked = hold.request
    if not _same_sender(hold.order, command) or command.received_at < hold.order.received_at:
        return False
    return (
        (asked.plan is None or request.plan is not None)
        and (asked.seats is None or request.seats is not None)
        and (
            request.modules_complete
            or (not asked.modules_complete and set(asked.modules) <= set(request.modules))
        )
    )


def _same_sender(order: OrderFacts, command: Command) -> bool:
    return order.channel == command.channel and order.source == command.source
