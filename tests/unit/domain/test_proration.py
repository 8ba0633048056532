"""What a change costs: modes, cycles and the whole interval that a charge is a part of."""

from __future__ import annotations

import pytest

from tests.support.billing import (
    ACCOUNT,
    amounts,
    billing,
    change,
    item,
    moment,
    percent,
    period,
    quote,
    row,
    shares,
)
from tierline.domain.billing import AccountTerms, BillingState, Change
from tierline.domain.modes import Mode
from tierline.domain.proration import undo_change
from tierline.domain.refusal import InputRefused

MAY = row("2024-05-01", "2024-06-01", 3750)


def worked_state() -> BillingState:
    """A monthly plan at 50.00 less 25 %, invoiced for May."""
    return billing("2024-05-01", "2024-06-01", item(5000, discounts=(percent("25"),)), invoiced=(MAY,))


@pytest.mark.parametrize(
    ("expected", "due", "mode", "cycle", "span"),
    [
        (
            [(-2419, 20, 31), (87_288, 354, 365)],
            84_869,
            "day",
            "keep_billing_day",
            ("2024-05-01", "2025-05-01"),
        ),
        (
            [(-2375, 19, 30), (87_250, 349, 360)],
            84_875,
            "thirty360",
            "keep_billing_day",
            ("2024-05-01", "2025-05-01"),
        ),
        ([(-2419, 20, 31), (90_000, 365, 365)], 87_581, "day", "restart", ("2024-05-12", "2025-05-12")),
        (
            [(-2419, 20, 31), (88_500, 354, 360)],
            86_081,
            "actual30",
            "keep_billing_day",
            ("2024-05-01", "2025-05-01"),
        ),
        ([(-2419, 20, 31), (90_000, 360, 360)], 87_581, "actual30", "restart", ("2024-05-12", "2025-05-12")),
    ],
)
def test_monthly_to_yearly(
    expected: list[tuple[int, int, int]], due: int, mode: str, cycle: str, span: tuple[str, str]
) -> None:
    """The worked example in every mode: credit of the invoiced row, charge on the new plan's interval."""
    answer = quote(
        worked_state(), change("2024-05-12", item(90_000, "1year", plan="b"), mode=mode, cycle=cycle)
    )

    assert expected == shares(answer)
    assert due == answer.due_minor == answer.net_minor
    assert period(*span) == answer.after.period


def test_lines_say_how_they_came_about() -> None:
    """Kind, span, mode, zone, source row and the arithmetic in words."""
    answer = quote(
        worked_state(), change("2024-05-12", item(90_000, "1year", plan="b"), cycle="keep_billing_day")
    )
    credit, charge = answer.lines

    assert ("credit", "base", 0) == (credit.kind.value, credit.item, credit.invoiced_index)
    assert (moment("2024-05-12"), moment("2024-06-01")) == (credit.start, credit.end)
    assert "20 of 31 days of 3750 invoiced = -2419" == credit.formula
    assert ("charge", "base", None) == (charge.kind.value, charge.item, charge.invoiced_index)
    assert (moment("2024-05-12"), moment("2025-05-01")) == (charge.start, charge.end)
    assert "354 of 365 days of 90000 = 87288" == charge.formula
    assert (Mode.DAY, "UTC") == (charge.mode, charge.zone)


def test_a_discounted_charge_names_its_list_price() -> None:
    """The formula shows the price that is prorated and what it was before."""
    asked = change("2024-05-17", item(6200, plan="b", discounts=(percent("50"),)))

    assert (
        "15 of 31 days of 3100 (6200 less discounts) = 1500" == quote(worked_state(), asked).lines[1].formula
    )


def test_seconds_count_across_a_clock_change() -> None:
    """March in Berlin has an hour less; the credit and the charge are counted in real seconds."""
    account = AccountTerms("Europe/Berlin", "EUR")
    state = billing("2024-03-01", "2024-04-01", item(3100), invoiced=(row("2024-03-01", "2024-04-01", 3100),))

    answer = quote(state, change("2024-03-31T01:00:00+01:00", item(6200, plan="b"), mode="second"), account)

    whole = 31 * 86_400 - 3600
    assert [(-92, 79_200, whole), (184, 79_200, whole)] == shares(answer)


