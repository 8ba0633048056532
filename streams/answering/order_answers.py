"""Which event answers a channel, and with what: pure mapping from events to replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.codec import Raw
from streams.answering.reply import Reply, ReplyAmounts, ReplyReason
from tierline.domain.commands import Origin
from tierline.domain.reasons import REASONS, ReasonCode

OUTCOMES = {
    "PaymentRequested": "in_progress",
    "OrderHeld": "held",
    "OrderCompleted": "completed",
    "OrderRejected": "rejected",
    "OrderFailed": "failed",
    "OrderSuperseded": "superseded",
    "OrderConflictDetected": "conflict",
}
ANSWERED_BY_ITSELF = frozenset({"DuplicateOrderIgnored", "StandingChanged", "OperationIgnored"})
RUNNING = frozenset({"received", "awaiting_payment", "capturing"})
WRITTEN_WITH_ORDER = ("OrderReceived", "QuoteIssued")

NEXT_ACTION = {
    "in_progress": "Wait: the answer follows when the payment is settled.",
    "held": "Wait: the order is decided when what it waits for is there.",
    "completed": "Nothing to do.",
    "superseded": "Nothing to do: a newer order took its place.",
    "conflict": "Nothing to do: this order goes on. Ask the customer if both orders were meant.",
    "validated": "Send the order without validate_only to place it.",
}
CONFLICT_WON = "Another order for this subscription was rejected because this one came first."
NOT_NOW = "As it is, this order would not be carried out: the reasons say what stands in the way."
ACCEPTED_THERE = "Nothing: the order counts as accepted. Somebody here looks at it; the answer follows."
SEND_AGAIN = "Send the order again when the cause is gone."
CORRECT = "Correct the order and send it under a new reference."


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What an answer needs from the beginning of an order: who sent it, and its price if it got one."""

    received: Mapping[str, Any]
    quote: Mapping[str, Any] | None


def facts_by_order(events: Iterable[Raw]) -> dict[str, OrderFacts]:
    """The beginnings of all orders that ``events`` hold an OrderReceived of."""
    received: dict[str, Raw] = {}
    quotes: dict[str, Raw] = {}
    for event in events:
        if event["type"] == "OrderReceived":
            received[event["order_id"]] = event
        elif event["type"] == "QuoteIssued" and event["order_id"] is not None:
            quotes[event["order_id"]] = event["body"]
    return {order_id: OrderFacts(event, quotes.get(order_id)) for order_id, event in received.items()}


def is_answer(event: Raw) -> bool:
    """Whether a channel is told about this event."""
    kind = event["type"]
    if kind == "OrderValidated":
        return bool(event["body"]["validate_only"])
    if kind == "PeriodRolled":
        return bool(event["command_type"] == "RollPeriod" and event["decision_index"] == 0)
    return kind in OUTCOMES or kind in ANSWERED_BY_ITSELF


def needs_beginning(event: Raw) -> bool:
    """Whether the answer speaks about an order, whose beginning may be in an earlier decision."""
    return event["type"] in OUTCOMES


def order_meant(event: Raw) -> str | None:
    """The order whose sender is answered; None for a question.

    At a conflict it is the one that won: the other hears its rejection.
    """
    is_conflict = event["type"] == "OrderConflictDetected"
    order_id: str | None = event["body"]["winner_order_id"] if is_conflict else event["order_id"]
    return order_id


def answer(
    event: Raw, orders: Mapping[str, OrderFacts], preview: Mapping[str, Any] | None, answered_at: int
) -> Reply:
    """The reply that ``event`` gives; ``orders`` holds the beginning of its order.

    ``preview``: the quote that follows a validated question.
    """
    kind, body = event["type"], event["body"]
    if kind == "OrderValidated":
        return _preview(event, preview, answered_at)
    if kind == "DuplicateOrderIgnored":
        outcome = _of_first(body["outcome"])
        return _reply(event, event, outcome, _reasons(body["reasons"]), None, answered_at, duplicate=True)
    if kind in {"StandingChanged", "PeriodRolled"}:
        return _reply(event, event, "completed", (), None, answered_at)
    if kind == "OperationIgnored":
        return _of_ignored(event, answered_at)
    facts = orders[order_meant(event) or ""]
    amounts = _amounts(facts.quote, body.get("charged_minor"))
    reasons = _reasons_told(event)
    if kind == "OrderCompleted":
        reasons += _notes(facts.quote)
    return _reply(facts.received, event, OUTCOMES[kind], reasons, amounts, answered_at)


