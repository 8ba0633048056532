"""The period after the one in force: what it will cost, and how a subscription rolls into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from tierline.domain import cycles
from tierline.domain.billing import AccountTerms, BillingState, InvoicedRow
from tierline.domain.billing_checks import check_account, check_billing
from tierline.domain.calendar import Moment, Period, epoch_seconds
from tierline.domain.discounts import after_periods, discounted_prices
from tierline.domain.lines import rows_over_period
from tierline.domain.modes import Mode
from tierline.domain.money import Exact, round_half_away
from tierline.domain.quote import NextBilling
from tierline.domain.values import replace

NEXT_PERIOD = 2  # discounts count the period in force as their first


@dataclass(frozen=True, slots=True)
class Rolled:
    """One period on: the period now in force, the rows invoiced for it, and the state with both."""

    period: Period
    rows: tuple[InvoicedRow, ...]
    after: BillingState


def next_billing(billing: BillingState, zone: ZoneInfo) -> NextBilling:
    """What the next whole interval will cost, each item rounded as its own line."""
    end = billing.period.end
    prices = discounted_prices(billing.items, billing.discounts, NEXT_PERIOD, end, zone)
    return NextBilling(end, sum(round_half_away(price) for price in prices.values()))


def roll_period(account: AccountTerms, billing: BillingState, end: Moment | None = None) -> Rolled:
    """Begin the period after the one in force; its items are invoiced in advance, whole and discounted.

    ``end``: where it ends if that is earlier than by the calendar; then each item is invoiced for the part.
    Used up discounts and rows that ended before the new period are dropped. A subscription whose period
    was unbilled (empty ``invoiced``) stays so: somebody else bills it.
    """
    zone = check_account(account)
    check_billing(billing, zone)
    interval = billing.items[0].interval
    whole = cycles.following(billing.period, interval, billing.billing_day, billing.anchor, zone)
    period = _ending(whole, end, zone)
    items = tuple(replace(item, discounts=after_periods(item.discounts, 1)) for item in billing.items)
    after = replace(billing, period=period, items=items, discounts=after_periods(billing.discounts, 1))
    rows: tuple[InvoicedRow, ...] = ()
    if billing.invoiced != ():
        prices = discounted_prices(billing.items, billing.discounts, NEXT_PERIOD, period.start, zone)
        if period == whole:
            rows = _whole_rows(after, prices)
        else:
            rows = rows_over_period(after, prices, billing.mode or Mode.DAY, zone)
    return Rolled(period, rows, replace(after, invoiced=(*_still_running(billing, period, zone), *rows)))


def _ending(whole: Period, end: Moment | None, zone: ZoneInfo) -> Period:
    if end is None:
        return whole
    opening, closing = epoch_seconds(whole.start, zone), epoch_seconds(whole.end, zone)
    return Period(whole.start, end) if opening < epoch_seconds(end, zone) < closing else whole


def _whole_rows(billing: BillingState, prices: Mapping[str, Exact]) -> tuple[InvoicedRow, ...]:
    period = billing.period
    return tuple(
        InvoicedRow(
            item.id,
            period.start,
            period.end,
            item.quantity,
            round_half_away(prices[item.id]),
            mode=billing.mode,
        )
        for item in billing.items
    )


def _still_running(billing: BillingState, period: Period, zone: ZoneInfo) -> tuple[InvoicedRow, ...]:
    opening = epoch_seconds(period.start, zone)
    return tuple(row for row in billing.invoiced or () if epoch_seconds(row.end, zone) > opening)
