"""Discounts: percentages before amounts, an item's own before the subscription's, nothing below zero."""

from __future__ import annotations

from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.billing import amount, item, moment, percent
from tierline.domain.discounts import (
    Discount,
    after_periods,
    carried_over,
    discounted_prices,
    in_force,
)

UTC_ZONE = ZoneInfo("UTC")
START = moment("2024-05-01")


def price(unit_minor: int, own: tuple[Discount, ...], overall: tuple[Discount, ...] = ()) -> Fraction | int:
    """The discounted price of one item."""
    return discounted_prices([item(unit_minor, discounts=own)], overall, 1, START, UTC_ZONE)["base"]


@pytest.mark.parametrize(
    ("expected", "own", "overall"),
    [
        (7500, (percent("25"),), ()),
        (5625, (percent("25"), percent("25")), ()),
        (6750, (percent("25"),), (percent("10"),)),
        (7000, (percent("25"), amount(500)), ()),
        (6250, (percent("25"), amount(500)), (percent("10"),)),
        (5250, (amount(500), percent("25")), (amount(1000), percent("10"))),
        (9950, (percent("0.5"),), ()),
        (0, (amount(10_001),), ()),
        (0, (percent("100"),), (amount(5),)),
    ],
)
def test_percentages_come_first_then_amounts(
    expected: int, own: tuple[Discount, ...], overall: tuple[Discount, ...]
) -> None:
    """The order of the list does not matter, only kind and level; the floor is zero."""
    assert expected == price(10_000, own, overall)


def test_a_discounted_price_stays_exact() -> None:
    """A third of a cent is kept until the line is rounded."""
    assert Fraction("6666.6666667") == price(10_000, (percent("33.333333333"),))


def test_a_subscription_amount_is_spread_by_list_price() -> None:
    """Weights are unit times quantity before discounts, and the parts are exact."""
    items = [item(1000, quantity=2, discounts=(percent("50"),)), item(1000, item_id="extra")]

    prices = discounted_prices(items, (amount(100),), 1, START, UTC_ZONE)

    assert {"base": 1000 - Fraction(200, 3), "extra": 1000 - Fraction(100, 3)} == prices


def test_what_the_floor_cuts_off_is_lost() -> None:
    """One item's unused part of an amount does not move to another item."""
    items = [item(1000, discounts=(percent("100"),)), item(1000, item_id="extra")]

    prices = discounted_prices(items, (amount(1000),), 1, START, UTC_ZONE)

    assert {"base": 0, "extra": 500} == prices


def test_a_subscription_amount_over_items_without_price_changes_nothing() -> None:
    """Nothing to spread over."""
    assert {"base": 0} == discounted_prices([item(0)], (amount(100),), 1, START, UTC_ZONE)


@pytest.mark.parametrize(
    ("expected", "discount", "number", "start"),
    [
        (True, percent("5"), 99, "2024-05-01"),
        (True, percent("5", periods=1), 1, "2024-05-01"),
        (False, percent("5", periods=1), 2, "2024-05-01"),
        (True, percent("5", periods=3), 3, "2024-05-01"),
        (True, percent("5", until=moment("2024-05-02")), 1, "2024-05-01"),
        (False, percent("5", until=moment("2024-05-01")), 1, "2024-05-01"),
    ],
)
def test_duration_decides_which_periods_a_discount_covers(
    expected: bool, discount: Discount, number: int, start: str
) -> None:
    """Once, n periods, until a day (the period must start before it), for ever."""
    assert expected == bool(in_force([discount], number, moment(start), UTC_ZONE))


def test_periods_count_down() -> None:
    """A discount that has none left is gone."""
    discounts = [percent("5"), percent("6", periods=1), percent("7", periods=3)]

    assert (percent("5"), percent("7", periods=2)) == after_periods(discounts, 1)


def test_only_discounts_that_say_so_are_carried_over() -> None:
    """Carry-over is stated per discount; a named one that the target already has is not doubled."""
    present = (percent("10", id="loyal"),)
    before = [
        percent("1"),
        percent("2", carry_over=True, periods=2),
        percent("3", carry_over=True, periods=1),
        percent("4", carry_over=True, id="loyal"),
    ]

    assert (*present, percent("2", carry_over=True, periods=1)) == carried_over(before, 1, present)


@given(
    st.integers(0, 10**9),
    st.lists(
        st.one_of(
            st.integers(0, 100).map(lambda value: percent(str(value))), st.integers(0, 10**9).map(amount)
        )
    ),
)
def test_a_discounted_price_is_between_zero_and_the_list_price(unit: int, discounts: list[Discount]) -> None:
    """No sequence of discounts raises a price or makes it negative."""
    assert 0 <= price(unit, tuple(discounts)) <= unit
