"""What a line says of itself, in every zone and mode, and what a change and its undo keep."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.support.billing import (
    ACCOUNT,
    amount,
    billing,
    change,
    credited,
    item,
    moment,
    period,
    quote,
    row,
    shares,
)
from tierline.domain import cycles
from tierline.domain.billing import AccountTerms, CreditedSpan
from tierline.domain.calendar import Interval, Moment, check_moment, first_billing_date, periods, shift
from tierline.domain.credits import credit_from
from tierline.domain.lines import charge_line, credit_line
from tierline.domain.modes import Mode
from tierline.domain.proration import undo_change
from tierline.domain.refusal import InputRefused

BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")
IN_BERLIN = AccountTerms("Europe/Berlin", "EUR")
LATE_EVENING = "2024-05-11T22:30:00+00:00"  # 12 May in Berlin


def test_an_undone_line_says_what_it_undoes() -> None:
    """Lines and lines that round to zero: the other kind, the negated amount, the formula of the change."""
    state = billing("2024-05-01", "2024-06-01", item(1, item_id="free"), item(3100))
    answer = quote(state, change("2024-05-31", item(1, item_id="free", plan="b"), item(6200, plan="b")))

    undone = undo_change(ACCOUNT, answer)

    assert [
        ("charge", 100, "undo of 1 of 31 days of 3100 invoiced = -100"),
        ("credit", -200, "undo of 1 of 31 days of 6200 = 200"),
    ] == [(line.kind.value, line.amount_minor, line.formula) for line in undone.lines]
    assert [
        ("charge", 0, "undo of 1 of 31 days of 1 invoiced = 0"),
        ("credit", 0, "undo of 1 of 31 days of 1 = 0"),
    ] == [(line.kind.value, line.amount_minor, line.formula) for line in undone.zero_lines]


@pytest.mark.parametrize(
    ("start", "end", "mode"),
    [
        ("2024-05-12", "2024-06-01", "day"),
        (LATE_EVENING, "2024-05-31T22:00:00+00:00", "second"),
    ],
)
def test_a_line_shows_local_days_or_in_seconds_the_moments(start: str, end: str, mode: str) -> None:
    """The day of an instant is that of the account's zone, not of the machine and not of UTC."""
    state = billing("2024-05-01", "2024-05-31T22:00:00+00:00", item(3100))

    answer = quote(state, change(LATE_EVENING, item(6200, plan="b"), mode=mode), IN_BERLIN)

    assert [(moment(start), moment(end), "Europe/Berlin")] * 2 == [
        (line.start, line.end, line.zone) for line in answer.lines
    ]
    assert [3100, 6200] == [line.whole_minor for line in answer.lines]


def test_a_quote_names_its_account_and_moment_and_leaves_the_mode() -> None:
    """Currency, zone and moment of the change; state and row remember the mode of the new plan."""
    state = billing("2024-05-01", "2024-06-01", item(3100))

    answer = quote(state, change(LATE_EVENING, item(6200, plan="b"), mode="second"), IN_BERLIN)

    assert ("EUR", "Europe/Berlin", moment(LATE_EVENING)) == (answer.currency, answer.zone, answer.at)
    assert Mode.SECOND is answer.after.mode
    assert [None, Mode.SECOND] == [each.mode for each in answer.after.invoiced or ()]
    assert [1, 1] == [each.quantity for each in answer.after.invoiced or ()]


def test_a_line_by_quantity_says_so() -> None:
    """The unit in words names the quantity only where the counts were multiplied by it."""
    given_back = (credited("2024-05-22", "2024-06-01", 4000, quantity=4),)
    invoiced = row("2024-05-01", "2024-06-01", 31_000, quantity=10, given_back=given_back)

    found = credit_line(invoiced, 3, date(2024, 5, 12), Mode.DAY, UTC_ZONE)

    assert found is not None
    assert "160 of 310 days by quantity of 31000 invoiced = -16000" == found[0].formula
    assert (3, "UTC", 31_000) == (found[0].invoiced_index, found[0].zone, found[0].whole_minor)


def test_a_span_counted_in_seconds_is_credited_by_instant_and_quantity() -> None:
    """A day of two seats, one of them given back for six hours: 3 and 12 hours of two, 6 hours of one."""
    day = row(
        "2024-05-12",
        "2024-05-13",
        4800,
        quantity=2,
        given_back=(credited("2024-05-12T06:00:00+02:00", "2024-05-12T12:00:00+02:00", 600),),
    )

    found = credit_from(day, moment("2024-05-12T03:00:00+02:00"), Mode.SECOND, BERLIN)

    assert found is not None
    assert (36 * 3600, 48 * 3600, 3600) == (found.numerator, found.denominator, found.amount_minor)
    assert (
        CreditedSpan(moment("2024-05-12T03:00:00+02:00"), moment("2024-05-12T06:00:00+02:00"), 2, 600),
        CreditedSpan(moment("2024-05-12T06:00:00+02:00"), moment("2024-05-12T12:00:00+02:00"), 1, 600),
        CreditedSpan(moment("2024-05-12T12:00:00+02:00"), date(2024, 5, 13), 2, 2400),
    ) == found.closed.credits[1:]


