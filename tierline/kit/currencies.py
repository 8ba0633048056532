"""The ISO 4217 table, as a value for the core."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from iso4217 import Currency


@cache
def exponents() -> Mapping[str, int]:
    """Digits after the point per currency code: EUR 2, JPY 0, KWD 3, CLF 4.

    Codes without a minor unit (gold, test codes) are not money to bill in and are left out.
    """
    return MappingProxyType(
        {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}
    )
