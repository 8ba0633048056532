"""Three totals of one change: now, at the renewal, now with the annual discount; and when one pays off.

What a way has cost by a day is the sum of the bills that it led to up to and including that day. Account
credit and carried amounts only say how a bill is paid, so they stay out of the comparison.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tierline.domain.billing import AccountTerms, BillingState, Change
from tierline.domain.billing_checks import check_account, check_billing
from tierline.domain.calendar import Interval, Moment, Period, instant_of, local_date, shift
from tierline.domain.modes import Mode
from tierline.domain.proration import quote_change
from tierline.domain.quote import Quote
from tierline.domain.refusal import InputRefused
from tierline.domain.renewal import next_billing, roll_period
from tierline.domain.values import replace

MOST_PERIODS = 5_000
_YEAR = Interval.parse("1year")


class Way(StrEnum):
    """``at_renewal``: from the end of the period in force. ``annual``: now, by the year, discounted."""

    NOW = "now"
    AT_RENEWAL = "at_renewal"
    ANNUAL = "annual"


class Bill(NamedTuple):
    """What is billed at a moment, in minor units; below zero where more is credited than charged."""

    at: Moment
    amount_minor: int


@dataclass(frozen=True, slots=True)
class WayCost:
    """One way: its first bill, the period that it opens, the bill after that, the sum of all compared bills.

    ``quote`` is the change itself, at ``first.at``; an item that stays as it is has no line there. At the
    renewal it knows no account credit and no carried amount: nobody knows today what will be left of them.
    """

    way: Way
    first: Bill
    period: Period
    following: Bill
    total_minor: int
    quote: Quote


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From ``day`` on ``way`` has cost less in total than ``against``; None: on no day that is compared."""

    way: Way
    against: Way
    day: date | None


@dataclass(frozen=True, slots=True)
class Totals:
    """The ways that are open, side by side. Bills before ``until`` (a local day) are compared."""

    currency: str
    zone: str
    at: Moment
    until: date
    ways: tuple[WayCost, ...]
    break_even: tuple[BreakEven, ...]

    def way(self, way: Way) -> WayCost | None:
        """The cost of ``way``; None when it is not open."""
        return next((found for found in self.ways if found.way is way), None)


@dataclass(frozen=True, slots=True)
class _Course:
    """A way with its bills: the first, and whatever the state after it leads to."""

    way: Way
    first: Bill
    quote: Quote


def three_totals(
    account: AccountTerms, billing: BillingState, change: Change, annual: Change | None
) -> Totals:
    """Compare a change at ``change.at`` with the same at the renewal, and with ``annual`` if there is one.

    ``billing`` may be overdue: periods that ended are rolled on first. Bills are compared until the first
    period of ``annual`` ends; without it that of a yearly ``change``, else for a year. Raises InputRefused
    as ``quote_change`` does.
    """
    zone = check_account(account)
    billing = in_force_at(account, billing, change.at)
    courses = [_now(Way.NOW, account, billing, change), _at_renewal(account, billing, change)]
    if annual is not None:
        courses.append(_now(Way.ANNUAL, account, billing, annual))
    end = _end(change.at, annual or change, courses, zone)
    until = local_date(end, zone)
    bills = {course.way: tuple(_bills(course, account, end, zone)) for course in courses}
    pairs = [(Way.ANNUAL, Way.NOW), (Way.ANNUAL, Way.AT_RENEWAL), (Way.NOW, Way.AT_RENEWAL)]
    return Totals(
        account.currency,
        account.zone,
        change.at,
        until,
        tuple(_cost(course, bills[course.way], zone) for course in courses),
        tuple(
            BreakEven(way, against, break_even(bills[way], bills[against], zone))
            for way, against in pairs
            if way in bills
        ),
    )


def in_force_at(account: AccountTerms, billing: BillingState, at: Moment) -> BillingState:
    """The billing state with the periods that ended by ``at`` rolled on, in memory alone."""
    zone = check_account(account)
    check_billing(billing, zone)
    for _ in range(MOST_PERIODS):
        if instant_of(at, zone) < instant_of(billing.period.end, zone):
            return billing
        billing = roll_period(account, billing).after
    raise InputRefused("subscription.period", f"ended more than {MOST_PERIODS:,} periods before {at}")


def break_even(way: Sequence[Bill], against: Sequence[Bill], zone: ZoneInfo) -> date | None:
    """The local day from which the bills of ``way`` come to less than those of ``against``, to their end."""
    balance: dict[date, int] = defaultdict(int)
    for bill in way:
        balance[local_date(bill.at, zone)] += bill.amount_minor
    for bill in against:
        balance[local_date(bill.at, zone)] -= bill.amount_minor
    total, since = 0, None
    for day in sorted(balance):
        total += balance[day]
        if total >= 0:
            since = None
        elif since is None:
            since = day
    return since


def _now(way: Way, account: AccountTerms, billing: BillingState, change: Change) -> _Course:
    quote = quote_change(account, billing, change)
    return _Course(way, Bill(change.at, _lines(quote)), quote)


def _end(at: Moment, longest: Change, courses: Sequence[_Course], zone: ZoneInfo) -> Moment:
    """The end of the first period of a way that pays for a year or more, else a year from now."""
    paid = next(course for course in reversed(courses) if course.way is not Way.AT_RENEWAL)
    if longest.items and longest.items[0].interval.months >= _YEAR.months:
        return paid.quote.after.period.end
    return shift(at, _YEAR, 1, None, zone)


def _at_renewal(account: AccountTerms, billing: BillingState, change: Change) -> _Course:
    """The change at the very beginning of the next period, which is billed for the new items at once."""
    rolled = roll_period(account, billing)
    terms = replace(account, credit_minor=0, minimum_due_minor=0, carried_minor=0)
    mode = Mode.DAY if change.mode is Mode.NONE else change.mode  # a whole period is full in every mode
    then = replace(change, at=rolled.period.start, mode=mode)
    # The old items are not billed any more: what the roll would charge for them, the change would give back.
    amount = sum(row.amount_minor for row in rolled.rows) + _lines(quote_change(terms, rolled.after, then))
    quote = quote_change(terms, replace(rolled.after, invoiced=()), then)
    return _Course(Way.AT_RENEWAL, Bill(rolled.period.start, amount), quote)


def _bills(course: _Course, account: AccountTerms, until: Moment, zone: ZoneInfo) -> Iterator[Bill]:
    yield course.first
    state, end = course.quote.after, instant_of(until, zone)
    while instant_of(state.period.end, zone) < end:
        yield Bill(*_following(state, zone))
        state = roll_period(account, state).after


def _following(state: BillingState, zone: ZoneInfo) -> tuple[Moment, int]:
    coming = next_billing(state, zone)
    return coming.date, coming.amount_minor


def _cost(course: _Course, bills: Sequence[Bill], zone: ZoneInfo) -> WayCost:
    after = course.quote.after
    return WayCost(
        course.way,
        course.first,
        after.period,
        Bill(*_following(after, zone)),
        sum(bill.amount_minor for bill in bills),
        course.quote,
    )


def _lines(quote: Quote) -> int:
    return sum(line.amount_minor for line in quote.lines)