def test_a_row_from_an_instant_is_credited_from_the_change_on_the_same_day() -> None:
    """In seconds the later of two instants of one day counts."""
    invoiced = row("2024-05-12T08:00:00+02:00", "2024-05-13", 1600)

    found = credit_from(invoiced, moment("2024-05-12T12:00:00+02:00"), Mode.SECOND, BERLIN)

    assert found is not None
    assert (12 * 3600, 16 * 3600, 1200) == (found.numerator, found.denominator, found.amount_minor)


def test_spans_that_count_nothing_are_closed_all_the_same() -> None:
    """30E/360 counts the 30th and the 31st as one: nothing to give back, and nothing left open."""
    given_back = (
        credited("2024-05-01", "2024-05-30", 100),
        credited("2024-05-31", "2024-07-30", 200),
        credited("2024-07-31", "2024-08-01", 5),
    )
    invoiced = row("2024-05-01", "2024-08-01", 900, given_back=given_back)

    found = credit_from(invoiced, date(2024, 5, 1), Mode.THIRTY360, UTC_ZONE)

    assert found is not None
    assert (0, 0) == (found.numerator, found.amount_minor)
    assert (credited("2024-05-30", "2024-05-31", 0), credited("2024-07-30", "2024-07-31", 0)) == (
        found.closed.credits[3:]
    )


def test_an_empty_span_has_no_line() -> None:
    """By local day, and in seconds by the instant."""
    month, price = period("2024-05-01", "2024-06-01"), item(3100)
    noon, one = "2024-05-12T12:00:00+02:00", "2024-05-12T13:00:00+02:00"

    def line(start: str, end: str, mode: Mode) -> object:
        return charge_line(price, 3100, period(start, end), month, mode, BERLIN)

    assert line("2024-05-12", "2024-05-12", Mode.DAY) is None
    assert line(noon, one, Mode.DAY) is None
    assert line(noon, noon, Mode.SECOND) is None
    assert line(noon, one, Mode.SECOND) is not None


def test_a_whole_interval_that_counts_nothing_is_one_of_one() -> None:
    """From the 30th to the 31st is a day that 30E/360 does not count; the charge is full."""
    day = period("2024-05-30", "2024-05-31")

    line = charge_line(item(100, "1day"), 100, day, day, Mode.THIRTY360, UTC_ZONE)

    assert line is not None
    assert (1, 1, 100, 100) == (line.numerator, line.denominator, line.amount_minor, line.whole_minor)


def test_a_period_inside_one_day_stands_for_a_row_of_nothing() -> None:
    """Counted in days it is empty; what is not invoiced is not given back."""
    state = billing(
        "2024-05-12T08:00:00+00:00",
        "2024-05-12T20:00:00+00:00",
        item(100, "1day", quantity=3),
        billing_day=None,
    )

    answer = quote(state, change("2024-05-12T10:00:00+00:00", item(200, "1day", plan="b")))

    assert [(3, 0)] == [(each.quantity, each.amount_minor) for each in answer.after.invoiced or ()]


def test_rows_that_are_not_given_lie_on_the_billing_day_of_a_short_month() -> None:
    """Billed on the 31st, 29 February is clamped: the whole interval began on 31 January."""
    state = billing("2024-02-10", "2024-02-29", item(2900), billing_day=31)

    answer = quote(state, change("2024-02-20", item(5800, plan="b")))

    assert [1900] == [each.amount_minor for each in (answer.after.invoiced or ())[:1]]
    assert [(-900, 9, 19), (1800, 9, 29)] == shares(answer)


def test_the_used_part_of_unbilled_items_is_charged_in_the_order_of_their_ids() -> None:
    """Whatever order the items stand in."""
    state = billing("2024-05-01", "2024-06-01", item(3100, item_id="b"), item(6200, item_id="a"), invoiced=())

    answer = quote(state, change("2024-05-02", item(3100, item_id="c", plan="new")))

    assert ["a", "b", "c"] == [line.item for line in answer.lines]


def test_a_kept_period_keeps_the_instant_that_it_counts_from() -> None:
    """So that the next period still ends at its time of day."""
    anchor = datetime(2024, 5, 12, 9, tzinfo=UTC)
    state = replace(
        billing("2024-05-12T09:00:00+00:00", "2024-06-12T09:00:00+00:00", item(3100), billing_day=12),
        anchor=anchor,
    )

    answer = quote(state, change("2024-05-20", item(6200, plan="b"), mode="second"))

    assert anchor == answer.after.anchor


def test_a_change_late_in_the_last_local_day_is_inside_the_period() -> None:
    """Dates and instants are compared in the account's zone, where 1 June begins at 22:00 UTC."""
    state = billing("2024-05-01", "2024-06-01", item(3100))

    answer = quote(state, change("2024-05-31T21:59:00+00:00", item(6200, plan="b")), IN_BERLIN)

    assert [(-100, 1, 31), (200, 1, 31)] == shares(answer)
    with pytest.raises(InputRefused, match=r"^change.at: "):
        quote(state, change("2024-05-31T22:00:00+00:00", item(6200, plan="b")), IN_BERLIN)


