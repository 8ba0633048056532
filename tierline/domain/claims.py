"""Claims: which asks were seen before, and how they ended.

A claim is one attempt of a command id. The rules of identity, in this order, for an order:

1. The same origin again is a redelivery: nothing happens.
2. Same reference and content from another origin: ignored once per origin, answered with the outcome of
   the attempt that had this content.
3. Same reference, other content: a new attempt when the latest one was rejected or failed, else the
   reference is reused and the order is rejected under an id of its own.

A question (``validate_only``) is answered afresh whenever it is asked from another origin. An opening
that was rejected may be sent again as it is, because its cause may lie outside of it; with other content
it is a new attempt, so that its rejection is not taken for the first one's success. A payment result with
other content is something new that the gateway says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tierline.domain.commands import Command, OpenSubscription, Origin, PlaceOrder
from tierline.domain.events import (
    DuplicateOrderIgnored,
    Event,
    EventBody,
    OperationIgnored,
    OrderCompleted,
    OrderFailed,
    OrderHeld,
    OrderReceived,
    OrderRejected,
    OrderReleased,
    OrderReviewRefused,
    OrderSuperseded,
    OrderValidated,
    PaymentCaptureRequested,
    PaymentRequested,
    RecordedEvent,
    SubscriptionOpened,
    SubscriptionOpeningRejected,
)
from tierline.domain.identity import order_id_of, uuid_of
from tierline.domain.reasons import ReasonCode
from tierline.domain.values import quickly_made

RECEIVED = "received"
HELD = "held"
AWAITING_PAYMENT = "awaiting_payment"
CAPTURING = "capturing"
COMPLETED = "completed"
REJECTED = "rejected"
FAILED = "failed"
SUPERSEDED = "superseded"
PREVIEWED = "previewed"
OPENED = "opened"
RECORDED = "recorded"

OPEN_TO_OTHER_CONTENT = frozenset({REJECTED, FAILED})


@quickly_made
@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt of a command: its content (``digest``, hex), its order if it made one, where that stands.

    ``reasons``: codes of ``ReasonCode``.
    """

    command_id: str
    attempt: int
    digest: str
    order_id: str | None
    outcome: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Redelivery:
    """The very record was seen before."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same ask from another origin; ``claim`` is the attempt that had this content."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class ReferenceReused:
    """Another ask under a reference that is taken; ``order_id`` is the one to reject it under."""

    claim: Claim
    order_id: str


@quickly_made
@dataclass(frozen=True, slots=True)
class NewAttempt:
    """To be decided. ``order_id`` is None for what makes no order."""

    attempt: int
    order_id: str | None


Identity = Redelivery | Repeat | ReferenceReused | NewAttempt


def identify(command: Command, claims: Sequence[Claim], origins: Collection[Origin]) -> Identity:
    """Who is this? ``claims``: all attempts of the command's id; ``origins``: all places it came from."""
    latest = max(claims, key=lambda claim: claim.attempt, default=None)
    if latest is None:
        return _attempt(command, 1)
    if command.origin in origins:
        return Redelivery(latest.attempt)
    if _is_question(command):
        return _attempt(command, latest.attempt + 1)
    same = max(
        (claim for claim in claims if claim.digest == command.digest),
        key=lambda claim: claim.attempt,
        default=None,
    )
    if same is not None and not (isinstance(command.body, OpenSubscription) and same.outcome == REJECTED):
        return Repeat(same)
    if latest.outcome in OPEN_TO_OTHER_CONTENT or not isinstance(command.body, PlaceOrder):
        return _attempt(command, latest.attempt + 1)
    return ReferenceReused(latest, _order_id_of_reuse(command))


def attempt_of(identity: Identity) -> int:
    """The attempt that the events of the decision name."""
    match identity:
        case Redelivery(attempt=attempt) | NewAttempt(attempt=attempt):
            return attempt
        case Repeat(claim=claim) | ReferenceReused(claim=claim):
            return claim.attempt


@quickly_made
@dataclass(frozen=True, slots=True)
class OrderMoved:
    """Another order that a decision moved: its claim gets this outcome."""

    order_id: str
    outcome: str
    reasons: tuple[str, ...]


@quickly_made
@dataclass(frozen=True, slots=True)
class ClaimChanges:
    """What a decision means for the claims.

    ``claim``: a new attempt to store. ``origin_attempt``: store the command's origin under this attempt.
    """

    claim: Claim | None
    origin_attempt: int | None
    moved: tuple[OrderMoved, ...]


NO_CHANGES = ClaimChanges(None, None, ())


