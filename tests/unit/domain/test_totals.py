"""Three totals of one change and the day from which one has cost less; expected values counted by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from tests.support.billing import item, moment, percent, period, row
from tierline.domain.billing import AccountTerms, BillingState, Change
from tierline.domain.cycles import Cycle
from tierline.domain.modes import Mode
from tierline.domain.refusal import InputRefused
from tierline.domain.totals import Bill, Totals, Way, WayCost, break_even, in_force_at, three_totals

UTC = ZoneInfo("UTC")
ACCOUNT = AccountTerms("UTC", "EUR")
NOVEMBER = BillingState(
    1,
    period("2026-11-01", "2026-12-01"),
    (item(3_000, quantity=10, plan="team"),),
    invoiced=(row("2026-11-01", "2026-12-01", 30_000, quantity=10),),
)
MONTHLY = Change(moment("2026-11-16"), (item(6_000, quantity=10, plan="business"),), cycle=Cycle.KEEP_PERIOD)
YEARLY = Change(
    moment("2026-11-16"),
    (item(60_000, "1year", quantity=10, plan="business-year"),),
    (percent("10", periods=1),),
    cycle=Cycle.KEEP_BILLING_DAY,
)


def cost(totals: Totals, way: Way) -> WayCost:
    found = totals.way(way)
    assert found is not None
    return found


def bills(**amounts: int) -> list[Bill]:
    """``d05=100`` is 100 billed on 5 May 2024."""
    return [Bill(date(2024, 5, int(day[1:])), amount) for day, amount in amounts.items()]


def test_the_three_ways_stand_side_by_side() -> None:
    """Half of November at the difference; December whole; 350/365 of 5,400.00 less half of November."""
    totals = three_totals(ACCOUNT, NOVEMBER, MONTHLY, YEARLY)

    now, renewal, annual = (cost(totals, way) for way in (Way.NOW, Way.AT_RENEWAL, Way.ANNUAL))
    assert (Bill(date(2026, 11, 16), 15_000), Bill(date(2026, 12, 1), 60_000)) == (now.first, now.following)
    assert (Bill(date(2026, 12, 1), 60_000), Bill(date(2027, 1, 1), 60_000)) == (
        renewal.first,
        renewal.following,
    )
    assert (Bill(date(2026, 11, 16), 517_808 - 15_000), Bill(date(2027, 11, 1), 600_000)) == (
        annual.first,
        annual.following,
    )
    assert period("2026-12-01", "2027-01-01") == renewal.period
    assert date(2027, 11, 1) == totals.until


def test_a_total_is_the_sum_of_the_bills_before_the_end_of_the_comparison() -> None:
    """11 whole months from December to October, and half a difference for those who change now."""
    totals = three_totals(ACCOUNT, NOVEMBER, MONTHLY, YEARLY)

    assert [15_000 + 11 * 60_000, 11 * 60_000, 502_808] == [way.total_minor for way in totals.ways]


def test_the_break_even_day_is_that_of_the_bill_that_tips_the_balance() -> None:
    """5,028.08 up front: 8 monthly bills and 150.00 are 4,950.00, the ninth, on 1 August, makes 5,550.00."""
    totals = three_totals(ACCOUNT, NOVEMBER, MONTHLY, YEARLY)

    assert [
        (Way.ANNUAL, Way.NOW, date(2027, 8, 1)),
        (Way.ANNUAL, Way.AT_RENEWAL, date(2027, 8, 1)),
        (Way.NOW, Way.AT_RENEWAL, None),
    ] == [(pair.way, pair.against, pair.day) for pair in totals.break_even]


def test_without_an_annual_offer_a_year_is_compared() -> None:
    """Two ways, one pair, and the bills of a year from the change on."""
    totals = three_totals(ACCOUNT, NOVEMBER, MONTHLY, None)

    assert [Way.NOW, Way.AT_RENEWAL] == [way.way for way in totals.ways]
    assert date(2027, 11, 16) == totals.until
    assert [15_000 + 12 * 60_000, 12 * 60_000] == [way.total_minor for way in totals.ways]
    assert 1 == len(totals.break_even)


def test_a_year_without_an_offer_is_compared_until_it_ends() -> None:
    """The second year's bill of the way that began earlier does not count against it."""
    totals = three_totals(ACCOUNT, NOVEMBER, replace(YEARLY, discounts=()), None)

    assert date(2027, 11, 1) == totals.until
    assert [575_342 - 15_000, 600_000] == [way.total_minor for way in totals.ways]


