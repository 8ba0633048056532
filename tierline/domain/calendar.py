"""Billing periods in a time zone: they never drift, whatever the month, leap year or clock change.

A boundary is a ``Moment``: a ``date`` means local midnight in the account's zone, a ``datetime`` is an
aware instant. Month-based grids keep the intended day (1-31), clamp it to a short month and return to it
afterwards: a month is never derived from a clamped date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from tierline.domain.refusal import InputRefused
from tierline.domain.values import quickly_made

Moment = date | datetime

FIRST_YEAR, LAST_YEAR = 1900, 2999
MIDNIGHT = time()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTERVAL = re.compile(r"([1-9][0-9]{0,4})(day|week|month|quarter|year)", re.ASCII)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAYS = {"day": 1, "week": 7}
_MOST_MONTHS, _MOST_DAYS = 1_200, 36_525
# A period that an account carried into another zone ends up to a day and a bit off its billing day.
_ZONE_MOVE_DAYS = 2


@dataclass(frozen=True, slots=True)
class Interval:
    """A billing interval: ``months`` or ``days``, the other is 0. Equal by meaning: 12month == 1year."""

    months: int
    days: int
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Interval:
        """``<n>(day|week|month|quarter|year)``, up to a hundred years."""
        match = _INTERVAL.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not an interval; write <n>day, week, month, quarter or year, such as 1month"
            )
        count, unit = int(match[1]), match[2]
        months, days = count * _MONTHS.get(unit, 0), count * _DAYS.get(unit, 0)
        if months > _MOST_MONTHS or days > _MOST_DAYS:
            raise ValueError(f"{text!r} is longer than a hundred years")
        return cls(months, days, text)

    def __str__(self) -> str:
        return self.text


@quickly_made
@dataclass(frozen=True, slots=True)
class Period:
    """Half-open: ``start`` belongs to it, ``end`` does not."""

    start: Moment
    end: Moment


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The IANA zone of that name; refuses names that the zone table does not have."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InputRefused("time_zone", f"{name!r} is not an IANA time zone such as Europe/Berlin") from None


def instant_of(moment: Moment, zone: ZoneInfo) -> datetime:
    """The instant in UTC. A date is its local midnight."""
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return _local_midnight(moment, zone)


@lru_cache(maxsize=8_192)
def _local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """Remembered, because an order asks several times for the few days that periods begin and end on."""
    return instant_of_wall_time(datetime.combine(day, MIDNIGHT), zone)


def instant_of_wall_time(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which clocks in ``zone`` show the naive ``wall`` time.

    In a fold the earlier one; inside a gap, which no clock shows, the first instant after the gap.
    """
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    before_gap = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _transition_between(before_gap, instant, zone)


def local_date(moment: Moment, zone: ZoneInfo) -> date:
    """The calendar day on which the moment lies in ``zone``."""
    if isinstance(moment, datetime):
        return moment.astimezone(zone).date()
    return moment


def epoch_seconds(moment: Moment, zone: ZoneInfo) -> int:
    """Whole UTC seconds since 1970; a fraction of a second is cut off."""
    elapsed = instant_of(moment, zone) - _EPOCH
    return elapsed.days * 86_400 + elapsed.seconds


def billing_date(month: int, billing_day: int) -> date:
    """The billing day in a month (counted from year 0), clamped to the month's last day."""
    year, month0 = divmod(month, 12)
    if billing_day > 28:
        year_after, month0_after = divmod(month + 1, 12)
        last = (date(year_after, month0_after + 1, 1) - timedelta(days=1)).day
        billing_day = min(billing_day, last)
    return date(year, month0 + 1, billing_day)


def month_of(day: date) -> int:
    """The month of a day, counted from year 0, so that months can be added."""
    return day.year * 12 + day.month - 1


def last_billing_date(on_or_before: date, billing_day: int) -> date:
    """The latest occurrence of the billing day that is not after the given day."""
    month = month_of(on_or_before)
    found = billing_date(month, billing_day)
    return found if found <= on_or_before else billing_date(month - 1, billing_day)


def first_billing_date(on_or_after: date, billing_day: int) -> date:
    """The earliest occurrence of the billing day that is not before the given day."""
    month = month_of(on_or_after)
    found = billing_date(month, billing_day)
    return found if found >= on_or_after else billing_date(month + 1, billing_day)


def shift(
    boundary: Moment,
    interval: Interval,
    steps: int,
    billing_day: int | None,
    zone: ZoneInfo,
    clock: time | None = None,
) -> Moment:
    """The grid boundary ``steps`` intervals later (earlier when negative).

    ``billing_day`` None means the boundary's own day. An instant keeps its local time of day, or goes to
    ``clock``, the one it was meant to have before a clock change moved it.
    """
    if isinstance(boundary, datetime):
        wall = boundary.astimezone(zone).replace(tzinfo=None, fold=0)
        day = _shifted_day(wall.date(), interval, steps, billing_day)
        return instant_of_wall_time(datetime.combine(day, clock or wall.time()), zone)
    return _shifted_day(boundary, interval, steps, billing_day)


