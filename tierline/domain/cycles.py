"""Cycle policies: which period a change leads to, and which whole interval a charge is a part of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from tierline.domain.calendar import (
    Interval,
    Moment,
    Period,
    last_billing_date,
    local_date,
    meant_date,
    shift,
)
from tierline.domain.refusal import InputRefused
from tierline.domain.values import quickly_made


class Cycle(StrEnum):
    """``keep_period``: same end. ``keep_billing_day``: the new interval on the old billing day.

    ``restart``: a full new period from the change. ``coterm`` is reserved for "ends with the contract".
    """

    KEEP_PERIOD = "keep_period"
    KEEP_BILLING_DAY = "keep_billing_day"
    RESTART = "restart"


@quickly_made
@dataclass(frozen=True, slots=True)
class Placement:
    """Where a change puts the subscription.

    ``grid`` is the whole, unstubbed interval that the charge from the change to ``period.end`` lies in.
    """

    period: Period
    billing_day: int | None
    grid: Period
    anchor: datetime | None


def default_cycle(current: Interval, target: Interval) -> Cycle:
    """Equal intervals keep the period, different ones restart."""
    return Cycle.KEEP_PERIOD if current == target else Cycle.RESTART


def kept(
    period: Period, interval: Interval, billing_day: int | None, anchor: datetime | None, zone: ZoneInfo
) -> Placement:
    """The period stays; the grid is the one interval that ends with it."""
    return Placement(period, billing_day, whole_interval(period, interval, billing_day, zone), anchor)


def whole_interval(period: Period, interval: Interval, billing_day: int | None, zone: ZoneInfo) -> Period:
    """One interval back from the period's end by the billing day, never by a clamped date."""
    start = shift(period.end, interval, -1, billing_day, zone)
    # Clock changes and zone moves leave the period's own start as the exact boundary of that day.
    if isinstance(period.start, datetime) and local_date(period.start, zone) == local_date(start, zone):
        start = period.start
    return Period(start, period.end)


def on_billing_day(cut: Moment, interval: Interval, billing_day: int | None, zone: ZoneInfo) -> Placement:
    """The new interval, counted from the last billing date, repeated until it contains the change."""
    if billing_day is None:
        raise InputRefused(
            "cycle", "keep_billing_day needs a billing day, which day and week plans do not have"
        )
    day = local_date(cut, zone)
    start: date = last_billing_date(day, billing_day)
    if interval.days:
        start = date.fromordinal(day.toordinal() - (day - start).days % interval.days)
        end = shift(start, interval, 1, None, zone)
        return Placement(Period(start, end), None, Period(start, end), None)
    end = shift(start, interval, 1, billing_day, zone)
    return Placement(Period(start, end), billing_day, Period(start, end), None)


def restarted(cut: Moment, interval: Interval, zone: ZoneInfo) -> Placement:
    """A full new period; the change becomes the anchor."""
    billing_day = local_date(cut, zone).day if interval.months else None
    period = Period(cut, shift(cut, interval, 1, billing_day, zone))
    return Placement(period, billing_day, period, cut if isinstance(cut, datetime) else None)


def following(
    period: Period, interval: Interval, billing_day: int | None, anchor: datetime | None, zone: ZoneInfo
) -> Period:
    """The period after this one, on the grid of the anchor instant or of the billing day.

    After a zone move the period in force keeps its instants; this one ends by the new zone's calendar.
    """
    if anchor is not None:
        clock = anchor.astimezone(zone).time()
        return Period(period.end, shift(period.end, interval, 1, billing_day, zone, clock))
    boundary = meant_date(period.end, billing_day, zone)
    return Period(period.end, shift(boundary, interval, 1, billing_day, zone))