def test_day_mode_takes_the_local_day_of_an_instant() -> None:
    """23:30 UTC on the 11th is the 12th in Berlin; the whole day belongs to the new plan."""
    account = AccountTerms("Europe/Berlin", "EUR")
    asked = change("2024-05-11T23:30:00+00:00", item(90_000, "1year", plan="b"), cycle="keep_billing_day")

    assert [(-2419, 20, 31), (87_288, 354, 365)] == shares(quote(worked_state(), asked, account))


def test_restart_in_seconds_anchors_at_the_instant() -> None:
    """In every other mode the anchor is the local day."""
    asked = change("2024-05-12T10:30:00+00:00", item(90_000, "1year", plan="b"), mode="second")

    in_seconds = quote(worked_state(), asked).after
    in_days = quote(
        worked_state(), change("2024-05-12T10:30:00+00:00", item(90_000, "1year", plan="b"))
    ).after

    assert period("2024-05-12T10:30:00+00:00", "2025-05-12T10:30:00+00:00") == in_seconds.period
    assert (12, moment("2024-05-12T10:30:00+00:00")) == (in_seconds.billing_day, in_seconds.anchor)
    assert period("2024-05-12", "2025-05-12") == in_days.period
    assert (12, None) == (in_days.billing_day, in_days.anchor)


def test_mode_none_has_no_lines_and_the_new_price_from_the_next_period() -> None:
    """The rows stay as they were invoiced."""
    answer = quote(worked_state(), change("2024-05-12", item(9000, plan="b"), mode="none"))

    assert ((), (), 0) == (answer.lines, answer.zero_lines, answer.due_minor)
    assert (MAY,) == answer.after.invoiced
    assert (moment("2024-06-01"), 9000) == (answer.next_billing.date, answer.next_billing.amount_minor)


def test_mode_none_keeps_rows_that_were_not_given_at_the_old_price() -> None:
    """What was invoiced before is the old price, not the new one."""
    state = billing("2024-05-01", "2024-06-01", item(5000))

    answer = quote(state, change("2024-05-12", item(9000, plan="b"), mode="none"))

    assert [5000] == [each.amount_minor for each in answer.after.invoiced or ()]


