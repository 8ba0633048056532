"""What the money core accepts: every other input is refused with its field, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from tierline.domain.billing import AccountTerms, BillingState, Change, CreditedSpan, InvoicedRow, Item
from tierline.domain.calendar import Interval, Moment, check_moment, instant_of, shift, zone_named
from tierline.domain.credits import credit_from
from tierline.domain.cycles import Cycle, default_cycle
from tierline.domain.discounts import Discount
from tierline.domain.modes import Mode
from tierline.domain.refusal import InputRefused

MOST_MINOR = 10**15
MOST_QUANTITY = 10**9
_LAST_BILLING_DAY = 31
_ZONE_MOVE_DAYS = 2


def check_account(account: AccountTerms) -> ZoneInfo:
    """The account's zone, when its terms are in range."""
    try:
        zone = zone_named(account.zone)
    except InputRefused as refused:
        raise InputRefused("account.time_zone", refused.reason) from None
    _check_minor("account.credit_minor", account.credit_minor)
    _check_minor("account.minimum_due_minor", account.minimum_due_minor)
    _check_minor("account.carried_minor", account.carried_minor)
    return zone


def check_billing(billing: BillingState, zone: ZoneInfo) -> None:
    """Refuse a billing state that contradicts itself."""
    if not billing.items:
        raise InputRefused("subscription.items", "a subscription has at least one item")
    interval = _check_items("subscription.items", billing.items)
    _check_discounts("subscription.discounts", billing.discounts)
    day = billing.billing_day
    if interval.months and not (isinstance(day, int) and 1 <= day <= _LAST_BILLING_DAY):
        raise InputRefused(
            "subscription.billing_day", f"{interval} is billed on a day from 1 to 31, not {day}"
        )
    check_moment("subscription.period.start", billing.period.start)
    check_moment("subscription.period.end", billing.period.end)
    if not _before(billing.period.start, billing.period.end, zone):
        raise InputRefused("subscription.period", "its end must come after its start")
    _check_length(billing, interval, zone)
    for index, row in enumerate(billing.invoiced or ()):
        _check_row(f"subscription.invoiced[{index}]", row, zone)


def check_change(billing: BillingState, change: Change, zone: ZoneInfo) -> Cycle:
    """The cycle policy that the change follows, when the change fits the billing state."""
    check_moment("change.at", change.at)
    period = billing.period
    if _before(change.at, period.start, zone) or not _before(change.at, period.end, zone):
        raise InputRefused(
            "change.at", f"{change.at} is outside the period in force, {period.start} to {period.end}"
        )
    _check_discounts("change.discounts", change.discounts)
    current = billing.items[0].interval
    target = _check_items("change.items", change.items) if change.items else current
    cycle = change.cycle or default_cycle(current, target)
    if not change.items and cycle is not Cycle.KEEP_PERIOD:
        raise InputRefused("change.items", f"{cycle} needs at least one item that opens the new period")
    if cycle is Cycle.KEEP_PERIOD and current != target:
        raise InputRefused(
            "cycle",
            f"keep_period needs equal intervals, not {current} and {target}: use restart or keep_billing_day",
        )
    if cycle is Cycle.KEEP_BILLING_DAY and current.days:
        raise InputRefused(
            "cycle", f"keep_billing_day needs a billing day, which {current} does not have: use restart"
        )
    _check_mode(billing, change, cycle, target, zone)
    return cycle


def _check_mode(
    billing: BillingState, change: Change, cycle: Cycle, target: Interval, zone: ZoneInfo
) -> None:
    mode = change.mode
    if mode is Mode.NONE and cycle is not Cycle.KEEP_PERIOD:
        raise InputRefused("mode", f"none is only possible with keep_period, not with {cycle}")
    if mode.needs_months and target.days:
        raise InputRefused("mode", f"{mode} is for month-based intervals, not {target}")
    current = billing.items[0].interval
    if not current.days:
        return
    if not billing.invoiced and mode.needs_months:
        raise InputRefused("mode", f"{mode} is for month-based intervals, not {current}")
    ids = {item.id for item in billing.items}
    for index, row in enumerate(billing.invoiced or ()):
        counted = row.mode or mode
        # A row that gives nothing back any more may be that of a month-based plan before this one.
        if row.item in ids and counted.needs_months and credit_from(row, change.at, counted, zone):
            raise InputRefused(
                f"subscription.invoiced[{index}].mode",
                f"{counted} is for month-based intervals, not {current}",
            )


