"""The promises about money, recomputed from the events alone: credit, periods, and what was given back.

Amounts are minor units. An account lies in one partition, so its events stand here in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tierline.verify.evidence import Finding, TopicEvent
from tierline.verify.invariants import TERMINAL, finding

Settled = Mapping[int, Sequence[TopicEvent]]
Row = Mapping[str, Any]

_DAY = len("2026-01-31")


def judge_money(settled: Settled) -> list[Finding]:
    """Every invariant about money."""
    return [
        credit_is_spent_once(settled),
        periods_follow_and_are_invoiced_once(settled),
        no_more_is_credited_than_was_invoiced(settled),
        nothing_but_the_quote_is_charged_and_billed(settled),
    ]


@dataclass(slots=True)
class _Credit:
    """The credit of one account, and what of it which order has set aside."""

    balance: int = 0
    reserved: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)


def credit_is_spent_once(settled: Settled) -> Finding:
    """Credit never falls below what is reserved; every reservation is used or released, once, in full.

    An order that a person released may reserve anew.
    """

    def offences() -> Iterator[str]:
        accounts: dict[str, _Credit] = {}
        ended: set[str] = set()
        for event in _in_order(settled):
            envelope = event.envelope
            if envelope["type"] in TERMINAL:
                ended.add(envelope["order_id"])
            if envelope["type"] == "OrderReleased" and envelope["account_id"] in accounts:
                accounts[envelope["account_id"]].ended.discard(envelope["order_id"])
            if envelope["type"] in _CREDIT_STEPS:
                account = accounts.setdefault(envelope["account_id"], _Credit())
                for problem in _CREDIT_STEPS[envelope["type"]](account, envelope):
                    yield f"{event.place}: account {envelope['account_id']}: {problem}"
        for name, account in accounts.items():
            for order in account.reserved.keys() & ended:
                yield f"account {name}: order {order} has ended, its credit is still reserved"

    checked = sum(event.envelope["type"] in _CREDIT_STEPS for event in _in_order(settled))
    return finding("account credit is never spent twice", checked, offences())


def _granted(account: _Credit, envelope: Mapping[str, Any]) -> Iterator[str]:
    account.balance += envelope["body"]["amount_minor"]
    yield from ()


def _reserved(account: _Credit, envelope: Mapping[str, Any]) -> Iterator[str]:
    order, amount = envelope["order_id"], envelope["body"]["amount_minor"]
    if order in account.reserved or order in account.ended:
        yield f"order {order} reserves credit again"
    free = account.balance - sum(account.reserved.values())
    if amount > free:
        yield f"order {order} reserves {amount} where {free} is free"
    account.reserved[order] = amount


def _used(account: _Credit, envelope: Mapping[str, Any]) -> Iterator[str]:
    yield from _released(account, envelope)
    account.balance -= envelope["body"]["amount_minor"]
    if account.balance < 0:
        yield f"order {envelope['order_id']} uses credit down to {account.balance}"


def _released(account: _Credit, envelope: Mapping[str, Any]) -> Iterator[str]:
    order, amount = envelope["order_id"], envelope["body"]["amount_minor"]
    held = account.reserved.pop(order, None)
    account.ended.add(order)
    if held != amount:
        yield f"order {order} gives up {amount} of credit where it has reserved {held or 0}"


_CREDIT_STEPS = {
    "CreditGranted": _granted,
    "CreditReserved": _reserved,
    "CreditUsed": _used,
    "CreditReleased": _released,
}


def periods_follow_and_are_invoiced_once(settled: Settled) -> Finding:
    """A period begins where the one before ended, and is invoiced once, for the sum of its rows."""

    def offences() -> Iterator[str]:
        in_force: dict[str, tuple[str, str]] = {}
        invoiced: set[tuple[str, str]] = set()
        for event in _in_order(settled):
            envelope, body = event.envelope, event.envelope["body"]
            subscription, kind = envelope["subscription_id"], envelope["type"]
            if kind not in _PERIODS:
                continue
            period = body["period_start"], body["period_end"]
            if kind == "PeriodRolled" and period[0] != in_force[subscription][1]:
                ended = in_force[subscription][1]
                yield f"{event.place}: {subscription} begins {period[0]}, the period before ended {ended}"
            if kind == "PeriodInvoiced":
                if period != in_force[subscription]:
                    yield f"{event.place}: {subscription} invoices {period[0]}, which is not in force"
                if (subscription, period[0]) in invoiced:
                    yield f"{event.place}: {subscription} invoices the period from {period[0]} again"
                if body["amount_minor"] != sum(row["amount_minor"] for row in body["rows"]):
                    yield f"{event.place}: {subscription} invoices {body['amount_minor']}, its rows differ"
                invoiced.add((subscription, period[0]))
            in_force[subscription] = period

    checked = sum(
        event.envelope["type"] in ("PeriodRolled", "PeriodInvoiced") for event in _in_order(settled)
    )
    return finding("each period begins and is invoiced once", checked, offences())


_PERIODS = frozenset({"SubscriptionOpened", "BillingScheduleAdjusted", "PeriodRolled", "PeriodInvoiced"})


def no_more_is_credited_than_was_invoiced(settled: Settled) -> Finding:
    """Of every row: at each instant at most its quantity is credited, in all at most its amount."""

    def offences() -> Iterator[str]:
        for event in _in_order(settled):
            for index, row in enumerate(_rows(event)):
                for problem in _overdrawn(row):
                    subscription = event.envelope["subscription_id"]
                    yield f"{event.place}: {subscription} row {index} ({row['item']}): {problem}"

    checked = sum(len(_rows(event)) for event in _in_order(settled))
    return finding("no more is credited than was invoiced", checked, offences())


def _rows(event: TopicEvent) -> Sequence[Row]:
    if event.envelope["type"] not in _PERIODS:
        return ()
    body = event.envelope["body"]
    rows: Sequence[Row] = body.get("rows") or body.get("invoiced") or ()
    return rows


def _overdrawn(row: Row) -> Iterator[str]:
    spans = row["credits"]
    given_back = sum(span["amount_minor"] for span in spans)
    if given_back > row["amount_minor"]:
        yield f"{given_back} credited of {row['amount_minor']} invoiced"
    for moment in {span["start"] for span in spans}:
        quantity = sum(span["quantity"] for span in spans if _covers(span, moment))
        if quantity > row["quantity"]:
            yield f"quantity {quantity} credited at {moment}, {row['quantity']} was invoiced"


def _covers(span: Row, moment: str) -> bool:
    """Dates and instants are compared by their day: only those of one kind tell more."""
    texts = span["start"], moment, span["end"]
    if len({len(text) > _DAY for text in texts}) > 1:
        texts = span["start"][:_DAY], moment[:_DAY], span["end"][:_DAY]
    start, at, end = texts
    return bool(start <= at < end)


def nothing_but_the_quote_is_charged_and_billed(settled: Settled) -> Finding:
    """A quote is the sum of its lines; what completes the order has its items, period and amounts."""

    def offences() -> Iterator[str]:
        quotes: dict[str, Mapping[str, Any]] = {}
        for event in _in_order(settled):
            envelope, body = event.envelope, event.envelope["body"]
            order, kind = envelope["order_id"], envelope["type"]
            if kind == "QuoteIssued":
                quotes |= {} if order is None else {order: body}
                problems = _unlike_its_lines(body)
            elif kind == "BillingScheduleAdjusted" and order in quotes:
                problems = _unlike_its_quote(body, quotes[order], _BILLED)
            elif kind == "OrderCompleted" and body["reason"] is None:
                charged = {"due_minor": body["charged_minor"]}
                problems = _unlike_its_quote(charged, quotes.get(order, {}), ("due_minor",))
            else:
                continue
            for problem in problems:
                yield f"{event.place}: {envelope['subscription_id']} {problem}"

    checked = sum(event.envelope["type"] in _QUOTED for event in _in_order(settled))
    return finding("nothing but the quote is charged and billed", checked, offences())


_QUOTED = frozenset({"QuoteIssued", "BillingScheduleAdjusted", "OrderCompleted"})
_BILLED = ("items", "period_start", "period_end", "next_billing_date", "next_billing_minor")


def _unlike_its_lines(quote: Row) -> Iterator[str]:
    lines = sum(line["amount_minor"] for line in quote["lines"])
    if quote["net_minor"] != lines:
        yield f"quote {quote['quote_id']}: net {quote['net_minor']}, its lines make {lines}"
    paid = quote["due_minor"] + quote["credit_used_minor"] + quote["carried_minor"]
    if paid != max(0, lines):
        yield f"quote {quote['quote_id']}: due, credit and carried make {paid}, its lines {lines}"


def _unlike_its_quote(told: Row, quote: Row, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if told[name] != quote.get(name):
            yield f"has {name} {told[name]}, quoted was {quote.get(name)}"


def _in_order(settled: Settled) -> Iterable[TopicEvent]:
    for events in settled.values():
        yield from events
