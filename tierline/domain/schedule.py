"""Between the billing side as the money core computes with it and as events and states carry it."""

from __future__ import annotations

from functools import lru_cache

from tierline.domain import billing
from tierline.domain.billing import BillingState, CreditedSpan, Item
from tierline.domain.calendar import Interval, Period
from tierline.domain.commands import InvoicedCredit, InvoicedRow
from tierline.domain.events import BilledItem, PeriodInvoiced, PeriodRolled
from tierline.domain.modes import Mode
from tierline.domain.moments import instant_of_ms, moment_of_text, text_of_moment
from tierline.domain.subscription import Schedule
from tierline.domain.values import replace

interval_of_text = lru_cache(maxsize=256)(Interval.parse)


def billing_of(schedule: Schedule) -> BillingState:
    """The schedule in force, to compute with. Raises ValueError for text that is no moment or interval."""
    rows = schedule.invoiced
    return BillingState(
        billing_day=schedule.billing_day,
        period=Period(moment_of_text(schedule.period_start), moment_of_text(schedule.period_end)),
        items=tuple(item_of(item) for item in schedule.items),
        invoiced=None if rows is None else tuple(row_of(row) for row in rows),
        anchor=None if schedule.anchor is None else instant_of_ms(schedule.anchor),
        mode=Mode(schedule.items[0].mode),
    )


def item_of(item: BilledItem) -> Item:
    """An item to compute with."""
    return Item(item.id, item.plan, interval_of_text(item.interval), item.quantity, item.list_minor)


def billed_items(items: tuple[Item, ...], mode: Mode) -> tuple[BilledItem, ...]:
    """Items as events carry them; ``mode`` is that of their plan."""
    return tuple(
        BilledItem(item.id, item.plan, str(item.interval), item.quantity, item.list_minor, mode.value)
        for item in items
    )


def row_of(row: InvoicedRow) -> billing.InvoicedRow:
    """An invoiced row to compute with."""
    return billing.InvoicedRow(
        row.item,
        moment_of_text(row.start),
        moment_of_text(row.end),
        row.quantity,
        row.amount_minor,
        row.adjusted_minor,
        tuple(
            CreditedSpan(
                moment_of_text(span.start), moment_of_text(span.end), span.quantity, span.amount_minor
            )
            for span in row.credits
        ),
        None if row.mode is None else Mode(row.mode),
    )


def invoiced_rows(before: Schedule, after: BillingState) -> tuple[InvoicedRow, ...]:
    """The rows in force after a change, each with the plan that it was invoiced for."""
    old, new = _plans_by_item(before.items), {item.id: item.plan for item in after.items}
    known = len(before.items) if before.invoiced is None else len(before.invoiced)
    rows = []
    for index, row in enumerate(after.invoiced or ()):
        if index >= known:
            plan = new.get(row.item) if row.end == after.period.end else old.get(row.item)
        else:
            plan = old.get(row.item) if before.invoiced is None else before.invoiced[index].plan
        rows.append(carried_row(row, plan))
    return tuple(rows)


def schedule_rolled(schedule: Schedule, body: PeriodRolled) -> Schedule:
    """The schedule once the period of ``body`` began."""
    return replace(
        schedule, period_start=body.period_start, period_end=body.period_end, invoiced=body.invoiced
    )


def schedule_invoiced(schedule: Schedule, body: PeriodInvoiced) -> Schedule:
    """The schedule with the rows of ``body``."""
    return replace(schedule, invoiced=(*(schedule.invoiced or ()), *body.rows))


def _plans_by_item(items: tuple[BilledItem, ...]) -> dict[str, str]:
    return {item.id: item.plan for item in items}


def carried_row(row: billing.InvoicedRow, plan: str | None) -> InvoicedRow:
    """A row as events carry it; ``plan`` is the one that it was invoiced for."""
    return InvoicedRow(
        row.item,
        text_of_moment(row.start),
        text_of_moment(row.end),
        row.quantity,
        row.amount_minor,
        row.adjusted_minor,
        plan,
        None if row.mode is None else row.mode.value,
        tuple(
            InvoicedCredit(
                text_of_moment(span.start), text_of_moment(span.end), span.quantity, span.amount_minor
            )
            for span in row.credits
        ),
    )
