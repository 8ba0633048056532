"""What a change costs: its lines to the cent, what is due now, and the billing state it leads to.

Periods are half-open and the day of change belongs to the new plan. Pure: the same inputs give the same
quote, years later too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from tierline.domain import cycles
from tierline.domain.billing import AccountTerms, BillingState, Change, InvoicedRow, Item
from tierline.domain.billing_checks import check_account, check_billing, check_change
from tierline.domain.calendar import Moment, Period, local_date
from tierline.domain.cycles import Cycle, Placement
from tierline.domain.discounts import Discount, carried_over, discounted_prices, open_on
from tierline.domain.lines import Line, charge_line, credit_line, negated, rows_over_period
from tierline.domain.modes import Mode, cut_at
from tierline.domain.money import Exact
from tierline.domain.quote import Quote
from tierline.domain.renewal import next_billing
from tierline.domain.settlement import settle
from tierline.domain.values import quickly_made, replace


@quickly_made
@dataclass(frozen=True, slots=True)
class _Case:
    """One change with everything that its lines depend on."""

    billing: BillingState
    mode: Mode
    zone: ZoneInfo
    cut: Moment
    placement: Placement
    items: tuple[Item, ...]
    discounts: tuple[Discount, ...]
    old_prices: dict[str, Exact]
    new_prices: dict[str, Exact]
    unchanged: frozenset[str]


@dataclass(slots=True)
class _Ledger:
    """Lines and rows as they come up."""

    lines: list[Line]
    rows: list[InvoicedRow]


def quote_change(account: AccountTerms, billing: BillingState, change: Change) -> Quote:
    """Price a change that takes effect at ``change.at``, as given.

    Raises InputRefused with the field for every input that cannot be right.
    """
    zone = check_account(account)
    check_billing(billing, zone)
    cycle = check_change(billing, change, zone)
    case = _case(billing, change, cycle, zone)
    ledger = _Ledger([], list(_rows_in_force(case)))
    if change.mode is not Mode.NONE:
        _credit(case, change.at, ledger)
        if billing.invoiced == ():
            _charge_used_part(case, ledger)
        _charge_new_items(case, ledger)
    placement = case.placement
    after = BillingState(
        placement.billing_day,
        placement.period,
        case.items,
        case.discounts,
        tuple(ledger.rows),
        placement.anchor,
        change.mode,
    )
    return Quote(
        account.currency,
        account.zone,
        change.at,
        change.mode,
        cycle,
        tuple(line for line in ledger.lines if line.amount_minor),
        tuple(line for line in ledger.lines if not line.amount_minor),
        settle(account, sum(line.amount_minor for line in ledger.lines)),
        billing,
        after,
        next_billing(after, zone),
    )


def undo_change(account: AccountTerms, quote: Quote) -> Quote:
    """Take a change back: exactly its lines negated, and the billing state that it found.

    Only the latest change can be undone: the caller compares ``quote.after`` with the state in force.
    ``account`` is as it stands now, with the credit and the carried amount that the change left.
    """
    zone = check_account(account)
    return replace(
        quote,
        lines=tuple(negated(line) for line in quote.lines),
        zero_lines=tuple(negated(line) for line in quote.zero_lines),
        settlement=settle(account, -sum(line.amount_minor for line in quote.lines)),
        before=quote.after,
        after=quote.before,
        next_billing=next_billing(quote.before, zone),
    )


def _case(billing: BillingState, change: Change, cycle: Cycle, zone: ZoneInfo) -> _Case:
    cut = _cut(billing, change, zone)
    placement = _placed(cycle, billing, change, cut, zone)
    keeps = cycle is Cycle.KEEP_PERIOD
    elapsed = 0 if keeps else 1
    own = {item.id: item.discounts for item in billing.items}
    opening = billing.period.start if keeps else cut
    items = tuple(
        replace(
            item,
            discounts=open_on(opening, carried_over(own.get(item.id, ()), elapsed, item.discounts), zone),
        )
        if own.get(item.id) or item.discounts
        else item
        for item in change.items
    )
    discounts = open_on(opening, carried_over(billing.discounts, elapsed, change.discounts), zone)
    old_prices = discounted_prices(billing.items, billing.discounts, 1, billing.period.start, zone)
    new_prices = discounted_prices(items, discounts, 1, opening, zone)
    unchanged = _unchanged(billing.items, items, old_prices, new_prices) if keeps else frozenset()
    return _Case(
        billing, change.mode, zone, cut, placement, items, discounts, old_prices, new_prices, unchanged
    )


def _cut(billing: BillingState, change: Change, zone: ZoneInfo) -> Moment:
    """Where the change divides the period, never before its start."""
    cut = cut_at(change.mode, change.at, zone)
    if isinstance(cut, datetime):
        return cut
    # Clocks put back across midnight show the day before for a while after the period began.
    return max(cut, local_date(billing.period.start, zone))


def _placed(cycle: Cycle, billing: BillingState, change: Change, cut: Moment, zone: ZoneInfo) -> Placement:
    interval = change.items[0].interval if change.items else billing.items[0].interval
    match cycle:
        case Cycle.KEEP_PERIOD:
            return cycles.kept(billing.period, interval, billing.billing_day, billing.anchor, zone)
        case Cycle.KEEP_BILLING_DAY:
            return cycles.on_billing_day(cut, interval, billing.billing_day, zone)
        case Cycle.RESTART:
            return cycles.restarted(cut, interval, zone)


def _unchanged(
    current: tuple[Item, ...], target: tuple[Item, ...], old: dict[str, Exact], new: dict[str, Exact]
) -> frozenset[str]:
    before = {item.id: (item.plan, item.quantity, old[item.id]) for item in current}
    return frozenset(
        item.id for item in target if before.get(item.id) == (item.plan, item.quantity, new[item.id])
    )


def _rows_in_force(case: _Case) -> tuple[InvoicedRow, ...]:
    """The invoiced rows; when they are not known, one per item at what a charge over the period is."""
    if case.billing.invoiced is not None:
        return case.billing.invoiced
    return rows_over_period(case.billing, case.old_prices, case.billing.mode or case.mode, case.zone)


def _grid(item: Item, case: _Case) -> Period:
    """The whole interval of an item of the period in force."""
    billing = case.billing
    return cycles.whole_interval(billing.period, item.interval, billing.billing_day, case.zone)


def _credit(case: _Case, at: Moment, ledger: _Ledger) -> None:
    ending = {item.id for item in case.billing.items} - case.unchanged
    found: list[Line] = []
    for index, row in enumerate(ledger.rows):
        if row.item not in ending:
            continue
        credited = credit_line(row, index, at, row.mode or case.mode, case.zone)
        if credited is not None:
            line, ledger.rows[index] = credited
            found.append(line)
    ledger.lines += sorted(found, key=lambda line: (line.item, line.invoiced_index))


def _charge_used_part(case: _Case, ledger: _Ledger) -> None:
    used = Period(case.billing.period.start, case.cut)
    for item in sorted(case.billing.items, key=lambda item: item.id):
        if item.id not in case.unchanged:
            _charge(item, case.old_prices[item.id], used, _grid(item, case), case, ledger)


def _charge_new_items(case: _Case, ledger: _Ledger) -> None:
    rest = Period(case.cut, case.placement.period.end)
    for item in sorted(case.items, key=lambda item: item.id):
        if item.id not in case.unchanged:
            _charge(item, case.new_prices[item.id], rest, case.placement.grid, case, ledger)


def _charge(item: Item, price: Exact, span: Period, grid: Period, case: _Case, ledger: _Ledger) -> None:
    line = charge_line(item, price, span, grid, case.mode, case.zone)
    if line is not None:
        ledger.lines.append(line)
        ledger.rows.append(
            InvoicedRow(item.id, span.start, span.end, item.quantity, line.amount_minor, mode=case.mode)
        )
