"""What the gateway says about a payment, whenever it says it: never applied to an order that has ended.

A result is judged by where its payment stands, so late, repeated and overtaking ones are harmless:

| result     | its order is live                   | its order has ended | quiet for a payment      |
|------------|-------------------------------------|---------------------|--------------------------|
| authorized | the capture is asked for            | a void is asked for | authorized or captured   |
| captured   | the order is completed              | a refund is         | captured                 |
| declined   | the order fails, a hold is released | noted               | declined, voided, captured |
| voided     | the order fails                     | noted               | voided, captured         |
| refunded   | the order fails                     | noted               | refunded                 |

"Captured" includes what follows it: a refund asked for or done. An order whose sender has taken silence for a
yes does not fail: it goes on hold, and its release asks for another payment.

An amount or currency other than the one asked for is never applied: the money is given back and the order
fails. A capture that overtakes its authorization completes the order: the money asked for was taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tierline.domain.about import about, reason_code
from tierline.domain.account_credit import released_from
from tierline.domain.activation import completing_events
from tierline.domain.claims import NewAttempt
from tierline.domain.commands import Command, RecordPaymentResult
from tierline.domain.context import Context
from tierline.domain.events import (
    Event,
    EventBody,
    OrderFailed,
    OrderHeld,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureRequested,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
    PaymentVoidRequested,
    Reason,
    RefundRequested,
)
from tierline.domain.invariant import BrokenInvariant
from tierline.domain.reasons import ReasonCode
from tierline.domain.silence import accepted_by_silence
from tierline.domain.state import State, addressed
from tierline.domain.subscription import ActiveSubscription, PaidOrder, Payment, PaymentStage
from tierline.domain.values import replace

CAPTURED_OR_FURTHER = frozenset({PaymentStage.CAPTURED, PaymentStage.REFUND_REQUESTED, PaymentStage.REFUNDED})
AUTHORIZED_OR_FURTHER = CAPTURED_OR_FURTHER | {PaymentStage.AUTHORIZED, PaymentStage.CAPTURE_REQUESTED}
VOIDED_OR_CAPTURED = CAPTURED_OR_FURTHER | {PaymentStage.VOIDED}
HELD_AT_GATEWAY = frozenset({PaymentStage.AUTHORIZED, PaymentStage.CAPTURE_REQUESTED})


def decide_payment_result(
    state: State, command: Command, result: RecordPaymentResult, context: Context
) -> tuple[Event, ...]:
    """What a result means. () for one that was heard before or that a later one has overtaken."""
    _, subscription = addressed(state, command)
    if not isinstance(context.identity, NewAttempt):
        return ()
    payment = subscription.payment(result.payment_id)
    if payment is None:
        raise BrokenInvariant(f"result for payment {result.payment_id}, which nobody asked for")
    quiet, decide = RESULTS[result.status]
    if payment.stage in quiet:
        return ()
    events = decide(subscription, payment, result)
    live = subscription.order_paid_by(payment.payment_id)
    accepted = () if live is None else accepted_by_silence(live.order.decide_by, context.now)
    return tuple(_never_failed(event, accepted) for event in events) if accepted else events


def _never_failed(event: Event, accepted: tuple[Reason, ...]) -> Event:
    if not isinstance(event.body, OrderFailed):
        return event
    held = OrderHeld((*accepted, *event.body.reasons))
    return replace(event, body=held, reason_code=reason_code(held))


def _authorized(now: ActiveSubscription, payment: Payment, result: RecordPaymentResult) -> tuple[Event, ...]:
    told = PaymentAuthorized(payment.payment_id, result.gateway_ref, result.amount_minor, result.currency)
    live = now.order_paid_by(payment.payment_id)
    if live is None:
        return about(payment.order_id, told, _void(payment, result))
    if not _is_as_asked(payment, result):
        return about(payment.order_id, told, _void(payment, result)) + _mismatched(live, payment, result)
    capture = PaymentCaptureRequested(
        payment.payment_id, result.gateway_ref, payment.amount_minor, payment.currency
    )
    return about(payment.order_id, told, capture)


def _captured(now: ActiveSubscription, payment: Payment, result: RecordPaymentResult) -> tuple[Event, ...]:
    told = PaymentCaptured(payment.payment_id, result.gateway_ref, result.amount_minor, result.currency)
    refund = RefundRequested(payment.payment_id, result.gateway_ref, result.amount_minor, result.currency)
    live = now.order_paid_by(payment.payment_id)
    if live is None:
        return about(payment.order_id, told, refund)
    if not _is_as_asked(payment, result):
        return about(payment.order_id, told, refund) + _mismatched(live, payment, result)
    order = live.order
    return about(payment.order_id, told) + completing_events(
        now, order.order_id, live.quote, order.received_at
    )


def _declined(now: ActiveSubscription, payment: Payment, result: RecordPaymentResult) -> tuple[Event, ...]:
    code = result.code or ""
    told = PaymentDeclined(payment.payment_id, result.gateway_ref, code)
    live = now.order_paid_by(payment.payment_id)
    if live is None:
        return about(payment.order_id, told)
    if payment.stage in HELD_AT_GATEWAY:
        told_and_void = about(payment.order_id, told, _void(payment, result))
        return told_and_void + _failed(live, ReasonCode.PAYMENT_DECLINED, code)
    return about(payment.order_id, told) + _failed(live, ReasonCode.PAYMENT_DECLINED, code)


def _voided(now: ActiveSubscription, payment: Payment, result: RecordPaymentResult) -> tuple[Event, ...]:
    return _given_back(now, payment, PaymentVoided(payment.payment_id, result.gateway_ref), "voided")


def _refunded(now: ActiveSubscription, payment: Payment, result: RecordPaymentResult) -> tuple[Event, ...]:
    told = PaymentRefunded(payment.payment_id, result.gateway_ref, result.amount_minor, result.currency)
    return _given_back(now, payment, told, "refunded")


def _given_back(now: ActiveSubscription, payment: Payment, told: EventBody, word: str) -> tuple[Event, ...]:
    live = now.order_paid_by(payment.payment_id)
    if live is None:
        return about(payment.order_id, told)
    detail = f"the gateway {word} the payment"
    return about(payment.order_id, told) + _failed(live, ReasonCode.PAYMENT_DECLINED, detail)


def _is_as_asked(payment: Payment, result: RecordPaymentResult) -> bool:
    return (payment.amount_minor, payment.currency) == (result.amount_minor, result.currency)


def _void(payment: Payment, result: RecordPaymentResult) -> PaymentVoidRequested:
    return PaymentVoidRequested(payment.payment_id, result.gateway_ref or payment.gateway_ref)


def _mismatched(live: PaidOrder, payment: Payment, result: RecordPaymentResult) -> tuple[Event, ...]:
    asked = f"{payment.amount_minor} {payment.currency}"
    detail = f"asked for {asked}, the gateway {result.status} {result.amount_minor} {result.currency}"
    return _failed(live, ReasonCode.PAYMENT_MISMATCH, detail)


def _failed(live: PaidOrder, code: ReasonCode, detail: str) -> tuple[Event, ...]:
    order_id = live.order.order_id
    return released_from(order_id, live.quote) + about(order_id, OrderFailed((Reason(code, detail),)))


Result = Callable[[ActiveSubscription, Payment, RecordPaymentResult], tuple[Event, ...]]

RESULTS: Mapping[str, tuple[frozenset[PaymentStage], Result]] = {
    "authorized": (AUTHORIZED_OR_FURTHER, _authorized),
    "captured": (CAPTURED_OR_FURTHER, _captured),
    "declined": (VOIDED_OR_CAPTURED | {PaymentStage.DECLINED}, _declined),
    "voided": (VOIDED_OR_CAPTURED, _voided),
    "refunded": (frozenset({PaymentStage.REFUNDED}), _refunded),
}
STATUSES = tuple(RESULTS)
