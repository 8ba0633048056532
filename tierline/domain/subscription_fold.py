"""The fold of a subscription's stream: one small function for each event that changes the situation.

A recorded fact is never rejected. An event type without a function here changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tierline.domain.billing import BASE_ITEM
from tierline.domain.commands import SUSPENDED
from tierline.domain.events import (
    BillingScheduleAdjusted,
    EntitlementsChanged,
    OperationIgnored,
    OrderCompleted,
    OrderFailed,
    OrderHeld,
    OrderReceived,
    OrderRejected,
    OrderReleased,
    OrderSuperseded,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureRequested,
    PaymentDeclined,
    PaymentRefunded,
    PaymentRequested,
    PaymentVoided,
    PaymentVoidRequested,
    PeriodInvoiced,
    PeriodRolled,
    QuoteIssued,
    RecordedEvent,
    RefundRequested,
    StandingChanged,
    SubscriptionOpened,
    TierChanged,
)
from tierline.domain.reasons import ReasonCode
from tierline.domain.schedule import schedule_invoiced, schedule_rolled
from tierline.domain.subscription import (
    SETTLED_STAGES,
    ActiveSubscription,
    Arriving,
    Authorized,
    AwaitingPayment,
    Capturing,
    OnHold,
    OrderFacts,
    Payment,
    PaymentStage,
    Quoted,
    Schedule,
    SubscriptionState,
)
from tierline.domain.values import replace

# Settled payments are remembered for late and repeated results; more than these were never seen to matter.
SETTLED_PAYMENTS_KEPT = 16

Fold = Callable[[ActiveSubscription, RecordedEvent, Any], ActiveSubscription]


def evolve_subscription(subscription: SubscriptionState, event: RecordedEvent) -> SubscriptionState:
    """The subscription after ``event``."""
    body = event.body
    if isinstance(body, SubscriptionOpened):
        return _opened(event, body)
    fold = FOLDS.get(type(body))
    if fold is None or not isinstance(subscription, ActiveSubscription):
        return subscription
    return fold(subscription, event, body)


def _opened(event: RecordedEvent, body: SubscriptionOpened) -> ActiveSubscription:
    return ActiveSubscription(
        account_id=event.account_id,
        subscription_id=event.subscription_id,
        currency=body.currency,
        tier=body.tier,
        plan=body.plan,
        seats=body.seats,
        modules=body.modules,
        features=body.features,
        limits=body.limits,
        contract=body.contract,
        schedule=Schedule(
            body.period_start, body.period_end, body.billing_day, None, body.items, body.invoiced
        ),
        catalog_version=event.catalog_version,
    )


def _facts(event: RecordedEvent) -> OrderFacts:
    return OrderFacts(
        event.order_id or "",
        event.channel,
        event.source,
        event.source_ref,
        event.received_at,
        event.decide_by,
    )


def _received(now: ActiveSubscription, event: RecordedEvent, body: OrderReceived) -> ActiveSubscription:
    return replace(now, arriving=Arriving(_facts(event), body))


def _rejected(now: ActiveSubscription, event: RecordedEvent, _: OrderRejected) -> ActiveSubscription:
    return replace(now.without_hold(event.order_id), arriving=None)


def _held(now: ActiveSubscription, event: RecordedEvent, _: OrderHeld) -> ActiveSubscription:
    """An order that arrives, or one whose payment was declined too late for a no."""
    pending = now.arriving or now.live
    if pending is None or pending.order.order_id != event.order_id:
        return now
    hold = OnHold(pending.order, pending.request)
    now = _without_live(replace(now, arriving=None), event)
    if hold.order.decide_by is not None:
        return replace(now, kept=(*now.kept, hold))
    return replace(now, held=hold)


def _released(now: ActiveSubscription, event: RecordedEvent, _: OrderReleased) -> ActiveSubscription:
    hold = now.on_hold(event.order_id or "")
    if hold is None:
        return now
    return replace(now.without_hold(event.order_id), arriving=Arriving(hold.order, hold.request))


def _superseded(now: ActiveSubscription, event: RecordedEvent, _: OrderSuperseded) -> ActiveSubscription:
    return _without_live(now.without_hold(event.order_id), event)


def _quoted(now: ActiveSubscription, _: RecordedEvent, body: QuoteIssued) -> ActiveSubscription:
    if body.validate_only or now.arriving is None:
        return now
    order, request = now.arriving.order, now.arriving.request
    return replace(now, arriving=None, live=Quoted(order, request, body), accepted_at=_newest(now, order))


def _payment_requested(
    now: ActiveSubscription, event: RecordedEvent, body: PaymentRequested
) -> ActiveSubscription:
    payment = Payment(
        body.payment_id,
        event.order_id or "",
        body.amount_minor,
        body.currency,
        None,
        PaymentStage.REQUESTED,
    )
    live = now.live
    if isinstance(live, Quoted):
        order = replace(live.order, payments=live.order.payments + 1)
        live = AwaitingPayment(order, live.request, live.quote, body.payment_id)
    return replace(now, live=live, payments=_remembered((*now.payments, payment)))


def _authorized(now: ActiveSubscription, _: RecordedEvent, body: PaymentAuthorized) -> ActiveSubscription:
    live = now.order_paid_by(body.payment_id)
    if live is not None:
        now = replace(now, live=Authorized(live.order, live.request, live.quote, live.payment_id))
    return _moved(now, body.payment_id, PaymentStage.AUTHORIZED, body.gateway_ref)


def _capture_requested(
    now: ActiveSubscription, _: RecordedEvent, body: PaymentCaptureRequested
) -> ActiveSubscription:
    live = now.order_paid_by(body.payment_id)
    if live is not None:
        now = replace(now, live=Capturing(live.order, live.request, live.quote, live.payment_id))
    return _moved(now, body.payment_id, PaymentStage.CAPTURE_REQUESTED, body.gateway_ref)


def _captured(now: ActiveSubscription, _: RecordedEvent, body: PaymentCaptured) -> ActiveSubscription:
    return _moved(now, body.payment_id, PaymentStage.CAPTURED, body.gateway_ref)


def _declined(now: ActiveSubscription, _: RecordedEvent, body: PaymentDeclined) -> ActiveSubscription:
    return _moved(now, body.payment_id, PaymentStage.DECLINED, body.gateway_ref)


def _void_requested(
    now: ActiveSubscription, _: RecordedEvent, body: PaymentVoidRequested
) -> ActiveSubscription:
    return _moved(now, body.payment_id, PaymentStage.VOID_REQUESTED, body.gateway_ref)


def _voided(now: ActiveSubscription, _: RecordedEvent, body: PaymentVoided) -> ActiveSubscription:
    return _moved(now, body.payment_id, PaymentStage.VOIDED, body.gateway_ref)


def _refund_requested(now: ActiveSubscription, _: RecordedEvent, body: RefundRequested) -> ActiveSubscription:
    return _moved(now, body.payment_id, PaymentStage.REFUND_REQUESTED, body.gateway_ref)


def _refunded(now: ActiveSubscription, _: RecordedEvent, body: PaymentRefunded) -> ActiveSubscription:
    return _moved(now, body.payment_id, PaymentStage.REFUNDED, body.gateway_ref)


def _tier_changed(now: ActiveSubscription, event: RecordedEvent, body: TierChanged) -> ActiveSubscription:
    return replace(
        now,
        tier=body.to_tier,
        plan=body.to_plan,
        seats=body.to_seats,
        catalog_version=event.catalog_version,
    )


def _entitled(now: ActiveSubscription, _: RecordedEvent, body: EntitlementsChanged) -> ActiveSubscription:
    if not body.on and not body.off:
        return replace(now, limits=body.limits)
    kept = tuple(feature for feature in now.features if feature not in body.off)
    return replace(now, features=(*kept, *body.on), limits=body.limits)


def _scheduled(
    now: ActiveSubscription, _: RecordedEvent, body: BillingScheduleAdjusted
) -> ActiveSubscription:
    schedule = Schedule(
        body.period_start, body.period_end, body.billing_day, body.anchor, body.items, body.invoiced
    )
    modules = tuple(item.id for item in body.items if item.id != BASE_ITEM)
    return replace(now, schedule=schedule, modules=modules)


def _rolled(now: ActiveSubscription, _: RecordedEvent, body: PeriodRolled) -> ActiveSubscription:
    return replace(now, schedule=schedule_rolled(now.schedule, body))


def _invoiced(now: ActiveSubscription, _: RecordedEvent, body: PeriodInvoiced) -> ActiveSubscription:
    return replace(now, schedule=schedule_invoiced(now.schedule, body))


def _completed(now: ActiveSubscription, event: RecordedEvent, _: OrderCompleted) -> ActiveSubscription:
    if now.arriving is not None:
        accepted_at = _newest(now, now.arriving.order)
        return replace(now, arriving=None, accepted_at=accepted_at)
    live = now.live
    if now.standing == SUSPENDED and live is not None and live.order.order_id == event.order_id:
        now = replace(now, withheld_features=live.quote.features, withheld_limits=live.quote.limits)
    return _without_live(now, event)


def _failed(now: ActiveSubscription, event: RecordedEvent, _: OrderFailed) -> ActiveSubscription:
    return _without_live(now.without_hold(event.order_id), event)


def _standing(now: ActiveSubscription, _: RecordedEvent, body: StandingChanged) -> ActiveSubscription:
    """The entitlements that this switches follow as an event of their own."""
    suspends = body.to_standing == SUSPENDED
    return replace(
        now,
        standing=body.to_standing,
        standing_told_at=body.told_at,
        withheld_features=now.features if suspends else (),
        withheld_limits=now.limits if suspends else (),
    )


def _ignored(now: ActiveSubscription, event: RecordedEvent, body: OperationIgnored) -> ActiveSubscription:
    if event.reason_code != ReasonCode.STANDING_IN_FORCE:
        return now
    return replace(now, standing_told_at=body.told_at)


def _without_live(now: ActiveSubscription, event: RecordedEvent) -> ActiveSubscription:
    if now.live is None or now.live.order.order_id != event.order_id:
        return now
    return replace(now, live=None)


def _newest(now: ActiveSubscription, order: OrderFacts) -> int:
    return max(order.received_at, now.accepted_at or order.received_at)


def _moved(
    now: ActiveSubscription, payment_id: str, stage: PaymentStage, gateway_ref: str | None
) -> ActiveSubscription:
    payments = tuple(
        replace(known, stage=stage, gateway_ref=gateway_ref or known.gateway_ref)
        if known.payment_id == payment_id
        else known
        for known in now.payments
    )
    return replace(now, payments=payments)


def _remembered(payments: tuple[Payment, ...]) -> tuple[Payment, ...]:
    """Every open payment and the latest settled ones."""
    excess = sum(payment.stage in SETTLED_STAGES for payment in payments) - SETTLED_PAYMENTS_KEPT
    if excess <= 0:
        return payments
    kept: list[Payment] = []
    for payment in payments:
        if payment.stage in SETTLED_STAGES and excess > 0:
            excess -= 1
        else:
            kept.append(payment)
    return tuple(kept)


FOLDS: Mapping[type, Fold] = {
    OrderReceived: _received,
    OrderRejected: _rejected,
    OrderHeld: _held,
    OrderSuperseded: _superseded,
    QuoteIssued: _quoted,
    PaymentRequested: _payment_requested,
    PaymentAuthorized: _authorized,
    PaymentCaptureRequested: _capture_requested,
    PaymentCaptured: _captured,
    PaymentDeclined: _declined,
    PaymentVoidRequested: _void_requested,
    PaymentVoided: _voided,
    RefundRequested: _refund_requested,
    PaymentRefunded: _refunded,
    TierChanged: _tier_changed,
    EntitlementsChanged: _entitled,
    BillingScheduleAdjusted: _scheduled,
    PeriodRolled: _rolled,
    PeriodInvoiced: _invoiced,
    OrderCompleted: _completed,
    OrderFailed: _failed,
    OrderReleased: _released,
    StandingChanged: _standing,
    OperationIgnored: _ignored,
}