@pytest.mark.parametrize(
    ("expected", "start", "end", "day", "at"),
    [
        # the whole interval that ends with the period, never the stub that is in force
        ([(-1419, 11, 17), (1419, 11, 31)], "2024-05-15", "2024-06-01", 1, "2024-05-21"),
        # back from a clamped boundary by the billing day: 31 January to 29 February
        ([(-1000, 10, 29), (1379, 10, 29)], "2024-01-31", "2024-02-29", 31, "2024-02-19"),
        ([(-1000, 10, 31), (1290, 10, 31)], "2024-01-29", "2024-02-29", 29, "2024-02-19"),
    ],
)
def test_a_kept_period_charges_a_part_of_its_whole_interval(
    expected: list[tuple[int, int, int]], start: str, end: str, day: int, at: str
) -> None:
    """The denominator of a charge is the unstubbed interval with the period's end as its boundary."""
    invoiced = (row(start, end, -expected[0][0] * expected[0][2] // expected[0][1]),)
    state = billing(start, end, item(3100, plan="a"), billing_day=day, invoiced=invoiced)

    answer = quote(state, change(at, item(4000, plan="b")))

    assert expected == shares(answer)


def test_keep_billing_day_counts_from_the_billing_day_before_the_change() -> None:
    """Billing day 31, change in mid-March: the year runs from 29 February to 28 February."""
    state = billing("2024-02-29", "2024-03-31", item(3100), billing_day=31, invoiced=())

    after = quote(
        state, change("2024-03-15", item(36_500, "1year", plan="b"), cycle="keep_billing_day")
    ).after

    assert period("2024-02-29", "2025-02-28") == after.period
    assert 31 == after.billing_day


def test_keep_billing_day_repeats_short_intervals_until_they_contain_the_change() -> None:
    """Weeks from the 1st: the 12th lies in the second one."""
    answer = quote(
        worked_state(), change("2024-05-12", item(700, "1week", plan="b"), cycle="keep_billing_day")
    )

    assert [(-2419, 20, 31), (300, 3, 7)] == shares(answer)
    assert period("2024-05-08", "2024-05-15") == answer.after.period
    assert answer.after.billing_day is None


def test_yearly_to_monthly_gives_the_rest_of_the_year_back() -> None:
    """A shorter interval is credited far beyond its own end; the surplus becomes account credit."""
    state = billing(
        "2024-01-01", "2025-01-01", item(36_600, "1year"), invoiced=(row("2024-01-01", "2025-01-01", 36_600),)
    )

    answer = quote(state, change("2024-05-12", item(3100, plan="b"), cycle="keep_billing_day"))

    assert [(-23_400, 234, 366), (2000, 20, 31)] == shares(answer)
    assert (-21_400, 0, 21_400) == (answer.net_minor, answer.due_minor, answer.credit_after_minor)


@pytest.mark.parametrize(("expected", "target"), [("2024-06-01", "1month"), ("2025-05-12", "1year")])
def test_equal_intervals_keep_the_period_and_others_restart_by_default(expected: str, target: str) -> None:
    """Without a cycle policy."""
    assert (
        moment(expected)
        == quote(worked_state(), change("2024-05-12", item(9000, target, plan="b"))).after.period.end
    )


def test_twelve_months_equal_a_year_for_keep_period() -> None:
    """Equal by meaning, not by spelling."""
    state = billing("2024-01-01", "2025-01-01", item(36_600, "12month"), invoiced=())

    assert state.period == quote(state, change("2024-07-01", item(73_200, "1year", plan="b"))).after.period


@pytest.mark.parametrize("mode", ["day", "second", "thirty360", "actual30"])
def test_a_charge_over_its_whole_interval_is_full_in_every_mode(mode: str) -> None:
    """31 actual days over 30 are not more than the price, 28 not less."""
    for start, end in (("2024-05-01", "2024-06-01"), ("2023-02-01", "2023-03-01")):
        state = billing(start, end, item(3100), invoiced=(row(start, end, 3100),))
        answer = quote(state, change(start, item(4700, plan="b"), mode=mode))

        assert [-3100, 4700] == amounts(answer)
        assert answer.lines[1].numerator == answer.lines[1].denominator


def test_a_ratio_never_exceeds_one() -> None:
    """91 of a quarter's 92 days over 90 are capped."""
    state = billing(
        "2024-07-01", "2024-10-01", item(9000, "1quarter"), invoiced=(row("2024-07-01", "2024-10-01", 9200),)
    )

    answer = quote(state, change("2024-07-02", item(18_000, "1quarter", plan="b"), mode="actual30"))

    assert [(-9100, 91, 92), (18_000, 90, 90)] == shares(answer)


@pytest.mark.parametrize(
    ("count", "start", "end", "day"),
    [
        (30, "2023-02-28", "2023-03-28", 28),
        (32, "2023-02-28", "2023-03-31", 31),
        (28, "2023-01-31", "2023-02-28", 31),
        (29, "2024-01-31", "2024-02-29", 31),
    ],
)
def test_thirty360_counts_a_clamped_month_by_the_same_formula(
    count: int, start: str, end: str, day: int
) -> None:
    """360·y + 30·m + min(d, 30) on both sides: a clamped interval may count 28 to 32."""
    state = billing(start, end, item(3000), billing_day=day, invoiced=())

    answer = quote(state, change(start, item(6000, plan="b"), mode="thirty360"))

    assert [(6000, count, count)] == shares(answer)


def test_an_unchanged_item_gives_no_lines_in_a_kept_period() -> None:
    """Only what changes is credited and charged; its row stays as it is."""
    base, extra = row("2024-05-01", "2024-06-01", 3100), row("2024-05-01", "2024-06-01", 620, item_id="extra")
    state = billing(
        "2024-05-01", "2024-06-01", item(3100), item(620, item_id="extra"), invoiced=(base, extra)
    )

    answer = quote(state, change("2024-05-12", item(3100), item(310, item_id="extra", plan="other")))

    assert [("extra", -400), ("extra", 200)] == [(line.item, line.amount_minor) for line in answer.lines]
    assert base == (answer.after.invoiced or ())[0]


@pytest.mark.parametrize(
    "same_but",
    [item(3100, quantity=2), item(3100, plan="b"), item(3100, discounts=(percent("1"),)), item(3000)],
    ids=["quantity", "plan", "discounted price", "price"],
)
def test_an_item_that_differs_is_credited_and_charged(same_but: object) -> None:
    """Unchanged is the same plan, quantity, interval and discounted price."""
    state = billing("2024-05-01", "2024-06-01", item(3100), invoiced=(row("2024-05-01", "2024-06-01", 3100),))
    asked = Change(moment("2024-05-12"), (same_but,))  # type: ignore[arg-type]

    assert ["credit", "charge"] == [line.kind.value for line in quote(state, asked).lines]


def test_a_discount_that_changes_nothing_leaves_an_item_unchanged() -> None:
    """What counts is the discounted price, not how it came about."""
    state = billing("2024-05-01", "2024-06-01", item(3100), invoiced=(row("2024-05-01", "2024-06-01", 3100),))

    assert () == quote(state, change("2024-05-12", item(6200, discounts=(percent("50"),)))).lines


def test_an_unchanged_item_is_billed_anew_when_the_period_is_not_kept() -> None:
    """A restart credits and charges every item."""
    state = billing("2024-05-01", "2024-06-01", item(3100), invoiced=(row("2024-05-01", "2024-06-01", 3100),))

    assert [-2000, 3100] == amounts(quote(state, change("2024-05-12", item(3100), cycle="restart")))


def test_an_item_that_is_missing_in_the_target_ends() -> None:
    """Its unused part is credited and nothing is charged for it."""
    rows = (row("2024-05-01", "2024-06-01", 3100), row("2024-05-01", "2024-06-01", 620, item_id="extra"))
    state = billing("2024-05-01", "2024-06-01", item(3100), item(620, item_id="extra"), invoiced=rows)

    answer = quote(state, change("2024-05-12", item(3100)))

    assert [("extra", -400)] == [(line.item, line.amount_minor) for line in answer.lines]
    assert ["base"] == [each.id for each in answer.after.items]


def test_everything_may_end_in_a_kept_period() -> None:
    """An empty target credits all and charges nothing."""
    answer = quote(worked_state(), change("2024-05-12"))

    assert [-2419] == amounts(answer)
    assert 0 == answer.next_billing.amount_minor


def test_a_new_item_is_charged_from_the_change_on() -> None:
    """An added module has nothing to credit."""
    asked = change("2024-05-12", item(5000, discounts=(percent("25"),)), item(310, item_id="extra"))

    assert [("extra", 200)] == [(line.item, line.amount_minor) for line in quote(worked_state(), asked).lines]


def test_lines_that_round_to_zero_stand_apart() -> None:
    """They are shown, but not among the lines that add up."""
    answer = quote(worked_state(), change("2024-05-31", item(1, plan="b")))

    assert [-121] == amounts(answer)
    assert [(0, 1, 31)] == [
        (line.amount_minor, line.numerator, line.denominator) for line in answer.zero_lines
    ]
    assert [3750, 0] == [each.amount_minor for each in answer.after.invoiced or ()]


def test_next_billing_is_the_next_whole_interval_discounted() -> None:
    """Each line rounded on its own; a discount for one period is used up by then."""
    items = (
        item(1001, plan="b", discounts=(percent("50"),)),
        item(1001, item_id="x", discounts=(percent("50", periods=1),)),
        item(1001, item_id="y", discounts=(percent("50", periods=2),)),
    )

    answer = quote(worked_state(), change("2024-05-12", *items))

    assert 501 + 1001 + 501 == answer.next_billing.amount_minor


def test_discounts_that_are_carried_over_apply_to_the_new_plan() -> None:
    """An item's by its id, the subscription's to all; into a new period they take their next period along."""
    kept = percent("25", carry_over=True, periods=2)
    state = billing("2024-05-01", "2024-06-01", item(5000, discounts=(kept,)), invoiced=(MAY,))

    in_period = quote(state, change("2024-05-12", item(10_000, plan="b")))
    restarted = quote(state, change("2024-05-12", item(10_000, plan="b"), cycle="restart"))

    assert [-2419, 4839] == amounts(in_period)
    assert [7500, 7500] == [in_period.next_billing.amount_minor, amounts(restarted)[1]]
    assert 10_000 == restarted.next_billing.amount_minor


@pytest.mark.parametrize(("expected", "cycle"), [(2000, "keep_period"), (6200, "restart")])
def test_a_discount_until_a_day_covers_periods_that_start_before_it(expected: int, cycle: str) -> None:
    """A kept period started on the 1st; a new one starts with the change on the 12th."""
    half = percent("50", until=moment("2024-05-05"))

    assert (
        expected
        == amounts(quote(worked_state(), change("2024-05-12", item(6200, discounts=(half,)), cycle=cycle)))[1]
    )


def test_a_discount_that_ended_before_the_change_does_not_come_back_with_the_next_one() -> None:
    """The period goes back to the billing day before the change; the discount ran out in between."""
    half = percent("50", until=moment("2024-05-05"), carry_over=True)
    first = quote(
        worked_state(),
        change("2024-05-12", item(6200, discounts=(half,)), discounts=(half,), cycle="keep_billing_day"),
    )
    second = quote(first.after, change("2024-05-22", item(6200, quantity=2), cycle="keep_period"))

    assert [-2419, 4000] == amounts(first)
    assert [-2000, 4000] == amounts(second)


@pytest.mark.parametrize("cycle", ["keep_period", "keep_billing_day", "restart"])
def test_clocks_put_back_over_midnight_do_not_put_a_change_before_its_period(cycle: str) -> None:
    """St John's, 00:01 to 23:01: the period began at the first midnight, and the 6th is shown again."""
    state = billing("2010-11-07", "2010-12-07", item(3000), invoiced=None, billing_day=7)

    answer = quote(
        state,
        change("2010-11-07T02:45:00+00:00", item(9000), cycle=cycle),
        AccountTerms("America/St_Johns", "CAD"),
    )

    assert [-3000, 9000] == amounts(answer)
    assert period("2010-11-07", "2010-12-07") == answer.after.period


def test_undo_negates_exactly_the_lines_and_restores_everything() -> None:
    """Period, billing day, items, discounts and rows are as before; the sums cancel."""
    state = worked_state()
    answer = quote(state, change("2024-05-12", item(90_000, "1year", plan="b")))

    undone = undo_change(ACCOUNT, answer)

    assert [2419, -90_000] == amounts(undone)
    assert ["charge", "credit"] == [line.kind.value for line in undone.lines]
    assert state == undone.after
    assert answer.after == undone.before
    assert -answer.net_minor == undone.net_minor
    assert (moment("2024-06-01"), 3750) == (undone.next_billing.date, undone.next_billing.amount_minor)


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("change.at", change("2024-06-01", item(1, plan="b"))),
        ("change.at", change("2024-04-30T23:59:59+00:00", item(1, plan="b"))),
        ("cycle", change("2024-05-12", item(1, "1year"), cycle="keep_period")),
        ("mode", change("2024-05-12", item(1, "1year"), mode="none")),
        ("mode", change("2024-05-12", item(1, "1week"), mode="thirty360")),
        ("mode", change("2024-05-12", item(1, "30day"), mode="actual30")),
        ("change.items", change("2024-05-12", cycle="restart")),
        ("change.items[1].id", change("2024-05-12", item(1), item(2))),
        ("change.items[1].interval", change("2024-05-12", item(1), item(2, "1year", item_id="x"))),
        ("change.items[0].quantity", change("2024-05-12", item(0, quantity=-1))),
        ("change.items[0].list_minor", change("2024-05-12", item(-1))),
        ("change.items[0].discounts[0].percent", change("2024-05-12", item(1, discounts=(percent("101"),)))),
        ("change.discounts[0]", change("2024-05-12", item(1), discounts=(percent("1", amount_minor=1),))),
        ("change.discounts[0].duration", change("2024-05-12", item(1), discounts=(percent("1", periods=0),))),
        (
            "change.discounts[0].duration.until",
            change("2024-05-12", item(1), discounts=(percent("1", until=moment("1066-10-14")),)),
        ),
    ],
)
def test_a_change_that_cannot_be_is_refused_with_its_field(field: str, asked: Change) -> None:
    """Nothing is guessed: the error names what is wrong."""
    with pytest.raises(InputRefused) as refused:
        quote(worked_state(), asked)

    assert field == refused.value.field


