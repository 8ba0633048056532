"""How a mode counts time: every mode is a ruler, and a span is the difference of two readings."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from tierline.domain.calendar import Interval, Moment, epoch_seconds, local_date

DAYS_OF_A_MONTH = 30


class Mode(StrEnum):
    """A plan's proration mode.

    ``day``: actual local days over actual days. ``second``: elapsed UTC seconds. ``thirty360``: 30E/360
    days. ``actual30``: charges count actual days over 30 per month, credits actual over actual.
    ``none``: nothing is charged or credited before the next period.
    """

    DAY = "day"
    SECOND = "second"
    THIRTY360 = "thirty360"
    ACTUAL30 = "actual30"
    NONE = "none"

    @property
    def needs_months(self) -> bool:
        """Defined for month-based intervals only."""
        return self in (Mode.THIRTY360, Mode.ACTUAL30)

    @property
    def unit(self) -> str:
        """The word for what the mode counts."""
        return {Mode.SECOND: "seconds", Mode.THIRTY360: "30E/360 days"}.get(self, "days")


def reading(mode: Mode, moment: Moment, zone: ZoneInfo) -> int:
    """Where the moment stands on the mode's ruler; the difference of two readings is the count between."""
    if mode is Mode.SECOND:
        return epoch_seconds(moment, zone)
    day = local_date(moment, zone)
    if mode is Mode.THIRTY360:
        return 360 * day.year + 30 * day.month + min(day.day, 30)
    return day.toordinal()


def span_order(mode: Mode, moment: Moment, zone: ZoneInfo) -> int:
    """What sorts moments for this mode: the second or the local day, never two days as one."""
    return epoch_seconds(moment, zone) if mode is Mode.SECOND else local_date(moment, zone).toordinal()


def cut_at(mode: Mode, at: Moment, zone: ZoneInfo) -> Moment:
    """The moment at which a change divides a span: its local day, or in ``second`` the instant itself."""
    if mode is not Mode.SECOND:
        return local_date(at, zone)
    return at.astimezone(UTC).replace(microsecond=0) if isinstance(at, datetime) else at


def whole_charge_count(mode: Mode, interval: Interval, start: int, end: int) -> int:
    """The denominator of a charge: the readings of its whole interval, or 30 days per month of it."""
    if mode is Mode.ACTUAL30:
        return DAYS_OF_A_MONTH * interval.months
    return end - start
