"""Short ways to write billing values in tests: ``moment("2024-05-12")``, ``item(5000)``, ``row(...)``."""

from __future__ import annotations

from fractions import Fraction

from tierline.domain.billing import (
    AccountTerms,
    BillingState,
    Change,
    CreditedSpan,
    InvoicedRow,
    Item,
)
from tierline.domain.calendar import Interval, Period
from tierline.domain.cycles import Cycle
from tierline.domain.discounts import Discount
from tierline.domain.fields import moment_from
from tierline.domain.modes import Mode
from tierline.domain.proration import quote_change
from tierline.domain.quote import Quote

moment = moment_from
ACCOUNT = AccountTerms("UTC", "USD")


def period(start: str, end: str) -> Period:
    """A half-open period."""
    return Period(moment(start), moment(end))


def item(
    unit_minor: int,
    interval: str = "1month",
    *,
    quantity: int = 1,
    plan: str = "plan",
    item_id: str = "base",
    discounts: tuple[Discount, ...] = (),
) -> Item:
    """An item at a unit price."""
    return Item(item_id, plan, Interval.parse(interval), quantity, unit_minor * quantity, discounts)


def row(
    start: str,
    end: str,
    amount_minor: int,
    *,
    quantity: int = 1,
    adjusted_minor: int = 0,
    given_back: tuple[CreditedSpan, ...] = (),
    item_id: str = "base",
    mode: Mode | None = None,
) -> InvoicedRow:
    """An invoiced row."""
    return InvoicedRow(
        item_id, moment(start), moment(end), quantity, amount_minor, adjusted_minor, given_back, mode
    )


def credited(start: str, end: str, amount_minor: int, quantity: int = 1) -> CreditedSpan:
    """A span that was credited."""
    return CreditedSpan(moment(start), moment(end), quantity, amount_minor)


def percent(value: str, **terms: object) -> Discount:
    """A percentage discount."""
    return Discount(percent=Fraction(value), **terms)  # type: ignore[arg-type]


def amount(minor: int, **terms: object) -> Discount:
    """An amount off per line and interval."""
    return Discount(amount_minor=minor, **terms)  # type: ignore[arg-type]


def change(
    at: str,
    *items: Item,
    mode: str = "day",
    cycle: str | None = None,
    discounts: tuple[Discount, ...] = (),
) -> Change:
    """A change to these items."""
    return Change(moment(at), items, discounts, Mode(mode), None if cycle is None else Cycle(cycle))


def billing(
    start: str,
    end: str,
    *items: Item,
    billing_day: int | None = 1,
    invoiced: tuple[InvoicedRow, ...] | None = None,
    discounts: tuple[Discount, ...] = (),
) -> BillingState:
    """A billing state."""
    return BillingState(billing_day, period(start, end), items, discounts, invoiced)


def quote(state: BillingState, asked: Change, account: AccountTerms = ACCOUNT) -> Quote:
    """The quote of a change."""
    return quote_change(account, state, asked)


def shares(answer: Quote) -> list[tuple[int, int, int]]:
    """Amount, numerator and denominator of each line."""
    return [(line.amount_minor, line.numerator, line.denominator) for line in answer.lines]


def amounts(answer: Quote) -> list[int]:
    """The amounts of the lines."""
    return [line.amount_minor for line in answer.lines]