@pytest.mark.parametrize(
    ("field", "state"),
    [
        ("subscription.items", billing("2024-05-01", "2024-06-01")),
        ("subscription.billing_day", billing("2024-05-01", "2024-06-01", item(1), billing_day=None)),
        ("subscription.billing_day", billing("2024-05-01", "2024-06-01", item(1), billing_day=32)),
        ("subscription.period", billing("2024-06-01", "2024-06-01", item(1))),
        ("subscription.period", billing("2024-03-01", "2024-06-01", item(1))),
        ("subscription.period.start", billing("1024-05-01", "2024-06-01", item(1))),
        (
            "subscription.invoiced[0]",
            billing("2024-05-01", "2024-06-01", item(1), invoiced=(row("2024-06-01", "2024-05-01", 1),)),
        ),
        (
            "subscription.invoiced[0].amount_minor",
            billing("2024-05-01", "2024-06-01", item(1), invoiced=(row("2024-05-01", "2024-06-01", -1),)),
        ),
        (
            "subscription.invoiced[0].quantity",
            billing(
                "2024-05-01",
                "2024-06-01",
                item(1),
                invoiced=(row("2024-05-01", "2024-06-01", 1, quantity=-1),),
            ),
        ),
        (
            "subscription.invoiced[0].mode",
            billing(
                "2024-05-06",
                "2024-05-13",
                item(1, "1week"),
                invoiced=(row("2024-05-06", "2024-05-13", 1, mode=Mode.THIRTY360),),
            ),
        ),
    ],
)
def test_a_state_that_cannot_be_is_refused_with_its_field(field: str, state: BillingState) -> None:
    """A contradiction in what is billed is named, not computed with."""
    with pytest.raises(InputRefused) as refused:
        quote(state, change("2024-05-12", item(2, plan="b"), cycle="restart"))

    assert field == refused.value.field


def test_weeks_have_no_billing_day_to_keep() -> None:
    """From a week plan only keep_period and restart are possible."""
    state = billing("2024-05-06", "2024-05-13", item(700, "1week"), billing_day=None)

    with pytest.raises(InputRefused, match=r"^cycle: "):
        quote(state, change("2024-05-12", item(3100), cycle="keep_billing_day"))
    assert 12 == quote(state, change("2024-05-12", item(3100))).after.billing_day


def test_month_only_modes_refuse_unbilled_weeks() -> None:
    """The used part of a week cannot be counted in 30-day months."""
    state = billing("2024-05-06", "2024-05-13", item(700, "1week"), billing_day=None, invoiced=())

    with pytest.raises(InputRefused, match=r"^mode: "):
        quote(state, change("2024-05-12", item(3100), mode="thirty360"))
