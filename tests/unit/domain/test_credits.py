"""Credits: what was invoiced and not yet given back, never more, never twice."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from tests.support.billing import (
    amounts,
    billing,
    change,
    credited,
    item,
    moment,
    percent,
    quote,
    row,
    shares,
)
from tierline.domain.billing import CreditedSpan, InvoicedRow
from tierline.domain.credits import RowCredit, credit_from
from tierline.domain.modes import Mode

UTC_ZONE = ZoneInfo("UTC")


def credit(invoiced: InvoicedRow, at: str, mode: str = "day") -> RowCredit | None:
    """The credit of one row."""
    return credit_from(invoiced, moment(at), Mode(mode), UTC_ZONE)


def spans(found: RowCredit | None) -> tuple[CreditedSpan, ...]:
    """What a row remembers afterwards."""
    assert found is not None
    return found.closed.credits


@pytest.mark.parametrize(
    ("expected", "mode", "at"),
    [
        ((2000, 20, 31), "day", "2024-05-12"),
        ((2000, 20, 31), "actual30", "2024-05-12"),
        ((1963, 19, 30), "thirty360", "2024-05-12"),
        ((1950, 1_684_800, 2_678_400), "second", "2024-05-12T12:00:00+00:00"),
        ((3100, 31, 31), "day", "2024-05-01"),
        ((3100, 31, 31), "day", "2024-04-20"),
        ((100, 1, 31), "day", "2024-05-31"),
        ((103, 1, 30), "thirty360", "2024-05-30"),
        ((103, 1, 30), "thirty360", "2024-05-31"),
    ],
)
def test_a_credit_is_the_share_of_the_row_from_the_change_on(
    expected: tuple[int, int, int], mode: str, at: str
) -> None:
    """Counted by the mode; a row that starts later is credited whole."""
    found = credit(row("2024-05-01", "2024-06-01", 3100), at, mode)

    assert found is not None
    assert expected == (found.amount_minor, found.numerator, found.denominator)


@pytest.mark.parametrize("at", ["2024-06-01", "2024-07-01"])
def test_a_row_that_ended_gives_nothing(at: str) -> None:
    """Periods are half-open."""
    assert credit(row("2024-05-01", "2024-06-01", 3100), at) is None


def test_mode_none_gives_nothing() -> None:
    """A row of such a plan has no credit."""
    assert credit(row("2024-05-01", "2024-06-01", 3100), "2024-05-12", "none") is None


def test_a_row_that_counts_no_days_gives_nothing() -> None:
    """30E/360 sees no time between the 30th and the 31st."""
    assert credit(row("2024-05-30", "2024-05-31", 100), "2024-05-30", "thirty360") is None


def test_a_credit_is_remembered_and_not_given_again() -> None:
    """The second change on the same day finds nothing left."""
    first = credit(row("2024-05-01", "2024-06-01", 3100), "2024-05-12")

    assert first is not None
    assert (credited("2024-05-12", "2024-06-01", 2000),) == spans(first)
    assert credit(first.closed, "2024-05-12") is None
    assert credit(first.closed, "2024-05-20") is None


def test_a_span_before_a_credited_one_is_still_open() -> None:
    """Only what lies between the change and the earlier credit is given back."""
    found = credit(
        row("2024-05-01", "2024-06-01", 3100, given_back=(credited("2024-05-20", "2024-06-01", 1200),)),
        "2024-05-12",
    )

    assert found is not None
    assert (800, 8, 31, False) == (found.amount_minor, found.numerator, found.denominator, found.by_quantity)
    assert credited("2024-05-12", "2024-05-20", 800) == spans(found)[-1]


def test_a_hole_in_the_middle_gives_two_spans_and_one_amount() -> None:
    """The parts of the amount sum to the whole."""
    found = credit(
        row("2024-05-01", "2024-06-01", 1000, given_back=(credited("2024-05-15", "2024-05-20", 161),)),
        "2024-05-12",
    )

    assert found is not None
    assert (484, 15, 31) == (found.amount_minor, found.numerator, found.denominator)
    assert (moment("2024-05-12"), moment("2024-06-01")) == (found.start, found.end)
    assert (
        credited("2024-05-12", "2024-05-15", 97),
        credited("2024-05-20", "2024-06-01", 387),
    ) == spans(found)[1:]


def test_a_partly_credited_quantity_multiplies_the_counts() -> None:
    """Four of ten seats were given back from the 20th on."""
    found = credit(
        row(
            "2024-05-01",
            "2024-06-01",
            31_000,
            quantity=10,
            given_back=(credited("2024-05-20", "2024-06-01", 4800, 4),),
        ),
        "2024-05-12",
    )

    assert found is not None
    assert (8 * 10 + 12 * 6, 31 * 10, 15_200) == (found.numerator, found.denominator, found.amount_minor)
    assert [10, 6] == [span.quantity for span in spans(found)[1:]]


def test_whole_quantity_credits_leave_the_counts_alone() -> None:
    """Numerator and denominator are plain days when no credit covers a part of the quantity."""
    found = credit(
        row(
            "2024-05-01",
            "2024-06-01",
            31_000,
            quantity=10,
            given_back=(credited("2024-05-20", "2024-06-01", 12_000, 10),),
        ),
        "2024-05-12",
    )

    assert found is not None
    assert (8, 31) == (found.numerator, found.denominator)


@pytest.mark.parametrize(
    ("expected", "capped", "adjusted", "earlier"),
    [
        (2000, False, 1100, ()),
        (1999, True, 1101, ()),
        (0, True, 3100, ()),
        (0, True, 9999, ()),
        (500, True, 500, (credited("2024-05-01", "2024-05-02", 2100),)),
    ],
)
def test_a_credit_never_exceeds_what_is_left_of_the_row(
    expected: int, capped: bool, adjusted: int, earlier: tuple[CreditedSpan, ...]
) -> None:
    """Goodwill and earlier credits count, the latter even where their spans lie elsewhere."""
    found = credit(
        row("2024-05-01", "2024-06-01", 3100, adjusted_minor=adjusted, given_back=earlier), "2024-05-12"
    )

    assert found is not None
    assert (expected, capped) == (found.amount_minor, found.capped)
    assert credit(found.closed, "2024-05-12") is None


def test_a_capped_line_says_so() -> None:
    """The formula names what is left."""
    state = billing(
        "2024-05-01",
        "2024-06-01",
        item(3100),
        invoiced=(row("2024-05-01", "2024-06-01", 3100, adjusted_minor=3000),),
    )

    formula = quote(state, change("2024-05-12", item(1, plan="b"))).lines[0].formula

    assert (
        "20 of 31 days of 3100 invoiced, at most the 100 that earlier credits and adjustments left = -100"
        == formula
    )


def test_a_row_from_an_instant_is_not_credited_before_it_began() -> None:
    """The remembered span lies within the row, also when days are counted."""
    found = credit(
        row("2024-05-12T10:30:00+00:00", "2024-06-12T10:30:00+00:00", 3100), "2024-05-12T18:00:00+00:00"
    )

    assert found is not None
    assert (31, 31) == (found.numerator, found.denominator)
    assert (moment("2024-05-12T10:30:00+00:00"), moment("2024-06-12T10:30:00+00:00")) == (
        spans(found)[0].start,
        spans(found)[0].end,
    )


INSTANTS = ("2024-05-12T12:00:00+00:00", "2024-06-12T12:00:00+00:00")


@pytest.mark.parametrize(
    ("numerator", "at"), [(31, "2024-05-12T13:00:00+00:00"), (30, "2024-05-13"), (29, "2024-05-14")]
)
def test_a_day_between_instants_is_one_of_the_accounts_zone(numerator: int, at: str) -> None:
    """The row begins and ends at noon; lines are whole days, whatever the clock of the machine says."""
    state = billing(*INSTANTS, item(3100), billing_day=12, invoiced=(row(*INSTANTS, 3100),))

    answer = quote(state, change(at, item(6200, plan="b")))

    assert [(-100 * numerator, numerator, 31), (200 * numerator, numerator, 31)] == shares(answer)
    assert {(at[:10], "2024-06-12")} == {(str(line.start), str(line.end)) for line in answer.lines}


def test_the_first_day_of_an_unbilled_period_from_an_instant_is_charged() -> None:
    """From noon to the next day is one day of use."""
    state = billing(*INSTANTS, item(3100), billing_day=12, invoiced=())

    answer = quote(state, change("2024-05-13", item(6200, plan="b")))

    assert [(100, 1, 31), (6000, 30, 31)] == shares(answer)
    assert ("2024-05-12", "2024-05-13") == (str(answer.lines[0].start), str(answer.lines[0].end))


def test_a_credit_between_instants_closes_the_days_of_the_accounts_zone() -> None:
    """From noon of the 20th to noon of the 22nd two days were given back already."""
    earlier = credited("2024-05-20T12:00:00+00:00", "2024-05-22T12:00:00+00:00", 200)

    found = credit(row("2024-05-01", "2024-06-01", 3100, given_back=(earlier,)), "2024-05-12")

    assert found is not None
    assert (18, 31, 1800) == (found.numerator, found.denominator, found.amount_minor)
    assert [
        (moment("2024-05-12"), earlier.start, 800),
        (earlier.end, moment("2024-06-01"), 1000),
    ] == [(span.start, span.end, span.amount_minor) for span in spans(found)[1:]]


def test_each_row_is_credited_in_its_own_mode() -> None:
    """The row stores its plan's mode; the charge follows the new plan's."""
    rows = (
        row("2024-05-01", "2024-06-01", 3000, mode=Mode.THIRTY360),
        row("2024-05-01", "2024-06-01", 3100),
    )
    state = billing("2024-05-01", "2024-06-01", item(6100), invoiced=rows)

    answer = quote(state, change("2024-05-12", item(6200, plan="b"), mode="actual30"))

    assert [(-1900, 19, 30), (-2000, 20, 31), (4133, 20, 30)] == shares(answer)
    assert [0, 1, None] == [line.invoiced_index for line in answer.lines]


def test_an_unbilled_period_credits_nothing_and_charges_what_was_used() -> None:
    """The empty list means unbilled: eleven days of the old plan, twenty of the new one."""
    state = billing("2024-05-01", "2024-06-01", item(3100), invoiced=())

    answer = quote(state, change("2024-05-12", item(6200, plan="b")))

    assert [(1100, 11, 31), (4000, 20, 31)] == shares(answer)
    assert [(moment("2024-05-01"), moment("2024-05-12")), (moment("2024-05-12"), moment("2024-06-01"))] == [
        (line.start, line.end) for line in answer.lines
    ]
    assert [1100, 4000] == [each.amount_minor for each in answer.after.invoiced or ()]


def test_an_unbilled_stub_is_charged_on_its_whole_interval() -> None:
    """From the 15th on: six used days over the 31 of May."""
    state = billing("2024-05-15", "2024-06-01", item(3100), invoiced=())

    assert [(600, 6, 31), (1100, 11, 31)] == shares(quote(state, change("2024-05-21", item(3100, plan="b"))))


def test_an_item_or_span_without_a_row_gives_neither_credit_nor_charge() -> None:
    """As soon as one row is there, what has none was settled elsewhere."""
    rows = (row("2024-05-01", "2024-05-20", 1900),)
    state = billing("2024-05-01", "2024-06-01", item(3100), item(310, item_id="extra"), invoiced=rows)

    answer = quote(state, change("2024-05-12", item(6200, plan="b")))

    assert [(-800, 8, 19), (4000, 20, 31)] == shares(answer)


def test_rows_that_are_not_given_stand_for_the_price_in_force() -> None:
    """One row per item over the period; a stub is a part of its interval."""
    whole = billing("2024-05-01", "2024-06-01", item(3100), item(310, item_id="extra"))
    stub = billing("2024-05-15", "2024-06-01", item(3100))

    assert [-2000, -200, 4000] == amounts(quote(whole, change("2024-05-12", item(6200, plan="b"))))
    assert [(-1100, 11, 17), (2200, 11, 31)] == shares(
        quote(stub, change("2024-05-21", item(6200, plan="b")))
    )


@pytest.mark.parametrize(
    ("expected", "mode"),
    [
        ([(-1000, 10, 16), (2000, 10, 30)], "thirty360"),
        ([(-1100, 11, 17), (2200, 11, 30)], "actual30"),
        ([(-1064, 11 * 86_400, 17 * 86_400), (2129, 11 * 86_400, 31 * 86_400)], "second"),
    ],
)
def test_rows_that_are_not_given_count_a_stub_by_the_mode(
    expected: list[tuple[int, int, int]], mode: str
) -> None:
    """What a charge over 15 May to 1 June would have come to: 1600, 1700 and 1645."""
    stub = billing("2024-05-15", "2024-06-01", item(3000))

    assert expected == shares(quote(stub, change("2024-05-21", item(6000, plan="b"), mode=mode)))


def test_rows_that_are_not_given_have_the_discounts_in_force() -> None:
    """A discount for one period still covers the period in force."""
    state = billing("2024-05-01", "2024-06-01", item(6200, discounts=(percent("50", periods=1),)))

    assert [-2000, 4000] == amounts(quote(state, change("2024-05-12", item(6200))))


def test_rows_that_are_not_given_belong_to_the_mode_of_their_plan() -> None:
    """A plan in mode none gives nothing back, whatever the new plan's mode is."""
    state = replace(billing("2024-05-01", "2024-06-01", item(3100)), mode=Mode.NONE)

    assert [4000] == amounts(quote(state, change("2024-05-12", item(6200, plan="b"))))


