"""Billing periods: clamped to short months, back to the anchor day afterwards, never adrift."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.billing import moment, period
from tierline.domain import cycles
from tierline.domain.calendar import (
    Interval,
    Moment,
    Period,
    billing_date,
    check_moment,
    first_billing_date,
    instant_of,
    instant_of_wall_time,
    last_billing_date,
    local_date,
    meant_date,
    month_of,
    periods,
    shift,
    zone_named,
)
from tierline.domain.cycles import restarted
from tierline.domain.refusal import InputRefused

UTC_ZONE = ZoneInfo("UTC")
EARLIEST, LATEST = (datetime.fromisoformat(f"{year}-01-01T00:00:00") for year in (1920, 2090))


def boundaries(anchor: int | Moment, start: str, interval: str, count: int, zone: str = "UTC") -> list[str]:
    """The first ``count`` periods' boundaries as text."""
    found = list(islice(periods(anchor, moment(start), Interval.parse(interval), ZoneInfo(zone)), count))
    assert all(before.end == after.start for before, after in pairwise(found))
    return [str(found[0].start), *(str(each.end) for each in found)]


@pytest.mark.parametrize(
    ("anchor", "start", "interval", "expected"),
    [
        (31, "2024-01-31", "1month", ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]),
        (30, "2023-01-30", "1month", ["2023-01-30", "2023-02-28", "2023-03-30", "2023-04-30", "2023-05-30"]),
        (29, "2024-02-29", "1year", ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        (31, "2024-02-29", "1month", ["2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31", "2024-06-30"]),
        (
            31,
            "2023-11-30",
            "1quarter",
            ["2023-11-30", "2024-02-29", "2024-05-31", "2024-08-31", "2024-11-30"],
        ),
        (1, "2024-11-01", "2month", ["2024-11-01", "2025-01-01", "2025-03-01", "2025-05-01", "2025-07-01"]),
    ],
)
def test_months_return_to_the_anchor_day(anchor: int, start: str, interval: str, expected: list[str]) -> None:
    """A short month clamps the boundary; the next one is counted from the anchor day again."""
    assert expected == boundaries(anchor, start, interval, 4)


@pytest.mark.parametrize(
    ("anchor", "start", "interval", "expected"),
    [
        (31, "2024-02-15", "1month", ["2024-02-15", "2024-02-29", "2024-03-31"]),
        (1, "2024-05-12", "1year", ["2024-05-12", "2024-06-01", "2025-06-01"]),
        (15, "2024-05-16", "1quarter", ["2024-05-16", "2024-06-15", "2024-09-15"]),
        (15, "2024-05-14", "1quarter", ["2024-05-14", "2024-05-15", "2024-08-15"]),
    ],
)
def test_a_start_off_the_anchor_gives_a_first_stub(
    anchor: int, start: str, interval: str, expected: list[str]
) -> None:
    """The stub ends on the first anchor day on or after the start, and counts as a period."""
    assert expected == boundaries(anchor, start, interval, 2)


@pytest.mark.parametrize(
    ("anchor", "start", "interval", "expected"),
    [
        ("2024-01-01", "2024-01-01", "1week", ["2024-01-01", "2024-01-08", "2024-01-15"]),
        ("2024-01-01", "2024-01-03", "2week", ["2024-01-03", "2024-01-15", "2024-01-29"]),
        ("2024-01-10", "2024-01-03", "1week", ["2024-01-03", "2024-01-10", "2024-01-17"]),
        ("2024-01-31", "2024-03-05", "3month", ["2024-03-05", "2024-04-30", "2024-07-31"]),
        ("2024-01-31", "2023-12-05", "1month", ["2023-12-05", "2023-12-31", "2024-01-31"]),
        ("2024-01-31", "2024-02-29", "1month", ["2024-02-29", "2024-03-31", "2024-04-30"]),
        ("2024-01-01", "2024-02-29", "1day", ["2024-02-29", "2024-03-01", "2024-03-02"]),
    ],
)
def test_a_moment_anchors_a_grid_in_both_directions(
    anchor: str, start: str, interval: str, expected: list[str]
) -> None:
    """The anchor may lie before or after the start; the grid is whole intervals around it."""
    assert expected == boundaries(moment(anchor), start, interval, 2)


