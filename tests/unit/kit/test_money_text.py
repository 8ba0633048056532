"""Money as text: always the currency's ISO digits, exact both ways, in any locale."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.domain.money import Money
from tierline.kit.currencies import exponents
from tierline.kit.money_text import (
    LocaleUnknown,
    MoneyTextRefused,
    format_exact,
    format_money,
    parse_money,
)


@pytest.mark.parametrize(
    ("expected", "code"), [(2, "EUR"), (0, "JPY"), (3, "KWD"), (4, "CLF"), (None, "XAU")]
)
def test_exponents_are_those_of_iso_4217(expected: int | None, code: str) -> None:
    """Codes without a minor unit are not money to bill in."""
    assert expected == exponents().get(code)


@pytest.mark.parametrize(
    ("expected", "money", "locale"),
    [
        ("-$24.19", Money(-2419, "USD"), "en"),
        ("-24,19\xa0$", Money(-2419, "USD"), "de-DE"),
        ("¥1,900", Money(1900, "JPY"), "en"),
        ("KWD1.234", Money(1234, "KWD"), "en"),
        ("CLF0.0001", Money(1, "CLF"), "en"),
        ("HUF12.50", Money(1250, "HUF"), "en"),
    ],
)
def test_money_is_written_with_its_iso_digits(expected: str, money: Money, locale: str) -> None:
    """Also where a locale would prefer fewer, as for forints."""
    assert expected == format_money(money, locale)


def test_an_exact_amount_shows_more_digits_only_when_it_has_them() -> None:
    """A price that was not rounded yet."""
    assert "$37.50" == format_exact(3750, "USD")
    assert "$66.666667" == format_exact(Fraction(20_000, 3), "USD")


@pytest.mark.parametrize(
    ("expected", "text", "currency", "locale"),
    [
        (123_450, "1,234.50", "EUR", "en"),
        (123_450, "1.234,5", "EUR", "de"),
        (-5, "-0.05", "EUR", "en"),
        (1234, "1.234", "KWD", "en"),
        (1900, " 1900 ", "JPY", "en"),
    ],
)
def test_money_is_read_exactly(expected: int, text: str, currency: str, locale: str) -> None:
    """In the words of the locale."""
    assert Money(expected, currency) == parse_money(text, currency, locale)


@pytest.mark.parametrize(
    ("text", "currency"),
    [("1.005", "EUR"), ("0.5", "JPY"), ("", "EUR"), ("ten", "EUR"), ("NaN", "EUR"), ("1", "XAU")],
)
def test_text_that_is_no_amount_is_refused(text: str, currency: str) -> None:
    """Nothing is rounded on the way in."""
    with pytest.raises(MoneyTextRefused):
        parse_money(text, currency)


@pytest.mark.parametrize("locale", ["xx", "", "not a locale"])
def test_an_unknown_locale_is_refused(locale: str) -> None:
    """For writing and for reading."""
    with pytest.raises(LocaleUnknown):
        format_money(Money(1, "EUR"), locale)
    with pytest.raises(LocaleUnknown):
        parse_money("1", "EUR", locale)


@given(st.integers(-(10**15), 10**15), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_what_is_written_can_be_read_again(minor: int, currency: str) -> None:
    """Digits and signs survive; only the currency's sign is taken off."""
    text = format_money(Money(minor, currency), "en")
    digits = "".join(char for char in text if char.isdigit() or char in "-.,")

    assert Money(minor, currency) == parse_money(digits, currency, "en")
