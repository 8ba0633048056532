"""The standing of a subscription: good, suspended, or ended for ever.

| asked for | in force  | becomes                                                                        |
|-----------|-----------|--------------------------------------------------------------------------------|
| suspended | good      | suspended: its features are switched off, its orders under way go on           |
| good      | suspended | good: what the plan gives is switched on again                                 |
| ended     | any other | ended: features off, orders under way fail, payments are voided or given back  |
| the same  | the same  | ignored; that it was said then is remembered                                   |
| any other | ended     | ignored                                                                        |

Of two changes the one that happened later at the sender counts, in whatever order they arrive; at the same
moment the one that arrives later. Only the end counts always: nothing comes after it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tierline.domain.about import about
from tierline.domain.account_credit import released_from
from tierline.domain.claims import NewAttempt, Redelivery, ReferenceReused, Repeat
from tierline.domain.commands import ENDED, GOOD, SUSPENDED, ChangeStanding, Command
from tierline.domain.context import Context
from tierline.domain.events import (
    EntitlementsChanged,
    Event,
    OperationIgnored,
    OrderFailed,
    PaymentVoidRequested,
    Reason,
    StandingChanged,
)
from tierline.domain.moments import text_of_ms
from tierline.domain.reasons import ReasonCode
from tierline.domain.state import State, addressed
from tierline.domain.subscription import (
    ActiveSubscription,
    Authorized,
    AwaitingPayment,
    OrderFacts,
)

STANDINGS = (GOOD, SUSPENDED, ENDED)


def decide_standing(
    state: State, command: Command, change: ChangeStanding, context: Context
) -> tuple[Event, ...]:
    """The new standing and what it switches; () only for a redelivery."""
    _, subscription = addressed(state, command)
    match context.identity:
        case Redelivery():
            return ()
        case Repeat():
            return ignored(command, change.told_at, Reason(ReasonCode.OPERATION_REPEATED, ""))
        case NewAttempt() | ReferenceReused():
            reason = _needless(subscription, change)
            if reason is not None:
                return ignored(command, change.told_at, reason)
            return tuple(_changed(subscription, change))


def reasons_of_standing(subscription: ActiveSubscription) -> tuple[Reason, ...]:
    """Why a subscription in that standing takes no order."""
    if subscription.standing == ENDED:
        return (_ended(subscription),)
    if subscription.standing == SUSPENDED:
        return (Reason(ReasonCode.SUBSCRIPTION_SUSPENDED, _since("suspended", subscription)),)
    return ()


def ignored(command: Command, told_at: int, reason: Reason) -> tuple[Event, ...]:
    """The record of an operation that changes nothing; ``told_at`` in ms."""
    told = OperationIgnored(command.type, told_at, (reason,))
    return (Event("subscription", told, reason_code=reason.code, effective_at=told_at),)


def _needless(subscription: ActiveSubscription, change: ChangeStanding) -> Reason | None:
    if subscription.standing == ENDED and change.standing != ENDED:
        return _ended(subscription)
    newest = subscription.standing_told_at
    if change.standing != ENDED and newest is not None and change.told_at < newest:
        detail = f"it happened {text_of_ms(change.told_at)}, the last change {text_of_ms(newest)}"
        return Reason(ReasonCode.OPERATION_OVERTAKEN, detail)
    if change.standing == subscription.standing:
        return Reason(ReasonCode.STANDING_IN_FORCE, f"the subscription is {change.standing}")
    return None


def _changed(now: ActiveSubscription, change: ChangeStanding) -> Iterator[Event]:
    told = StandingChanged(now.standing, change.standing, change.told_at)
    yield Event("subscription", told, effective_at=change.told_at)
    entitled = _switched(now, change.standing)
    if entitled is not None:
        yield Event("subscription", entitled, effective_at=change.told_at)
    if change.standing == ENDED:
        if now.live is not None:
            yield from released_from(now.live.order.order_id, now.live.quote)
        for order in _under_way(now):
            failed = OrderFailed((Reason(ReasonCode.SUBSCRIPTION_ENDED, "it was ended while the order ran"),))
            yield from about(order.order_id, failed)
        if isinstance(now.live, AwaitingPayment | Authorized):
            yield from about(now.live.order.order_id, PaymentVoidRequested(now.live.payment_id, None))


def _switched(now: ActiveSubscription, standing: str) -> EntitlementsChanged | None:
    if standing == GOOD:
        return EntitlementsChanged(now.withheld_features, (), now.withheld_limits)
    if now.features or now.limits:
        return EntitlementsChanged((), now.features, ())
    return None


def _under_way(now: ActiveSubscription) -> Iterator[OrderFacts]:
    """A captured payment of an order that has ended is given back when the gateway tells of it."""
    for held in (*now.kept, now.held):
        if held is not None:
            yield held.order
    if now.live is not None:
        yield now.live.order


def _ended(subscription: ActiveSubscription) -> Reason:
    return Reason(ReasonCode.SUBSCRIPTION_ENDED, _since("ended", subscription))


def _since(standing: str, subscription: ActiveSubscription) -> str:
    told_at = subscription.standing_told_at
    return standing if told_at is None else f"{standing} {text_of_ms(told_at)}"