@pytest.mark.parametrize("interval", ["1week", "1day", "1month"])
def test_a_start_shortly_before_an_instant_on_the_grid_gives_a_short_stub(interval: str) -> None:
    """Eight o'clock on a day whose period begins at ten."""
    grid = periods(
        moment("2024-01-01T10:00:00Z"), moment("2024-04-01T08:00:00Z"), Interval.parse(interval), UTC_ZONE
    )

    assert period("2024-04-01T08:00:00Z", "2024-04-01T10:00:00Z") == next(grid)


def test_an_instant_keeps_its_local_time_of_day() -> None:
    """Daylight saving moves the instant, not the clock."""
    found = boundaries(
        moment("2024-02-29T10:00:00+01:00"), "2024-02-29T10:00:00+01:00", "1month", 2, "Europe/Berlin"
    )

    assert ["2024-03-29 09:00:00+00:00", "2024-04-29 08:00:00+00:00"] == found[1:]


def test_a_start_after_midnight_of_the_anchor_day_waits_for_the_next_one() -> None:
    """Ten o'clock on the anchor day is no longer on the grid of midnights."""
    found = boundaries(31, "2024-01-31T10:00:00+00:00", "1month", 2)

    assert ["2024-02-29", "2024-03-31"] == found[1:]


@pytest.mark.parametrize("interval", ["1week", "10day"])
def test_a_day_of_the_month_cannot_anchor_weeks_or_days(interval: str) -> None:
    """A billing day means a day of a month."""
    with pytest.raises(InputRefused, match=r"^anchor: "):
        boundaries(1, "2024-01-01", interval, 1)


@given(st.integers(1, 31), st.dates(date(1950, 1, 1), date(2900, 1, 1)), st.integers(1, 24))
def test_every_boundary_is_the_clamped_anchor_day(day: int, start: date, months: int) -> None:
    """However long it runs, a grid never drifts off its anchor day."""
    grid = islice(periods(day, start, Interval.parse(f"{months}month"), UTC_ZONE), 30)

    assert all(each.end == billing_date(month_of(local_date(each.end, UTC_ZONE)), day) for each in grid)


@pytest.mark.parametrize(
    ("expected", "wall", "zone"),
    [
        ("2018-11-04T03:00:00+00:00", "2018-11-04", "America/Sao_Paulo"),  # 00:00 became 01:00
        ("2011-12-30T10:00:00+00:00", "2011-12-30", "Pacific/Apia"),  # the day did not exist
        ("1919-03-31T04:30:00+00:00", "1919-03-31", "America/Toronto"),  # 23:30 became 00:30
        ("2024-11-03T04:00:00+00:00", "2024-11-03", "America/Havana"),  # midnight came twice
        ("2024-05-11T22:00:00+00:00", "2024-05-12", "Europe/Berlin"),
    ],
)
def test_local_midnight_in_a_gap_or_fold(expected: str, wall: str, zone: str) -> None:
    """In a gap it is the first instant after it, in a fold the earlier of the two."""
    assert datetime.fromisoformat(expected) == instant_of(moment(wall), ZoneInfo(zone))


def test_wall_time_inside_a_gap_is_the_first_instant_after_it() -> None:
    """02:30 does not exist on that night in Berlin; the gap ends at 03:00."""
    expected = datetime(2024, 3, 31, 1, 0, tzinfo=UTC)

    assert expected == instant_of_wall_time(
        datetime.fromisoformat("2024-03-31T02:30:00"), ZoneInfo("Europe/Berlin")
    )


@given(
    st.datetimes(EARLIEST, LATEST).map(lambda wall: wall.replace(microsecond=0)),
    st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe", "UTC"]),
)
def test_wall_times_map_to_instants_in_order(wall: datetime, name: str) -> None:
    """A later wall time never gives an earlier instant, whatever the clocks do."""
    zone = ZoneInfo(name)
    earlier, later = instant_of_wall_time(wall, zone), instant_of_wall_time(wall + timedelta(hours=1), zone)

    assert earlier <= later
    assert earlier.astimezone(zone).replace(tzinfo=None) >= wall


@pytest.mark.parametrize(
    ("expected", "text"),
    [((1, 0), "1month"), ((12, 0), "1year"), ((3, 0), "1quarter"), ((0, 7), "1week"), ((0, 10), "10day")],
)
def test_intervals_are_months_or_days(expected: tuple[int, int], text: str) -> None:
    """Quarters and years are months, weeks are days."""
    interval = Interval.parse(text)

    assert expected == (interval.months, interval.days)
    assert text == str(interval)


