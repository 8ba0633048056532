"""Money: whole minor units of one currency, one rounding, parts that sum to the whole."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.domain.money import CurrencyMismatch, Money, allocate, round_half_away, round_ratio


def test_money_adds_within_one_currency() -> None:
    """Sums, differences and negations stay in the currency."""
    assert Money(150, "EUR") == Money(200, "EUR") - Money(50, "EUR")
    assert Money(250, "EUR") == Money(200, "EUR") + Money(50, "EUR")
    assert Money(-200, "EUR") == -Money(200, "EUR")


def test_money_of_two_currencies_does_not_add_up() -> None:
    """Nothing is converted silently."""
    with pytest.raises(CurrencyMismatch, match="EUR and USD"):
        Money(1, "EUR") + Money(1, "USD")
    with pytest.raises(CurrencyMismatch):
        _ = Money(1, "EUR") < Money(1, "USD")


def test_money_compares_within_one_currency() -> None:
    """Order is the order of minor units."""
    assert Money(1, "JPY") < Money(2, "JPY")
    assert not Money(2, "JPY") < Money(2, "JPY")
    assert Money(2, "JPY") <= Money(2, "JPY")
    assert not Money(3, "JPY") <= Money(2, "JPY")


def test_money_times_a_fraction_rounds_once() -> None:
    """A factor is exact; the product is rounded half away from zero."""
    assert Money(-4839, "USD") == Money(-9677, "USD").times(Fraction(1, 2))


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (-4839, Fraction(-48385, 10)),
        (4839, Fraction(48385, 10)),
        (-4838, Fraction(-48384, 10)),
        (1, Fraction(1, 2)),
        (-1, Fraction(-1, 2)),
        (0, Fraction(1, 3)),
        (0, Fraction(-1, 3)),
        (7, 7),
    ],
)
def test_rounding_is_half_away_from_zero(expected: int, value: Fraction | int) -> None:
    """A tie goes away from zero, everything else to the nearest."""
    assert expected == round_half_away(value)


@given(st.integers(), st.integers(min_value=1))
def test_rounding_is_symmetric_and_within_a_half(numerator: int, denominator: int) -> None:
    """The result is at most half a unit off, and negation commutes with rounding."""
    rounded = round_ratio(numerator, denominator)

    assert abs(rounded - Fraction(numerator, denominator)) <= Fraction(1, 2)
    assert -rounded == round_ratio(-numerator, denominator)


def test_allocation_gives_left_over_units_to_the_largest_remainders() -> None:
    """100 over 1:1:1 leaves one unit; equal remainders go by id."""
    assert {"a": 34, "b": 33, "c": 33} == allocate(100, {"c": 1, "b": 1, "a": 1})
    assert {"a": 33, "b": 67} == allocate(100, {"a": 1, "b": 2})
    assert {"a": 0, "b": 5} == allocate(5, {"a": 0, "b": Fraction(1, 7)})


def test_allocation_of_a_negative_whole_mirrors_the_positive_one() -> None:
    """Credits divide as charges do."""
    assert {"a": -34, "b": -33, "c": -33} == allocate(-100, {"a": 1, "b": 1, "c": 1})


@pytest.mark.parametrize("weights", [{}, {"a": 0}, {"a": 2, "b": -1}])
def test_allocation_needs_weights(weights: dict[str, int]) -> None:
    """No weight, or a negative one, has no fair division."""
    with pytest.raises(ValueError, match=r"weight|arg is an empty"):
        allocate(1, weights)


@given(
    st.integers(-(10**15), 10**15),
    st.dictionaries(st.text(min_size=1), st.fractions(min_value=0, max_value=10**6), min_size=1),
)
def test_allocated_parts_sum_to_the_whole(total: int, weights: dict[str, Fraction]) -> None:
    """No unit is lost or made, and no part is more than a unit off its exact share."""
    whole = sum(weights.values())
    if not whole:
        return

    parts = allocate(total, weights)

    assert total == sum(parts.values())
    assert all(abs(parts[key] - total * weight / whole) < 1 for key, weight in weights.items())


def test_an_amount_times_a_factor_is_rounded_once() -> None:
    """Two thirds of 1.00 are 0.67."""
    assert Money(67, "EUR") == Money(100, "EUR").times(Fraction(2, 3))
