"""Placing an order: who is it, what does it meet, may it be, what does it cost, who pays."""

from __future__ import annotations

from tierline.domain.about import about
from tierline.domain.account import GATEWAY
from tierline.domain.account_credit import reserved_for
from tierline.domain.activation import completing_events
from tierline.domain.assessment import Assessment, assess, in_force, may_be_sent_again
from tierline.domain.claims import Claim, NewAttempt, Redelivery, ReferenceReused, Repeat, attempt_of
from tierline.domain.commands import Command, PlaceOrder
from tierline.domain.context import Context
from tierline.domain.events import (
    DuplicateOrderIgnored,
    Event,
    EventBody,
    OrderCompleted,
    OrderConflictDetected,
    OrderHeld,
    OrderReceived,
    OrderRejected,
    OrderReleased,
    OrderValidated,
    PaymentRequested,
    QuoteIssued,
    Reason,
)
from tierline.domain.identity import payment_id_of, uuid_of
from tierline.domain.invariant import BrokenInvariant
from tierline.domain.moments import ms_of_instant
from tierline.domain.pending import Conflict, superseded_by_accepted, superseded_by_held
from tierline.domain.proposal import Target, Unchanged, asked
from tierline.domain.quoting import issue_quote
from tierline.domain.reasons import ReasonCode
from tierline.domain.silence import accepted_by_silence
from tierline.domain.state import State, addressed
from tierline.domain.values import replace


def decide_order(state: State, command: Command, request: PlaceOrder, context: Context) -> tuple[Event, ...]:
    """The decision about an order; about a question (``validate_only``) the answer to it.

    () only for a redelivery. Every failing reason is named, not only the first.
    """
    account, subscription = addressed(state, command)
    match context.identity:
        case Redelivery():
            return ()
        case Repeat(claim=claim):
            return (_duplicate(claim),)
        case ReferenceReused(claim=claim, order_id=order_id):
            return _reference_reused(order_id, claim, command, request, context)
        case NewAttempt(order_id=order_id):
            order = asked(account, subscription, context, command, request)
            assessment = assess(order, context.policy)
            if order_id is None:
                return _answered(assessment, context)
            return placed(order_id, _received(request), assessment, context)


def _duplicate(claim: Claim) -> Event:
    reasons = tuple(Reason(code, "") for code in claim.reasons)
    return Event("subscription", DuplicateOrderIgnored(claim.outcome, reasons), claim.order_id)


def _reference_reused(
    order_id: str, claim: Claim, command: Command, request: PlaceOrder, context: Context
) -> tuple[Event, ...]:
    reason = Reason(ReasonCode.REFERENCE_REUSED, f"the order that has it is {claim.outcome}")
    accepted = accepted_by_silence(command.decide_by, context.now)
    ending = (OrderHeld((*accepted, reason)),) if accepted else _rejection((reason,))
    return about(order_id, _received(request), *ending)


def placed(
    order_id: str,
    arrival: OrderReceived | OrderReleased,
    assessment: Assessment,
    context: Context,
    payments: int = 0,
) -> tuple[Event, ...]:
    """The decision about an order that arrives: from a channel, or from being on hold.

    ``payments``: how many were asked for it before, in vain.
    """
    validated = OrderValidated(assessment.verdicts, validate_only=False)
    accepted_there = accepted_by_silence(assessment.order.command.decide_by, context.now)
    if assessment.failing and accepted_there:
        return about(order_id, arrival, OrderHeld(accepted_there + assessment.failing))
    if assessment.rejecting:
        conflict = _conflict(assessment)
        return about(order_id, arrival, *conflict, validated, *_rejection(assessment.failing))
    if assessment.holding:
        is_kept = assessment.order.command.decide_by is not None
        superseded = () if is_kept else superseded_by_held(assessment.meeting, order_id)
        return superseded + about(order_id, arrival, OrderHeld(assessment.holding))
    superseded = superseded_by_accepted(assessment.meeting, order_id)
    match assessment.proposal:
        case Unchanged():
            return superseded + about(order_id, arrival, validated, _already_in_force(assessment))
        case Target() as target:
            rolled = tuple(replace(event, order_id=order_id) for event in assessment.order.rolled)
            accepted = superseded + about(order_id, arrival) + rolled + about(order_id, validated)
            return accepted + _carried_out(order_id, assessment, target, context, payments)
        case _:
            raise BrokenInvariant(f"order {order_id} is impossible and yet nothing speaks against it")


def _carried_out(
    order_id: str, assessment: Assessment, target: Target, context: Context, payments: int
) -> tuple[Event, ...]:
    order = assessment.order
    quote_id = uuid_of("quote", order_id, str(payments)) if payments else uuid_of("quote", order_id)
    quote = _quote(quote_id, assessment, target, context, validate_only=False)
    quoted = _quoted(quote, order_id) + reserved_for(order_id, quote)
    if order.account.payment == GATEWAY and quote.due_minor > 0:
        payment = PaymentRequested(
            payment_id_of(order_id, payments + 1),
            quote.due_minor,
            quote.currency,
            order.request.payment_method,
        )
        asked_for = Event("subscription", payment, order_id, catalog_version=quote.catalog_version or None)
        return (*quoted, asked_for)
    return quoted + completing_events(order.subscription, order_id, quote, order.command.received_at)


def _answered(assessment: Assessment, context: Context) -> tuple[Event, ...]:
    reason = assessment.failing[0].code if assessment.failing else None
    validated = OrderValidated(assessment.verdicts, validate_only=True)
    events: tuple[Event, ...] = (Event("subscription", validated, reason_code=reason),)
    target = assessment.proposal
    if assessment.failing or not isinstance(target, Target):
        return events
    quote_id = uuid_of("quote", assessment.order.command.command_id, str(attempt_of(context.identity)))
    quote = _quote(quote_id, assessment, target, context, validate_only=True)
    return events + _quoted(quote)


def _quoted(quote: QuoteIssued, order_id: str | None = None) -> tuple[Event, ...]:
    return (Event("subscription", quote, order_id, catalog_version=quote.catalog_version),)


def _quote(
    quote_id: str, assessment: Assessment, target: Target, context: Context, *, validate_only: bool
) -> QuoteIssued:
    order = assessment.order
    at = ms_of_instant(order.at)
    return issue_quote(
        quote_id,
        target.quote,
        target.plan,
        target.seats,
        order.subscription.schedule,
        context.now,
        validate_only=validate_only,
        effective_at=None if at == order.command.received_at else at,
        catalog_version=target.catalog.version,
        features=target.catalog.features(target.plan, target.choice.modules),
        notes=target.choice.notes,
    )


def _conflict(assessment: Assessment) -> tuple[EventBody, ...]:
    if not isinstance(assessment.meeting, Conflict):
        return ()
    winner = assessment.meeting.winner
    return (OrderConflictDetected(winner.order_id, winner.channel),)


def _already_in_force(assessment: Assessment) -> OrderCompleted:
    subscription = assessment.order.subscription
    return OrderCompleted(
        subscription.tier,
        subscription.plan,
        subscription.seats,
        charged_minor=0,
        currency=subscription.currency,
        reason=in_force(assessment.order).code,
    )


def _received(request: PlaceOrder) -> OrderReceived:
    return OrderReceived(
        request.plan,
        request.seats,
        request.modules,
        request.effective,
        request.payment_method,
        request.requested_by,
        request.requested_at,
        request.modules_complete,
    )


def _rejection(reasons: tuple[Reason, ...]) -> tuple[EventBody, ...]:
    return (OrderRejected(reasons, retry=may_be_sent_again(reasons)),)