def test_the_renewal_bills_what_stays_and_what_is_new_and_shows_what_is_new() -> None:
    """December: 600.00 for the new plan and 50.00 for the module; the old plan is not on the bill."""
    module = item(5_000, plan="sso", item_id="sso")
    billing = replace(
        NOVEMBER,
        items=(*NOVEMBER.items, module),
        invoiced=(*(NOVEMBER.invoiced or ()), row("2026-11-01", "2026-12-01", 5_000, item_id="sso")),
    )

    renewal = cost(
        three_totals(ACCOUNT, billing, replace(MONTHLY, items=(*MONTHLY.items, module)), None), Way.AT_RENEWAL
    )

    assert (65_000, 65_000) == (renewal.first.amount_minor, renewal.following.amount_minor)
    assert [("base", 60_000)] == [(line.item, line.amount_minor) for line in renewal.quote.lines]


def test_overdue_periods_are_rolled_before_anything_is_priced() -> None:
    """A subscription that stands in September costs what it costs in November."""
    overdue = replace(
        NOVEMBER,
        period=period("2026-09-01", "2026-10-01"),
        invoiced=(row("2026-09-01", "2026-10-01", 30_000, quantity=10),),
    )

    rolled = in_force_at(ACCOUNT, overdue, MONTHLY.at)

    assert NOVEMBER.period == rolled.period
    expected = three_totals(ACCOUNT, NOVEMBER, MONTHLY, YEARLY)
    found = three_totals(ACCOUNT, overdue, MONTHLY, YEARLY)
    assert expected.break_even == found.break_even
    assert [way.total_minor for way in expected.ways] == [way.total_minor for way in found.ways]


def test_a_period_that_ended_at_the_very_moment_is_over() -> None:
    """Periods are half-open: at midnight of 1 December the next one is in force."""
    assert period("2026-12-01", "2027-01-01") == in_force_at(ACCOUNT, NOVEMBER, moment("2026-12-01")).period
    assert NOVEMBER.period == in_force_at(ACCOUNT, NOVEMBER, moment("2026-11-30T23:59:59Z")).period


def test_a_subscription_that_ended_ages_ago_is_refused() -> None:
    """Rolling is bounded, and the refusal names the field."""
    daily = BillingState(None, period("1990-01-01", "1990-01-02"), (item(1, "1day"),))

    with pytest.raises(InputRefused, match=r"^subscription\.period: ended more than 5,000 periods"):
        in_force_at(ACCOUNT, daily, moment("2026-11-16"))


def test_at_the_renewal_the_whole_period_is_charged_in_every_mode() -> None:
    """A plan that is not prorated costs its whole price from the first period that it is in force for."""
    for mode in Mode:
        totals = three_totals(ACCOUNT, NOVEMBER, replace(MONTHLY, mode=mode), None)

        assert Bill(date(2026, 12, 1), 60_000) == cost(totals, Way.AT_RENEWAL).first, mode


def test_account_credit_pays_but_does_not_make_cheaper() -> None:
    """The totals are the same with credit; what is due today is less by it."""
    rich = replace(ACCOUNT, credit_minor=4_000, carried_minor=100)

    plain, paid = (three_totals(terms, NOVEMBER, MONTHLY, YEARLY) for terms in (ACCOUNT, rich))

    assert [way.total_minor for way in plain.ways] == [way.total_minor for way in paid.ways]
    assert 15_000 + 100 - 4_000 == cost(paid, Way.NOW).quote.due_minor


def test_nobody_bills_a_subscription_that_somebody_else_bills() -> None:
    """Unbilled stays unbilled: at the renewal only the new plan is charged."""
    totals = three_totals(ACCOUNT, replace(NOVEMBER, invoiced=()), MONTHLY, None)

    assert Bill(date(2026, 12, 1), 60_000) == cost(totals, Way.AT_RENEWAL).first


@pytest.mark.parametrize(
    ("expected", "way", "against"),
    [
        (date(2024, 5, 9), bills(d01=100), bills(d01=40, d05=60, d09=1)),
        (None, bills(d01=100), bills(d01=40, d05=60)),
        (date(2024, 5, 1), bills(d01=10), bills(d01=11)),
        (None, bills(d01=10, d07=5), bills(d01=11)),
        (date(2024, 5, 8), bills(d01=10, d07=5), bills(d01=11, d08=5)),
        (date(2024, 5, 2), bills(d01=-5, d02=-1), bills(d01=-5)),
        (None, [], []),
    ],
)
def test_a_way_is_ahead_only_when_it_stays_so(
    expected: date | None, way: list[Bill], against: list[Bill]
) -> None:
    """Equal is not less; a lead that is lost again does not count; bills of one day count together."""
    assert expected == break_even(way, against, UTC)


def test_bills_fall_on_the_local_day() -> None:
    """An instant late in the evening, UTC, is the next day in Tokyo."""
    evening = [Bill(moment("2024-05-01T20:00:00Z"), 10)]
    next_day = [Bill(moment("2024-05-02"), 9)]

    assert date(2024, 5, 1) == break_even(next_day, evening, UTC)
    assert date(2024, 5, 2) == break_even(next_day, evening, ZoneInfo("Asia/Tokyo"))