def test_intervals_are_equal_by_meaning() -> None:
    """Twelve months are a year, seven days a week; a month is not thirty days."""
    assert Interval.parse("12month") == Interval.parse("1year")
    assert Interval.parse("7day") == Interval.parse("1week")
    assert Interval.parse("30day") != Interval.parse("1month")


@pytest.mark.parametrize("text", ["100year", "1200month", "400quarter", "36525day", "5217week"])
def test_intervals_up_to_a_hundred_years_are_accepted(text: str) -> None:
    """The longest of each unit."""
    assert text == str(Interval.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "month",
        "0month",
        "-1month",
        "1 month",
        "1Month",
        "1months",
        "101year",
        "1201month",
        "36526day",
        "1.5month",
    ],
)
def test_other_interval_texts_are_refused(text: str) -> None:
    """Only a number from 1 and a known unit, up to a hundred years."""
    with pytest.raises(ValueError, match=r"interval|hundred"):
        Interval.parse(text)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe", "\0"])
def test_unknown_zones_are_refused(name: str) -> None:
    """A zone is one of the IANA table."""
    with pytest.raises(InputRefused, match=r"^time_zone: "):
        zone_named(name)


@pytest.mark.parametrize(
    ("last", "first", "day", "billing_day"),
    [
        ("2024-04-30", "2024-05-31", "2024-05-12", 31),
        ("2024-02-29", "2024-02-29", "2024-02-29", 31),
        ("2024-01-30", "2024-02-29", "2024-02-28", 30),
        ("2024-05-12", "2024-05-12", "2024-05-12", 12),
        ("2023-12-31", "2024-01-31", "2024-01-01", 31),
    ],
)
def test_billing_dates_around_a_day(last: str, first: str, day: str, billing_day: int) -> None:
    """The day itself counts on both sides."""
    assert moment(last) == last_billing_date(date.fromisoformat(day), billing_day)
    assert moment(first) == first_billing_date(date.fromisoformat(day), billing_day)


def test_one_interval_back_uses_the_billing_day_not_the_clamped_date() -> None:
    """From 29 February on billing day 31 the month before began on 31 January."""
    month = Interval.parse("1month")

    assert date(2024, 1, 31) == shift(date(2024, 2, 29), month, -1, 31, UTC_ZONE)
    assert date(2024, 1, 29) == shift(date(2024, 2, 29), month, -1, 29, UTC_ZONE)
    assert date(2024, 1, 29) == shift(date(2024, 2, 29), month, -1, None, UTC_ZONE)


def test_a_boundary_far_off_the_billing_day_counts_by_its_own_day() -> None:
    """A period that ends with its contract, off the billing day, still has a month before it."""
    assert date(2024, 5, 20) == shift(date(2024, 6, 20), Interval.parse("1month"), -1, 1, UTC_ZONE)


@pytest.mark.parametrize(("expected", "end"), [("2024-01-31", "2024-03-02"), ("2024-02-03", "2024-03-03")])
def test_up_to_two_days_off_the_billing_day_are_a_moved_zone(expected: str, end: str) -> None:
    """29 February and two days: a month before, 29 January and two days. Three are a day of their own."""
    assert moment(expected) == shift(moment(end), Interval.parse("1month"), -1, 29, UTC_ZONE)


@pytest.mark.parametrize(
    ("expected", "end"),
    [("2024-06-03", "2024-06-03T11:59:59+00:00"), ("2024-06-04", "2024-06-03T12:00:00+00:00")],
)
def test_a_moved_week_ends_at_the_nearest_midnight(expected: str, end: str) -> None:
    """Without a billing day the nearest local midnight is the one that was meant."""
    assert moment(expected) == meant_date(moment(end), None, UTC_ZONE)


@pytest.mark.parametrize(
    ("expected", "end"),
    [("2024-06-01", "2024-06-03T09:00:00+00:00"), ("2024-06-04", "2024-06-04T09:00:00+00:00")],
)
def test_a_moved_month_ends_on_the_billing_day_near_it(expected: str, end: str) -> None:
    """Up to two days; farther off, the day itself was meant."""
    assert moment(expected) == meant_date(moment(end), 1, UTC_ZONE)