def test_a_row_of_one_day_is_credited() -> None:
    """The shortest row there is."""
    found = credit(row("2024-05-31", "2024-06-01", 100), "2024-05-31")

    assert found is not None
    assert (100, 1, 1) == (found.amount_minor, found.numerator, found.denominator)


def test_rows_after_the_period_are_credited_whole() -> None:
    """A month that was invoiced ahead comes back with the rest of this one."""
    rows = (row("2024-05-01", "2024-06-01", 3100), row("2024-06-01", "2024-07-01", 3100))
    state = billing("2024-05-01", "2024-06-01", item(3100), invoiced=rows)

    assert [-2000, -3100, 6200] == amounts(
        quote(state, change("2024-05-12", item(6200, plan="b"), cycle="restart"))
    )


def test_a_second_change_credits_the_first_one() -> None:
    """The rows of one quote are the input of the next; nothing is credited twice."""
    state = billing("2024-05-01", "2024-06-01", item(3100), invoiced=(row("2024-05-01", "2024-06-01", 3100),))
    first = quote(state, change("2024-05-12", item(6200, plan="b")))

    second = quote(first.after, change("2024-05-22", item(9300, plan="c")))

    assert [-2000, 4000] == amounts(first)
    assert [(-2000, 10, 20), (3000, 10, 31)] == shares(second)
    assert [1, 1, 0] == [len(each.credits) for each in second.after.invoiced or ()]


