"""Periods that have ended: the subscription as it stands at a moment, and the events that lead there.

Each elapsed period is begun once, in order. Where Tierline bills, its items are invoiced in advance at the
price in force; a subscription that nobody has invoiced (empty rows) stays so. What is billed elsewhere
(payment ``external``) gets no invoice from us: its rows are unknown until the biller tells them.

Whoever records the events must not do so while an order is live: its quote was made in the period before
and would put that period back in force when it completes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from tierline.domain.account import EXTERNAL, OpenAccount
from tierline.domain.billing import AccountTerms, BillingState
from tierline.domain.calendar import Moment, Period, epoch_seconds, instant_of, local_date
from tierline.domain.commands import InvoicedRow
from tierline.domain.events import Event, EventBody, PeriodInvoiced, PeriodRolled, Reason
from tierline.domain.moments import moment_of_text, ms_of_instant, text_of_moment
from tierline.domain.reasons import ReasonCode
from tierline.domain.refusal import InputRefused
from tierline.domain.renewal import Rolled, next_billing, roll_period
from tierline.domain.schedule import billing_of, carried_row, schedule_invoiced, schedule_rolled
from tierline.domain.subscription import ActiveSubscription, Schedule
from tierline.domain.values import quickly_made, replace

# Ten years of months, four months of days: more in one decision is wrong data rather than a long silence.
MOST_PERIODS = 120


@quickly_made
@dataclass(frozen=True, slots=True)
class Current:
    """The schedule whose period is in force at the moment, and what happened on the way to it."""

    schedule: Schedule
    events: tuple[Event, ...]


def roll_until(
    account: OpenAccount,
    subscription: ActiveSubscription,
    at: datetime,
    zone: ZoneInfo,
    told: Period | None = None,
) -> Current | Reason:
    """Begin every period that starts at or before ``at``; no events where the period in force still runs.

    The period that starts as the one ``told`` of ends with it too, if that is earlier than by the calendar.
    A reason where the period ended more than MOST_PERIODS periods ago, or where the money core refuses it.
    """
    schedule = subscription.schedule
    today = local_date(at, zone)
    if is_before(at, today, moment_of_text(schedule.period_end), zone):
        return Current(schedule, ())
    terms, billing = AccountTerms(account.time_zone, account.currency), billing_of(schedule)
    events: list[Event] = []
    for _ in range(MOST_PERIODS):
        try:
            begun = roll_period(terms, billing, _told_end(billing, told))
        except InputRefused as refused:
            return Reason(ReasonCode.PRICE_REFUSED, str(refused))
        for body in _told(account, schedule, begun, zone):
            schedule = _after(schedule, body)
            began = ms_of_instant(instant_of(begun.period.start, zone))
            events.append(
                Event(
                    "subscription",
                    body,
                    effective_at=began,
                    catalog_version=subscription.catalog_version,
                )
            )
        if is_before(at, today, begun.period.end, zone):
            return Current(schedule, tuple(events))
        billing = _carried_on(begun.after, schedule)
    detail = (
        f"the period in force ended {subscription.schedule.period_end},"
        f" more than {MOST_PERIODS} periods of {billing.items[0].interval} before the order"
    )
    return Reason(ReasonCode.BILLING_OUT_OF_DATE, detail)


def _told_end(billing: BillingState, told: Period | None) -> Moment | None:
    return told.end if told is not None and told.start == billing.period.end else None


def is_before(at: datetime, today: date, boundary: Moment, zone: ZoneInfo) -> bool:
    """Whether the instant ``at``, on the local day ``today``, comes before a boundary."""
    if isinstance(boundary, datetime):
        return at < instant_of(boundary, zone)
    return today < boundary


def _told(account: OpenAccount, before: Schedule, begun: Rolled, zone: ZoneInfo) -> Iterator[EventBody]:
    start, end = text_of_moment(begun.period.start), text_of_moment(begun.period.end)
    following = next_billing(begun.after, zone)
    plans = {item.id: item.plan for item in before.items}
    rows = tuple(carried_row(row, plans[row.item]) for row in begun.rows)
    running: tuple[InvoicedRow, ...] | None = _still_running(before, begun.period.start, zone)
    if account.payment == EXTERNAL and rows:
        running, rows = (*running, *rows) if running else None, ()
    yield PeriodRolled(
        account.currency, start, end, text_of_moment(following.date), following.amount_minor, running
    )
    if rows:
        yield PeriodInvoiced(account.currency, start, end, sum(row.amount_minor for row in rows), rows)


def _after(schedule: Schedule, body: EventBody) -> Schedule:
    match body:
        case PeriodRolled():
            return schedule_rolled(schedule, body)
        case PeriodInvoiced():
            return schedule_invoiced(schedule, body)
        case _:
            return schedule


def _carried_on(billing: BillingState, schedule: Schedule) -> BillingState:
    return replace(billing, invoiced=None) if schedule.invoiced is None else billing


def _still_running(schedule: Schedule, opening: Moment, zone: ZoneInfo) -> tuple[InvoicedRow, ...]:
    begins = epoch_seconds(opening, zone)
    return tuple(
        row for row in schedule.invoiced or () if epoch_seconds(moment_of_text(row.end), zone) > begins
    )
