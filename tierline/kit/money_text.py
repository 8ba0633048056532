"""Money as people write and read it, in any locale. Inside, it stays whole minor units."""

from __future__ import annotations

from copy import copy
from decimal import Decimal, InvalidOperation

from babel import Locale, UnknownLocaleError
from babel.numbers import NumberFormatError, parse_decimal

from tierline.domain.money import Exact, Money, round_half_away
from tierline.kit.currencies import exponents

_EXTRA_DIGITS = 4


class LocaleUnknown(ValueError):
    """A locale that CLDR does not have. Use one such as en, de-DE or ja-JP."""


class MoneyTextRefused(ValueError):
    """Text that is not an amount of the currency. Write digits, with at most the currency's decimals."""


def format_money(money: Money, locale: str = "en") -> str:
    """``-€24.19``, ``-24,19 €``: always the currency's ISO 4217 digits, whatever the locale prefers."""
    digits = _digits(money.currency)
    return _formatted(Decimal(money.minor).scaleb(-digits), money.currency, locale, digits, digits)


def format_exact(minor: Exact, currency: str, locale: str = "en") -> str:
    """An amount that was not rounded yet, with up to four digits more than the currency has."""
    digits = _digits(currency)
    scaled = round_half_away(minor * 10**_EXTRA_DIGITS)
    value = Decimal(scaled).scaleb(-digits - _EXTRA_DIGITS)
    return _formatted(value, currency, locale, digits, digits + _EXTRA_DIGITS)


def parse_money(text: str, currency: str, locale: str = "en") -> Money:
    """The amount that the text states, exactly; more decimals than the currency has are refused."""
    digits = _digits(currency)
    try:
        value = parse_decimal(text.strip(), locale=_locale(locale), strict=True)
    except (NumberFormatError, InvalidOperation) as error:
        raise MoneyTextRefused(f"{text!r} is not an amount in {currency}") from error
    minor = value.scaleb(digits)
    if not value.is_finite() or minor != minor.to_integral_value():
        raise MoneyTextRefused(f"{text!r} has more than the {digits} decimals of {currency}")
    return Money(int(minor), currency)


def _locale(name: str) -> Locale:
    try:
        return Locale.parse(name, sep="-" if "-" in name else "_")
    except (UnknownLocaleError, ValueError):
        raise LocaleUnknown(f"{name!r} is not a locale such as en or de-DE") from None


def _digits(currency: str) -> int:
    try:
        return exponents()[currency]
    except KeyError:
        raise MoneyTextRefused(f"{currency!r} is not an ISO 4217 currency with a minor unit") from None


def _formatted(value: Decimal, currency: str, locale: str, least: int, most: int) -> str:
    parsed = _locale(locale)
    pattern = copy(parsed.currency_formats["standard"])
    pattern.frac_prec = (least, most)
    return str(pattern.apply(value, parsed, currency=currency, currency_digits=False))
