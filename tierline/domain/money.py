"""Money in minor units of one currency, the one rounding rule, and fair division of a whole.

Amounts stay exact (``int`` or ``Fraction``) until a line is rounded, once, half away from zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

Exact = int | Fraction

ROUNDING = "half away from zero, once per line"


class CurrencyMismatch(ValueError):
    """Two amounts in different currencies met. Convert one of them before; the core never converts."""


@dataclass(frozen=True, slots=True)
class Money:
    """``minor`` units (cents, yen, fils) of the ISO 4217 ``currency``."""

    minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other)

    def times(self, factor: Exact) -> Money:
        """This amount times an exact factor, rounded once."""
        return Money(round_ratio(self.minor * factor.numerator, factor.denominator), self.currency)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not add up")
        return other.minor


def round_half_away(value: Exact) -> int:
    """The nearest whole number; a tie goes away from zero (-4838.5 is -4839)."""
    return round_ratio(value.numerator, value.denominator)


def round_ratio(numerator: int, denominator: int) -> int:
    """``numerator / denominator`` rounded half away from zero; ``denominator`` is positive."""
    if numerator < 0:
        return -((-2 * numerator + denominator) // (2 * denominator))
    return (2 * numerator + denominator) // (2 * denominator)


def allocate(total_minor: int, weights: Mapping[str, Exact]) -> dict[str, int]:
    """Divide a whole over weights so that the parts always sum to it.

    Largest remainder: every part is rounded towards zero, the units left over go to the largest
    remainders, ties to the smaller id. Weights are not negative and not all zero.
    """
    whole = sum((Fraction(weight) for weight in weights.values()), start=Fraction(0))
    if whole <= 0 or min(weights.values()) < 0:
        raise ValueError("weights must not be negative, and at least one must be above zero")
    sign = -1 if total_minor < 0 else 1
    shares = {key: Fraction(abs(total_minor) * weight, whole) for key, weight in weights.items()}
    parts = {key: share.numerator // share.denominator for key, share in shares.items()}
    left_over = abs(total_minor) - sum(parts.values())
    for key in sorted(shares, key=lambda key: (parts[key] - shares[key], key))[:left_over]:
        parts[key] += 1
    return {key: sign * part for key, part in parts.items()}