def claim_changes(command: Command, identity: Identity, events: Sequence[Event]) -> ClaimChanges:
    """The claims after a decision; a quiet one changes none, and only a new attempt moves orders."""
    if not events or isinstance(identity, Redelivery):
        return NO_CHANGES
    if not isinstance(identity, NewAttempt):
        return ClaimChanges(None, attempt_of(identity), ())
    return _attempted(command.command_id, command.digest, identity, events, is_question=_is_question(command))


def claim_changes_of(decision: Sequence[RecordedEvent]) -> ClaimChanges:
    """The same, from the recorded events of one whole decision: how claims are rebuilt from the topic."""
    first = decision[0]
    events = tuple(Event("subscription", event.body, event.order_id) for event in decision)
    own = order_id_of(first.command_id, first.attempt)
    received = [event.order_id for event in events if isinstance(event.body, OrderReceived)]
    if _tells_a_repeat(events[0].body) or (received and own not in received):
        return ClaimChanges(None, first.attempt, ())
    identity = NewAttempt(first.attempt, own if received else None)
    is_question = any(isinstance(e.body, OrderValidated) and e.body.validate_only for e in events)
    return _attempted(first.command_id, first.digest, identity, events, is_question=is_question)


def _tells_a_repeat(body: EventBody) -> bool:
    match body:
        case DuplicateOrderIgnored():
            return True
        case OperationIgnored(reasons=reasons):
            return reasons[0].code == ReasonCode.OPERATION_REPEATED
        case _:
            return False


def _attempted(
    command_id: str, digest: str, identity: NewAttempt, events: Sequence[Event], *, is_question: bool
) -> ClaimChanges:
    moved = _moved_orders(events)
    outcome, reasons = _own_outcome(identity.order_id, events, moved, is_question=is_question)
    claim = Claim(command_id, identity.attempt, digest, identity.order_id, outcome, reasons)
    others = tuple(move for move in moved.values() if move.order_id != identity.order_id)
    return ClaimChanges(claim, identity.attempt, others)


def _attempt(command: Command, attempt: int) -> NewAttempt:
    makes_order = isinstance(command.body, PlaceOrder) and not command.body.validate_only
    return NewAttempt(attempt, order_id_of(command.command_id, attempt) if makes_order else None)


def _is_question(command: Command) -> bool:
    return isinstance(command.body, PlaceOrder) and command.body.validate_only


def _order_id_of_reuse(command: Command) -> str:
    origin = command.origin
    return uuid_of("order", command.command_id, origin.topic, str(origin.partition), str(origin.offset))


def _own_outcome(
    order_id: str | None, events: Sequence[Event], moved: Mapping[str, OrderMoved], *, is_question: bool
) -> tuple[str, tuple[str, ...]]:
    if order_id is not None:
        own = moved[order_id]
        return own.outcome, own.reasons
    if is_question:
        return PREVIEWED, ()
    for event in events:
        match event.body:
            case SubscriptionOpened():
                return OPENED, ()
            case SubscriptionOpeningRejected(reasons=reasons) | OrderReviewRefused(reasons=reasons):
                return REJECTED, tuple(reason.code for reason in reasons)
            case _:
                continue
    return RECORDED, ()


def _moved_orders(events: Sequence[Event]) -> dict[str, OrderMoved]:
    """The last outcome that a decision gives each order it names."""
    moved: dict[str, OrderMoved] = {}
    for event in events:
        outcome = _OUTCOMES.get(type(event.body))
        if outcome is not None and event.order_id is not None:
            moved[event.order_id] = OrderMoved(event.order_id, outcome, _reason_codes(event.body))
    return moved


def _reason_codes(body: EventBody) -> tuple[str, ...]:
    match body:
        case OrderRejected(reasons=reasons) | OrderFailed(reasons=reasons) | OrderHeld(reasons=reasons):
            return tuple(reason.code for reason in reasons)
        case OrderCompleted(reason=str() as reason):
            return (reason,)
        case OrderSuperseded():
            return (ReasonCode.SUPERSEDED.value,)
        case _:
            return ()


_OUTCOMES: Mapping[type, str] = {
    OrderReceived: RECEIVED,
    OrderReleased: RECEIVED,
    OrderHeld: HELD,
    PaymentRequested: AWAITING_PAYMENT,
    PaymentCaptureRequested: CAPTURING,
    OrderCompleted: COMPLETED,
    OrderRejected: REJECTED,
    OrderFailed: FAILED,
    OrderSuperseded: SUPERSEDED,
}