def meant_date(boundary: Moment, billing_day: int | None, zone: ZoneInfo) -> date:
    """The local day whose midnight a boundary stands for, also after its account moved to another zone."""
    if not isinstance(boundary, datetime):
        return boundary
    wall = boundary.astimezone(zone).replace(tzinfo=None)
    nearest = (wall + timedelta(hours=12)).date()
    if billing_day is None:
        return nearest
    on_grid = billing_date(_nearest_month(nearest, billing_day), billing_day)
    return on_grid if abs((on_grid - nearest).days) <= _ZONE_MOVE_DAYS else nearest


def _shifted_day(day: date, interval: Interval, steps: int, billing_day: int | None) -> date:
    if interval.days:
        return day + timedelta(days=steps * interval.days)
    anchor = billing_day or day.day
    month = _nearest_month(day, anchor)
    off_grid = (day - billing_date(month, anchor)).days
    if abs(off_grid) > _ZONE_MOVE_DAYS:
        anchor, month, off_grid = day.day, month_of(day), 0
    return billing_date(month + steps * interval.months, anchor) + timedelta(days=off_grid)


def _nearest_month(day: date, billing_day: int) -> int:
    month = month_of(day)
    if billing_date(month, billing_day) == day:
        return month
    around = (month - 1, month, month + 1)
    return min(around, key=lambda candidate: abs((billing_date(candidate, billing_day) - day).days))


def periods(anchor: int | Moment, start: Moment, interval: Interval, zone: ZoneInfo) -> Iterator[Period]:
    """The periods from ``start`` on, without end.

    ``anchor`` is a billing day (1-31; month-based intervals only) or a moment on the grid. A start off the
    grid gives a stub first. With a billing day, grids of several months begin at the first billing date
    on or after the start; with a moment they are the whole intervals around it.
    """
    if isinstance(anchor, int):
        return _periods_by_day(anchor, start, interval, zone)
    return _periods_by_moment(anchor, start, interval, zone)


def _periods_by_day(billing_day: int, start: Moment, interval: Interval, zone: ZoneInfo) -> Iterator[Period]:
    if interval.days:
        raise InputRefused(
            "anchor", f"a day of the month cannot anchor {interval}; give the date or instant it counts from"
        )
    opening = instant_of(start, zone)
    first = first_billing_date(local_date(start, zone), billing_day)
    month = month_of(first)
    if instant_of(first, zone) < opening:
        month += 1
        first = billing_date(month, billing_day)
    boundary: Moment = start
    if instant_of(first, zone) > opening:
        yield Period(start, first)
        boundary = first
    while True:
        month += interval.months
        following = billing_date(month, billing_day)
        yield Period(boundary, following)
        boundary = following


def _periods_by_moment(anchor: Moment, start: Moment, interval: Interval, zone: ZoneInfo) -> Iterator[Period]:
    opening = instant_of(start, zone)
    step = _steps_before(anchor, opening, interval, zone)
    billing_day = local_date(anchor, zone).day
    boundary = start
    while True:
        following = shift(anchor, interval, step, billing_day, zone)
        step += 1
        if instant_of(following, zone) > opening:
            yield Period(boundary, following)
            boundary = following


def _steps_before(anchor: Moment, opening: datetime, interval: Interval, zone: ZoneInfo) -> int:
    """A number of steps from the anchor that surely lies before the opening, and not far before it."""
    from_day, to_day = local_date(anchor, zone), local_date(opening, zone)
    if interval.days:
        return (to_day - from_day).days // interval.days - 1
    return (month_of(to_day) - month_of(from_day)) // interval.months - 1


def _transition_between(earlier: datetime, later: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second with the later offset; the two instants lie on either side of it."""
    new_offset = later.astimezone(zone).utcoffset()
    seconds = (later - earlier) // timedelta(seconds=1)
    low, high = 0, seconds
    while low < high:
        middle = (low + high) // 2
        if (earlier + timedelta(seconds=middle)).astimezone(zone).utcoffset() == new_offset:
            high = middle
        else:
            low = middle + 1
    return earlier + timedelta(seconds=low)


def check_moment(field_name: str, moment: Moment) -> None:
    """Refuse moments without an offset or outside the years in which the calendar is exact."""
    if isinstance(moment, datetime) and moment.tzinfo is None:
        raise InputRefused(field_name, "an instant needs its offset, such as 2024-05-12T09:00:00+02:00")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InputRefused(field_name, f"{moment} is outside the years {FIRST_YEAR} to {LAST_YEAR}")