def _of_ignored(event: Raw, answered_at: int) -> Reply:
    """What is in force, overtaken or repeated is as the sender wants it; an ended subscription refuses."""
    reasons = _reasons(event["body"]["reasons"])
    codes = {reason.code for reason in reasons}
    outcome = "rejected" if ReasonCode.SUBSCRIPTION_ENDED in codes else "completed"
    is_repeat = ReasonCode.OPERATION_REPEATED in codes
    return _reply(event, event, outcome, reasons, None, answered_at, duplicate=is_repeat)


def _reasons_told(event: Raw) -> tuple[ReplyReason, ...]:
    kind, body = event["type"], event["body"]
    if kind == "OrderConflictDetected":
        return (ReplyReason(ReasonCode.ORDER_CONFLICT, CONFLICT_WON, f"it came from {event['channel']}"),)
    if kind == "OrderSuperseded":
        return _reasons(_single(ReasonCode.SUPERSEDED))
    return _reasons(body.get("reasons") or _single(body.get("reason")))


def _preview(event: Raw, quote: Mapping[str, Any] | None, answered_at: int) -> Reply:
    failing = [
        {"code": verdict["rule"].upper(), "detail": verdict["detail"]}
        for verdict in event["body"]["verdicts"]
        if verdict["verdict"] == "FAIL" and verdict["severity"] in {"reject", "hold"}
    ]
    reasons = _reasons(failing) + _notes(quote)
    return _reply(event, event, "validated", reasons, _amounts(quote, None), answered_at)


def _notes(quote: Mapping[str, Any] | None) -> tuple[ReplyReason, ...]:
    """What a priced change does to modules that nobody asked to end; writers of before had no notes."""
    return () if quote is None else _reasons(quote.get("notes", ()))


def _reply(
    sent: Mapping[str, Any],
    event: Raw,
    outcome: str,
    reasons: tuple[ReplyReason, ...],
    amounts: ReplyAmounts | None,
    answered_at: int,
    *,
    duplicate: bool = False,
) -> Reply:
    retry = _retry(reasons) if outcome in {"rejected", "failed"} else None
    return Reply(
        channel=sent["channel"],
        origin=Origin(**sent["origin"]),
        intent_index=sent["intent_index"],
        intent_count=sent["intent_count"],
        outcome=outcome,
        source=sent["source"],
        reference=sent["source_ref"],
        order_id=order_meant(event),
        duplicate=duplicate,
        reasons=reasons,
        retry=retry,
        amounts=amounts,
        next_action=_next_action(outcome, reasons, retry=retry, priced=amounts is not None),
        received_at=sent["received_at"],
        decide_by=sent.get("decide_by"),
        answered_at=answered_at,
    )


def _next_action(outcome: str, reasons: Sequence[ReplyReason], *, retry: bool | None, priced: bool) -> str:
    if outcome == "validated" and reasons and not priced:
        return NOT_NOW
    if outcome == "held" and any(r.code == ReasonCode.MARKETPLACE_ALREADY_ACCEPTED for r in reasons):
        return ACCEPTED_THERE
    return NEXT_ACTION.get(outcome) or (SEND_AGAIN if retry else CORRECT)


def _of_first(outcome: str) -> str:
    return "in_progress" if outcome in RUNNING else outcome


def _single(code: str | None) -> list[dict[str, str]]:
    return [] if code is None else [{"code": code, "detail": ""}]


def _reasons(reasons: Sequence[Mapping[str, Any]]) -> tuple[ReplyReason, ...]:
    return tuple(
        ReplyReason(reason["code"], _customer_text(reason["code"]), reason["detail"] or None)
        for reason in reasons
    )


def _customer_text(code: str) -> str:
    """A code of a newer release has no text here yet."""
    known = code in ReasonCode.__members__
    return REASONS[ReasonCode(code)].customer if known else "The order could not be carried out."


def _retry(reasons: Sequence[ReplyReason]) -> bool:
    """Sending again helps where it helps against every reason; of a newer code nobody can say that."""
    helps = (r.code in ReasonCode.__members__ and REASONS[ReasonCode(r.code)].retry for r in reasons)
    return bool(reasons) and all(helps)


def _amounts(quote: Mapping[str, Any] | None, charged_minor: int | None) -> ReplyAmounts | None:
    if quote is None:
        return None
    return ReplyAmounts(quote["currency"], quote["net_minor"], quote["due_minor"], charged_minor)
