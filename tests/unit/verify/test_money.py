"""The checker's own reading of credit, periods and invoiced rows finds what breaks a promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tierline.verify.evidence import Place, TopicEvent
from tierline.verify.money import judge_money

Step = tuple[str, str | None, dict[str, Any]]


def log_of(*steps: Step) -> dict[int, Sequence[TopicEvent]]:
    """Events of one account and subscription: type, order, body."""
    events = []
    for position, (kind, order, body) in enumerate(steps):
        envelope = {
            "type": kind,
            "order_id": order,
            "account_id": "acc_204",
            "subscription_id": "sub_88",
            "body": body,
        }
        events.append(TopicEvent(Place("oms.events.v1", 2, position), position, b"h", kind, b"v", envelope))
    return {2: events}


def offences(*steps: Step) -> list[str]:
    """The first offence of each invariant that is broken."""
    return [found.first for found in judge_money(log_of(*steps)) if found.first is not None]


def credit(kind: str, order: str | None, minor: int) -> Step:
    """A credit event."""
    return (f"Credit{kind}", order, {"amount_minor": minor, "currency": "EUR"})


def period(kind: str, start: str, end: str, *rows: dict[str, Any], **body: Any) -> Step:
    """An event that names a period."""
    name = "rows" if kind == "PeriodInvoiced" else "invoiced"
    return (kind, None, {"period_start": start, "period_end": end, name: list(rows), **body})


def row(minor: int, quantity: int, *given_back: tuple[str, str, int, int]) -> dict[str, Any]:
    """An invoiced row; credits are start, end, quantity, amount."""
    names = ("start", "end", "quantity", "amount_minor")
    spans = [dict(zip(names, span, strict=True)) for span in given_back]
    return {"item": "base", "amount_minor": minor, "quantity": quantity, "credits": spans}


def quoted(net: int, *amounts: int, order: str | None = "a", due: int = 0, **body: int) -> Step:
    """A quote with lines of these amounts, for one module beside the plan."""
    facts = {
        "quote_id": "q-1",
        "lines": [{"amount_minor": amount} for amount in amounts],
        "net_minor": net,
        "due_minor": due,
        "credit_used_minor": 0,
        "carried_minor": 0,
    }
    return ("QuoteIssued", order, facts | BILLED | body)


def billed(**body: Any) -> Step:
    """The schedule that the quote promised, but for ``body``."""
    return ("BillingScheduleAdjusted", "a", BILLED | {"invoiced": []} | body)


def completed(charged_minor: int, reason: str | None = None) -> Step:
    """The end of the order."""
    return ("OrderCompleted", "a", {"charged_minor": charged_minor, "reason": reason})


BILLED = {
    "items": [{"id": "base"}, {"id": "sso-pack"}],
    "period_start": "2026-11-01",
    "period_end": "2026-12-01",
    "next_billing_date": "2026-12-01",
    "next_billing_minor": 400,
}
OPENED = period("SubscriptionOpened", "2026-11-01", "2026-12-01", row(300, 3))
ROLLED = period("PeriodRolled", "2026-12-01", "2027-01-01")
INVOICED = period("PeriodInvoiced", "2026-12-01", "2027-01-01", row(300, 3), amount_minor=300)


@pytest.mark.parametrize(
    "steps",
    [
        (credit("Granted", "o", 10), credit("Reserved", "a", 6), credit("Used", "a", 6)),
        (
            credit("Granted", "o", 10),
            credit("Reserved", "a", 6),
            credit("Released", "a", 6),
            ("OrderFailed", "a", {}),
            credit("Reserved", "b", 10),
        ),
        (
            credit("Granted", "o", 10),
            credit("Reserved", "a", 6),
            credit("Released", "a", 6),
            ("OrderHeld", "a", {}),
            ("OrderReleased", "a", {}),
            credit("Reserved", "a", 6),
            credit("Used", "a", 6),
        ),
        (OPENED, ROLLED, INVOICED, period("PeriodRolled", "2027-01-01", "2027-02-01")),
        (
            period(
                "BillingScheduleAdjusted",
                *("2026-11-01", "2026-12-01"),
                row(300, 3, ("2026-11-11", "2026-11-21", 3, 100), ("2026-11-21", "2026-12-01", 3, 100)),
                row(300, 3, ("2026-11-11T09:00:00+00:00", "2026-11-21", 3, 100), ("2026-11-21", "x", 3, 1)),
            ),
        ),
        (quoted(70, 100, -30, due=50, credit_used_minor=20), billed(), completed(50)),
        (quoted(-30, -30, order=None),),
        (completed(0, "ALREADY_IN_FORCE"),),
    ],
    ids=[
        "used",
        "released and used by another",
        "unpaid and released",
        "rolled",
        "credited side by side",
        "charged as quoted",
        "a question, credit left over",
        "in force",
    ],
)
def test_what_keeps_its_promise_is_clean(steps: tuple[Step, ...]) -> None:
    """Nothing is found."""
    assert [] == offences(*steps)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((credit("Reserved", "a", 1),), "order a reserves 1 where 0 is free"),
        (
            (credit("Granted", "o", 10), credit("Reserved", "a", 6), credit("Reserved", "b", 6)),
            "order b reserves 6 where 4 is free",
        ),
        (
            (credit("Granted", "o", 10), credit("Reserved", "a", 1), credit("Reserved", "a", 1)),
            "order a reserves credit again",
        ),
        (
            (credit("Granted", "o", 10), credit("Reserved", "a", 6), credit("Used", "a", 5)),
            "order a gives up 5 of credit where it has reserved 6",
        ),
        ((credit("Used", "a", 5),), "order a gives up 5 of credit where it has reserved 0"),
        (
            (credit("Granted", "o", 9), credit("Reserved", "a", 9), ("OrderFailed", "a", {})),
            "order a has ended, its credit is still reserved",
        ),
        (
            (OPENED, period("PeriodRolled", "2026-12-02", "2027-01-01")),
            "begins 2026-12-02, the period before ended 2026-12-01",
        ),
        ((OPENED, ROLLED, INVOICED, INVOICED), "invoices the period from 2026-12-01 again"),
        ((OPENED, INVOICED), "invoices 2026-12-01, which is not in force"),
        (
            (OPENED, ROLLED, period("PeriodInvoiced", "2026-12-01", "2027-01-01", amount_minor=1)),
            "invoices 1, its rows differ",
        ),
        (
            (period("SubscriptionOpened", "a", "b", row(300, 3, ("2026-11-01", "2026-11-02", 1, 301))),),
            "301 credited of 300 invoiced",
        ),
        (
            (
                period(
                    "BillingScheduleAdjusted",
                    *("a", "b"),
                    row(300, 3, ("2026-11-01", "2026-11-09", 2, 1), ("2026-11-08", "2026-11-12", 2, 1)),
                ),
            ),
            "quantity 4 credited at 2026-11-08, 3 was invoiced",
        ),
        ((quoted(71, 100, -30, due=70),), "quote q-1: net 71, its lines make 70"),
        ((quoted(70, 100, -30, due=69),), "quote q-1: due, credit and carried make 69, its lines 70"),
        (
            (quoted(-30, -30), billed(items=[{"id": "base"}])),
            "has items [{'id': 'base'}], quoted was [{'id': 'base'}, {'id': 'sso-pack'}]",
        ),
        ((quoted(70, 70, due=70), completed(71)), "has due_minor 71, quoted was 70"),
        ((completed(1),), "has due_minor 1, quoted was None"),
    ],
)
def test_what_breaks_a_promise_is_named(steps: tuple[Step, ...], said: str) -> None:
    """With place, subject and both figures."""
    (found,) = offences(*steps)

    assert said in found