def test_a_moved_zone_keeps_the_instants_and_returns_to_the_billing_day() -> None:
    """Berlin to New York: the period in force ends as before, the next one at New York's midnight."""
    ends = moment("2024-06-01T00:00:00+02:00")
    in_force = Period(moment("2024-05-01T00:00:00+02:00"), ends)
    zone = ZoneInfo("America/New_York")

    following = cycles.following(in_force, Interval.parse("1month"), 1, None, zone)
    whole = cycles.whole_interval(in_force, Interval.parse("1month"), 1, zone)

    assert Period(ends, date(2024, 7, 1)) == following
    assert date(2024, 6, 1) == meant_date(ends, 1, zone)
    assert in_force == whole


@pytest.mark.parametrize(
    ("expected", "start", "end", "day", "zone"),
    [
        # a stub: the whole interval begins three days earlier, at the same time of day
        ("2024-05-12T10:30:00+00:00", "2024-05-15T08:00:00+00:00", "2024-06-12T10:30:00+00:00", 12, "UTC"),
        # the end was moved by a clock change, the start was not
        (
            "2024-02-29T02:30:00+01:00",
            "2024-02-29T02:30:00+01:00",
            "2024-03-31T03:00:00+02:00",
            31,
            "Europe/Berlin",
        ),
        ("2024-05-01", "2024-05-15", "2024-06-01", 1, "UTC"),
    ],
)
def test_a_whole_interval_is_not_its_stub(expected: str, start: str, end: str, day: int, zone: str) -> None:
    """Counted back from the end; a period that is whole keeps its own start."""
    whole = cycles.whole_interval(period(start, end), Interval.parse("1month"), day, ZoneInfo(zone))

    assert Period(moment(expected), moment(end)) == whole


def test_a_period_from_an_instant_returns_to_its_time_of_day_after_a_gap() -> None:
    """02:30 on the night without it becomes 03:00, and 02:30 again a month later."""
    zone, month = ZoneInfo("Europe/Berlin"), Interval.parse("1month")
    anchor = moment("2024-01-31T02:30:00+01:00")
    assert isinstance(anchor, datetime)

    shifted = cycles.following(
        period("2024-01-31T02:30:00+01:00", "2024-02-29T02:30:00+01:00"), month, 31, anchor, zone
    )
    after = cycles.following(shifted, month, 31, anchor, zone)

    assert moment("2024-03-31T03:00:00+02:00") == shifted.end
    assert moment("2024-04-30T02:30:00+02:00") == after.end


@pytest.mark.parametrize("value", ["1900-01-01", "2999-12-31", "2024-05-12T00:00:00Z"])
def test_moments_inside_the_calendar_are_accepted(value: str) -> None:
    """The first and the last year belong to it."""
    check_moment("change.at", moment(value))


@pytest.mark.parametrize("value", [date(1899, 12, 31), date(3000, 1, 1), LATEST])
def test_moments_outside_the_calendar_are_refused(value: Moment) -> None:
    """Years 1900 to 2999, and an instant has an offset."""
    with pytest.raises(InputRefused, match=r"^change.at: "):
        check_moment("change.at", value)


def test_an_instant_belongs_to_its_local_day_also_where_that_is_not_the_day_in_utc() -> None:
    """Three in the morning of 1 May, UTC, is 30 April in Los Angeles: the first of May is still ahead."""
    zone = ZoneInfo("America/Los_Angeles")
    start = datetime(2024, 5, 1, 3, tzinfo=UTC)

    by_day = next(periods(1, start, Interval.parse("1month"), zone))
    restart = restarted(start, Interval.parse("1month"), zone)

    assert Period(start, date(2024, 5, 1)) == by_day
    assert (30, datetime(2024, 5, 31, 3, tzinfo=UTC)) == (restart.billing_day, restart.period.end)


def test_the_midnight_of_a_day_is_that_of_each_zone() -> None:
    """What is remembered of one zone is not told of another."""
    day = date(2026, 11, 1)
    there = [instant_of(day, zone_named(name)).isoformat() for name in ("Europe/Berlin", "Asia/Tokyo") * 2]

    assert ["2026-10-31T23:00:00+00:00", "2026-10-31T15:00:00+00:00"] * 2 == there
