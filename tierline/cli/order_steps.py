"""One line for each thing that happened to an order. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from rich.text import Text

from tierline.domain.money import Money
from tierline.kit.money_text import format_money

Row = Mapping[str, Any]

_REFERENCE_COLUMN = 72
_AMOUNT_COLUMN = 96
_ITEM_WIDTH = 8
_PASSED = "PASS"
_MEANINGS = {
    "reject": "against",
    "hold": "to be held",
    "warn": "warned",
    "shadow": "would object in the shadow",
}
# The completing event of the same decision sums these up.
_SUMMED_UP = frozenset({"TierChanged", "EntitlementsChanged", "BillingScheduleAdjusted"})


def step_lines(steps: Sequence[Row], order: Row) -> Iterator[Text]:
    """The timeline of ``order``, each day under its date."""
    shown: date | None = None
    summed_up: dict[str, Row] = {}
    for step in steps:
        body = step["body"] or {}
        if step["type"] in _SUMMED_UP:
            summed_up[step["type"]] = body
            continue
        # The broker's clock, not the decider's: what is told is when the order came in.
        at = order["received_at"] if step["type"] == "OrderReceived" else step["recorded_at"]
        moment = datetime.fromtimestamp(at / 1000, UTC)
        if moment.date() != shown:
            shown = moment.date()
            yield Text(f"\n {shown}, times in UTC")
        yield from _told(moment, step, order, summed_up)


def _told(moment: datetime, step: Row, order: Row, summed_up: Mapping[str, Row]) -> Iterator[Text]:
    kind: str = step["type"]
    body = step["body"]
    if body is None:
        yield _line(moment, kind, "its particulars are not in the audit trail")
    elif kind == "OrderCompleted":
        yield _line(moment, "completed", _completed(body, summed_up))
    elif kind == "OrderReceived":
        yield _line(moment, "received", _received(order), _origin(step, body))
    elif kind in _STEPS:
        word, sentence, reference = _STEPS[kind]
        yield _line(moment, word, sentence(step, body), reference(step, body))
    else:
        yield _line(moment, _WITH_REASONS.get(kind, kind), "")
    for reason in _reasons(body or {}):
        yield Text(f"{'':17}{reason}")
    if kind == "QuoteIssued" and body is not None:
        width = max((len(line["item"]) for line in body["lines"]), default=0)
        yield from (_quote_line(line, body["currency"], width) for line in body["lines"])


def _line(moment: datetime, word: str, sentence: str, reference: str = "") -> Text:
    text = f"  {moment:%H:%M:%S}.{moment.microsecond // 1000:03d}  {word:<13} {sentence}"
    return Text(f"{text:<{_REFERENCE_COLUMN}}   {reference}".rstrip())


def _quote_line(line: Row, currency: str, width: int) -> Text:
    span = f"{line['start'][:10]} → {line['end'][:10]}"
    item = f"{line['item']:<{max(width, _ITEM_WIDTH)}}"
    left = f"{'':17}{line['kind']:<7} {item} {span}   {line['formula']}"
    return Text(f"{left:<{_AMOUNT_COLUMN - 14}} {_money(line['amount_minor'], currency):>14}")


def _received(order: Row) -> str:
    item = f", item {order['intent_index'] + 1} of {order['intent_count']}"
    return f"{order['channel']}{item if order['intent_count'] > 1 else ''}"


def _origin(step: Row, _body: Row) -> str:
    if step["origin_topic"] is None:
        return ""
    return f"{step['origin_topic']}[{step['origin_partition']}]@{step['origin_offset']}"


def _verdicts(_step: Row, body: Row) -> str:
    rules: dict[str, list[str]] = defaultdict(list)
    for verdict in body["verdicts"]:
        rules[_meaning(verdict)].append(_rule(verdict))
    passed = len(rules.pop(_PASSED, ()))
    parts = [_count(passed, "rule passes", "rules pass")] if passed else []
    parts += [f"{len(named)} {meaning} ({', '.join(named)})" for meaning, named in rules.items()]
    return ", ".join(parts) or "no rule was asked"


def _meaning(verdict: Row) -> str:
    if verdict["verdict"] == _PASSED:
        return _PASSED
    if verdict["verdict"] == "ERROR":
        return "not answered"
    return _MEANINGS.get(verdict["severity"], str(verdict["severity"]))


def _rule(verdict: Row) -> str:
    """The rule, with what it found where no reason of the order says it again."""
    silent = verdict["verdict"] == "FAIL" and verdict["severity"] in ("warn", "shadow")
    return f"{verdict['rule']}: {verdict['detail']}" if silent and verdict["detail"] else str(verdict["rule"])


def _quoted(_step: Row, body: Row) -> str:
    until = datetime.fromtimestamp(body["expires_at"] / 1000, UTC)
    due = f"{_money(body['due_minor'], body['currency'])} due now"
    if body["credit_used_minor"]:
        due += f" after {_money(body['credit_used_minor'], body['currency'])} of credit"
    return f"{due}, holds until {until:%H:%M}"


def _amount(_step: Row, body: Row) -> str:
    return _money(body["amount_minor"], body["currency"])


def _rolled(_step: Row, body: Row) -> str:
    return f"{_span(body)}, the one before had ended"


def _invoiced(_step: Row, body: Row) -> str:
    return f"{_money(body['amount_minor'], body['currency'])} for {_span(body)}"


def _span(body: Row) -> str:
    return f"{body['period_start'][:10]} → {body['period_end'][:10]}"


def _credit(what: str) -> Callable[[Row, Row], str]:
    return lambda step, body: f"{_amount(step, body)} {what}"


def _reasons(body: Row) -> list[str]:
    reasons = body.get("reasons") or body.get("notes")
    if not isinstance(reasons, list):
        return []
    return [f"{r.get('code')!s:<20}  {r.get('detail')}" for r in reasons if isinstance(r, Mapping)]


def _duplicate(step: Row, body: Row) -> str:
    return f"the same order came again through {step['channel']} while it stood at: {body['outcome']}"


def _conflict(_step: Row, body: Row) -> str:
    return f"an order from {body['winner_channel']} came first"


def _released(step: Row, body: Row) -> str:
    return f"by {step['actor'] or 'an operator'}: {body['reason']}"


def _completed(body: Row, summed_up: Mapping[str, Row]) -> str:
    if body.get("reason"):
        return f"{body['reason']}: nothing had to change, nothing was charged"
    parts = []
    if tier := summed_up.get("TierChanged"):
        stays = tier["from_tier"] == tier["to_tier"]
        parts.append(f"tier {tier['to_tier']}" if stays else f"tier {tier['from_tier']} → {tier['to_tier']}")
    if features := summed_up.get("EntitlementsChanged"):
        parts += [
            f"{_count(len(features[switched]), 'feature', 'features')} {switched}"
            for switched in ("on", "off")
            if features[switched]
        ]
    if billing := summed_up.get("BillingScheduleAdjusted"):
        amount = _money(billing["next_billing_minor"], billing["currency"])
        parts.append(f"next bill {billing['next_billing_date'][:10]} {amount}")
    return ", ".join(parts)


def _nothing(_step: Row, _body: Row) -> str:
    return ""


def _field(name: str) -> Callable[[Row, Row], str]:
    return lambda _step, body: str(body[name] or "")


_WITH_REASONS = {"OrderHeld": "held", "OrderRejected": "rejected", "OrderFailed": "failed"}
_GATEWAY = _field("gateway_ref")
_STEPS: dict[str, tuple[str, Callable[[Row, Row], str], Callable[[Row, Row], str]]] = {
    "OrderValidated": ("validated", _verdicts, _nothing),
    "QuoteIssued": ("quoted", _quoted, _field("quote_id")),
    "OrderConflictDetected": ("conflict", _conflict, _field("winner_order_id")),
    "OrderSuperseded": ("superseded", lambda _s, _b: "by a newer order", _field("by_order_id")),
    "DuplicateOrderIgnored": ("duplicate", _duplicate, _origin),
    "PaymentRequested": ("asked to pay", _amount, _field("payment_id")),
    "PaymentAuthorized": ("authorised", _amount, _GATEWAY),
    "PaymentCaptureRequested": ("capturing", _amount, _GATEWAY),
    "PaymentCaptured": ("captured", _amount, _GATEWAY),
    "PaymentDeclined": ("declined", _field("code"), _GATEWAY),
    "PaymentVoidRequested": ("void asked", _nothing, _GATEWAY),
    "PaymentVoided": ("voided", _nothing, _GATEWAY),
    "RefundRequested": ("refund asked", _amount, _GATEWAY),
    "PaymentRefunded": ("refunded", _amount, _GATEWAY),
    "OrderReleased": ("released", _released, _nothing),
    "PeriodRolled": ("new period", _rolled, _nothing),
    "PeriodInvoiced": ("invoiced", _invoiced, _nothing),
    "CreditGranted": ("credit", _credit("added to the account's credit"), _nothing),
    "CreditReserved": ("credit", _credit("of the account's credit set aside for this order"), _nothing),
    "CreditUsed": ("credit", _credit("of the account's credit used"), _nothing),
    "CreditReleased": ("credit", _credit("of the account's credit free again"), _nothing),
}


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _money(minor: int, currency: str) -> str:
    return format_money(Money(minor, currency))