def test_rows_of_other_items_are_left_alone() -> None:
    """An item that ended before has nothing to do with this change."""
    other = row("2024-05-01", "2024-06-01", 500, item_id="gone")
    state = billing(
        "2024-05-01", "2024-06-01", item(3100), invoiced=(other, row("2024-05-01", "2024-06-01", 3100))
    )

    answer = quote(state, change("2024-05-12", item(6200, plan="b")))

    assert [1, None] == [line.invoiced_index for line in answer.lines]
    assert other == (answer.after.invoiced or ())[0]


def test_a_credit_that_rounds_to_zero_still_closes_its_span() -> None:
    """It must not come back in a later change."""
    state = billing("2024-05-01", "2024-06-01", item(1), invoiced=(row("2024-05-01", "2024-06-01", 1),))

    after = quote(state, change("2024-05-31", item(3100, plan="b"))).after

    assert (credited("2024-05-31", "2024-06-01", 0),) == (after.invoiced or ())[0].credits


def test_rows_keep_their_other_fields() -> None:
    """Only the credits of a row grow."""
    before = row("2024-05-01", "2024-06-01", 3100, adjusted_minor=7, mode=Mode.DAY)
    found = credit(before, "2024-05-12")

    assert found is not None
    assert before == replace(found.closed, credits=())


def test_a_row_of_no_quantity_that_a_change_closed_is_read_again() -> None:
    """The state after a change is the next one's input, also where nothing was had."""
    state = billing("2024-05-01", "2024-06-01", item(100, quantity=0), invoiced=None)

    first = quote(state, change("2024-05-12", item(100, quantity=2), cycle="keep_period"))
    second = quote(first.after, change("2024-05-20", item(100, quantity=3), cycle="keep_period"))

    assert [129] == amounts(first)
    assert [-77, 116] == amounts(second)


@pytest.mark.parametrize("mode", ["thirty360", "actual30"])
def test_a_closed_row_of_a_month_plan_does_not_stop_the_week_plan_after_it(mode: str) -> None:
    """Its mode counts months, and nothing is left of it to count."""
    row_of_may = row("2024-05-01", "2024-06-01", 3100, mode=Mode(mode))
    state = billing("2024-05-01", "2024-06-01", item(3100), invoiced=(row_of_may,))

    weekly = quote(state, change("2024-05-12", item(700, "1week"), cycle="restart"))
    more = quote(weekly.after, change("2024-05-17", item(700, "1week", quantity=2), cycle="keep_period"))

    assert [-200, 400] == amounts(more)