def test_a_row_from_a_date_to_an_instant_of_the_same_local_day_is_in_order() -> None:
    """Its end comes after its start in the account's zone."""
    invoiced = row("2024-05-12", "2024-05-12T02:00:00+02:00", 100)
    state = billing("2024-05-01", "2024-06-01", item(3100), invoiced=(invoiced,))

    answer = quote(state, change("2024-05-20", item(6200, plan="b")), IN_BERLIN)

    assert [2400] == [line.amount_minor for line in answer.lines]


@pytest.mark.parametrize(("expected", "cycle"), [(3800, "keep_period"), (4400, "restart")])
def test_a_discount_until_a_local_day_covers_periods_that_start_before_it(expected: int, cycle: str) -> None:
    """22:30 UTC is the next day in Berlin, on which the discount has ended."""
    state = billing("2024-05-01", "2024-05-31T22:00:00+00:00", item(3100), invoiced=())
    until = (amount(600, until=date(2024, 5, 12)),)

    answer = quote(state, change(LATE_EVENING, item(4400, plan="b"), cycle=cycle, discounts=until), IN_BERLIN)

    price = answer.lines[-1].whole_minor
    assert expected == price


def test_weeks_that_restart_have_no_billing_day() -> None:
    """A day of the month means nothing to them."""
    state = billing("2024-05-01", "2024-06-01", item(3100))

    answer = quote(state, change("2024-05-12", item(700, "1week", plan="b")))

    assert (None, period("2024-05-12", "2024-05-19")) == (answer.after.billing_day, answer.after.period)


def test_keep_billing_day_names_the_field_when_there_is_none() -> None:
    """Day and week plans have no billing day to keep."""
    with pytest.raises(InputRefused, match=r"^cycle: keep_billing_day needs a billing day, which day"):
        cycles.on_billing_day(date(2024, 5, 12), Interval.parse("1month"), None, UTC_ZONE)


def test_keep_billing_day_clamps_the_end_to_a_short_month_and_no_further() -> None:
    """From 29 February a month of billing day 31 ends on 31 March."""
    placed = cycles.on_billing_day(date(2024, 3, 5), Interval.parse("1month"), 31, UTC_ZONE)

    assert period("2024-02-29", "2024-03-31") == placed.period


def test_the_period_after_a_moved_one_ends_on_the_billing_day() -> None:
    """Two days off is a moved zone: the first of the month was meant, not the nearest midnight."""
    moved = period("2024-05-01", "2024-06-03T09:00:00+00:00")

    after = cycles.following(moved, Interval.parse("1month"), 1, None, UTC_ZONE)

    assert period("2024-06-03T09:00:00+00:00", "2024-07-01") == after


def test_a_boundary_shortly_before_the_billing_day_stays_as_far_before_it() -> None:
    """30 May is two days before 1 June, not the 30th of its month."""
    assert date(2024, 6, 29) == shift(date(2024, 5, 30), Interval.parse("1month"), 1, 1, UTC_ZONE)


def test_an_instant_that_is_shifted_into_a_fold_is_the_earlier_one() -> None:
    """Also from the later one of another fold: half past one comes twice on both days."""
    later = moment("2021-11-07T06:30:00+00:00")

    shifted = shift(later, Interval.parse("6year"), 1, None, ZoneInfo("America/New_York"))

    assert moment("2027-11-07T05:30:00+00:00") == shifted


def test_the_first_billing_date_may_lie_in_the_next_month() -> None:
    """After the billing day has gone by."""
    assert date(2024, 6, 1) == first_billing_date(date(2024, 5, 12), 1)


def test_an_instant_comes_back_in_utc() -> None:
    """Whatever zone the machine is in."""
    found = shift(moment("2024-05-12T09:00:00+02:00"), Interval.parse("1day"), 1, None, BERLIN)

    assert isinstance(found, datetime)
    assert timedelta(0) == found.utcoffset()


@pytest.mark.parametrize(
    ("reason", "value"),
    [
        (
            "an instant needs its offset, such as 2024-05-12T09:00:00+02:00",
            datetime(2024, 5, 12, 9),  # noqa: DTZ001 # without an offset is the point
        ),
        ("1899-12-31 is outside the years 1900 to 2999", date(1899, 12, 31)),
    ],
)
def test_a_moment_is_refused_with_what_to_write(reason: str, value: Moment) -> None:
    """The reason is what a person reads."""
    with pytest.raises(InputRefused) as refused:
        check_moment("at", value)

    assert reason == refused.value.reason


def test_weeks_anchored_by_a_day_of_the_month_are_refused_with_what_to_give() -> None:
    """The reason names the interval and the way out."""
    with pytest.raises(InputRefused) as refused:
        next(periods(31, date(2024, 1, 31), Interval.parse("1week"), UTC_ZONE))

    assert (
        "a day of the month cannot anchor 1week; give the date or instant it counts from"
        == refused.value.reason
    )