def _check_items(field: str, items: Sequence[Item]) -> Interval:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.id in seen:
            raise InputRefused(f"{field}[{index}].id", f"{item.id!r} stands here twice")
        seen.add(item.id)
        if item.interval != items[0].interval:
            raise InputRefused(
                f"{field}[{index}].interval",
                f"{item.interval} differs from {items[0].interval}; items share one interval",
            )
        if not 0 <= item.quantity <= MOST_QUANTITY:
            raise InputRefused(
                f"{field}[{index}].quantity", f"{item.quantity} is not from 0 to {MOST_QUANTITY}"
            )
        _check_minor(f"{field}[{index}].list_minor", item.list_minor)
        _check_discounts(f"{field}[{index}].discounts", item.discounts)
    return items[0].interval


def _check_discounts(field: str, discounts: Sequence[Discount]) -> None:
    for index, discount in enumerate(discounts):
        where = f"{field}[{index}]"
        if (discount.percent is None) == (discount.amount_minor is None):
            raise InputRefused(where, "a discount is either a percent or an amount_minor")
        if discount.percent is not None and not 0 <= discount.percent <= 100:
            raise InputRefused(f"{where}.percent", f"{discount.percent} is not from 0 to 100")
        if discount.amount_minor is not None:
            _check_minor(f"{where}.amount_minor", discount.amount_minor)
        if discount.periods is not None and discount.periods < 1:
            raise InputRefused(f"{where}.duration", "a discount covers at least one period")
        if discount.until is not None:
            check_moment(f"{where}.duration.until", discount.until)


def _check_length(billing: BillingState, interval: Interval, zone: ZoneInfo) -> None:
    start, end = instant_of(billing.period.start, zone), instant_of(billing.period.end, zone)
    whole = shift(billing.period.end, interval, -1, billing.billing_day, zone)
    if (end - start).days > (end - instant_of(whole, zone)).days + _ZONE_MOVE_DAYS:
        raise InputRefused("subscription.period", f"is longer than the {interval} of its items")


def _check_row(field: str, row: InvoicedRow, zone: ZoneInfo) -> None:
    _check_span(field, row, zone)
    if not 0 <= row.quantity <= MOST_QUANTITY:
        raise InputRefused(f"{field}.quantity", f"{row.quantity} is not from 0 to {MOST_QUANTITY}")
    _check_minor(f"{field}.amount_minor", row.amount_minor)
    _check_minor(f"{field}.adjusted_minor", row.adjusted_minor)
    for index, span in enumerate(row.credits):
        where = f"{field}.credits[{index}]"
        _check_span(where, span, zone)
        _check_minor(f"{where}.amount_minor", span.amount_minor)
        least = min(1, row.quantity)
        if not least <= span.quantity <= row.quantity:
            raise InputRefused(
                f"{where}.quantity", f"{span.quantity} is not from {least} to the row's {row.quantity}"
            )
        if _before(span.start, row.start, zone) or _before(row.end, span.end, zone):
            raise InputRefused(where, "lies outside the row that it credits")


def _check_span(field: str, span: InvoicedRow | CreditedSpan, zone: ZoneInfo) -> None:
    check_moment(f"{field}.start", span.start)
    check_moment(f"{field}.end", span.end)
    if not _before(span.start, span.end, zone):
        raise InputRefused(field, "its end must come after its start")


def _check_minor(field: str, minor: int) -> None:
    if not 0 <= minor <= MOST_MINOR:
        raise InputRefused(field, f"{minor} is not from 0 to {MOST_MINOR} minor units")


def _before(first: Moment, second: Moment, zone: ZoneInfo) -> bool:
    if isinstance(first, datetime) or isinstance(second, datetime):
        return instant_of(first, zone) < instant_of(second, zone)
    return first < second
