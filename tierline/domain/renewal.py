"""The period after the one in force: what it will cost, and how a subscription rolls into it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from tierline.domain import cycles
from tierline.domain.billing import AccountTerms, BillingState, InvoicedRow
from tierline.domain.billing_checks import check_account, check_billing
from tierline.domain.calendar import Period, epoch_seconds
from tierline.domain.discounts import after_periods, discounted_prices
from tierline.domain.money import round_half_away
from tierline.domain.quote import NextBilling

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


def roll_period(account: AccountTerms, billing: BillingState) -> Rolled:
    """Begin the period after the one in force; its items are invoiced in advance, whole and discounted.

    Used up discounts and rows that ended before the new period are dropped. A subscription whose period
    was unbilled (empty ``invoiced``) stays so: somebody else bills it.
    """
    zone = check_account(account)
    check_billing(billing, zone)
    interval = billing.items[0].interval
    period = cycles.following(billing.period, interval, billing.billing_day, billing.anchor, zone)
    rows = () if billing.invoiced == () else _rows_for(period, billing, zone)
    items = tuple(replace(item, discounts=after_periods(item.discounts, 1)) for item in billing.items)
    after = replace(
        billing,
        period=period,
        items=items,
        discounts=after_periods(billing.discounts, 1),
        invoiced=(*_still_running(billing, period, zone), *rows),
    )
    return Rolled(period, rows, after)


def _rows_for(period: Period, billing: BillingState, zone: ZoneInfo) -> tuple[InvoicedRow, ...]:
    prices = discounted_prices(billing.items, billing.discounts, NEXT_PERIOD, period.start, zone)
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
