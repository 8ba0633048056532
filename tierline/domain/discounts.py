"""Discounts: what a whole interval of an item costs after them, exactly.

Order: item percentages, subscription percentages, item amounts, subscription amounts. An amount is per
line and interval; a price never falls below zero, and what that floor cuts off is lost. A subscription
amount is spread over the items by their list prices. Nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol
from zoneinfo import ZoneInfo

from tierline.domain.calendar import Moment, local_date
from tierline.domain.money import Exact
from tierline.domain.values import replace


@dataclass(frozen=True, slots=True)
class Discount:
    """Either ``percent`` (0-100) or ``amount_minor`` per line and interval.

    ``periods``: billing periods it still covers, the one in force included; None is forever, 1 is once.
    ``until``: covers periods that start before it. ``carry_over``: goes along when the plan changes.
    """

    percent: Fraction | None = None
    amount_minor: int | None = None
    periods: int | None = None
    until: Moment | None = None
    carry_over: bool = False
    id: str | None = None


class Priced(Protocol):
    """What a discount needs to know of an item."""

    @property
    def id(self) -> str: ...
    @property
    def list_minor(self) -> int: ...
    @property
    def discounts(self) -> tuple[Discount, ...]: ...


def in_force(
    discounts: Iterable[Discount], period: int, start: Moment, zone: ZoneInfo
) -> tuple[Discount, ...]:
    """The discounts that cover the period that starts at ``start``; ``period`` 1 is the one in force."""
    return tuple(
        discount
        for discount in discounts
        if (discount.periods is None or period <= discount.periods)
        and _begins_before_end(discount, start, zone)
    )


def open_on(opening: Moment, discounts: Iterable[Discount], zone: ZoneInfo) -> tuple[Discount, ...]:
    """Those that do not end before a period that opens then; the others cover no period after it either."""
    return tuple(discount for discount in discounts if _begins_before_end(discount, opening, zone))


def after_periods(discounts: Iterable[Discount], elapsed: int) -> tuple[Discount, ...]:
    """The discounts as they stand ``elapsed`` periods later, used up ones left out."""
    return tuple(
        discount if discount.periods is None else replace(discount, periods=discount.periods - elapsed)
        for discount in discounts
        if discount.periods is None or discount.periods > elapsed
    )


def carried_over(
    discounts: Iterable[Discount], elapsed: int, present: Sequence[Discount]
) -> tuple[Discount, ...]:
    """``present`` and those of ``discounts`` that go along with a plan change and are not among them yet."""
    named = {discount.id for discount in present if discount.id is not None}
    moving = (discount for discount in discounts if discount.carry_over and discount.id not in named)
    return (*present, *(moved for moved in after_periods(moving, elapsed) if moved not in present))


def discounted_prices(
    items: Sequence[Priced], discounts: Sequence[Discount], period: int, start: Moment, zone: ZoneInfo
) -> dict[str, Exact]:
    """The exact price of a whole interval per item id, for the period that starts at ``start``."""
    if not discounts and not any(item.discounts for item in items):
        return {item.id: item.list_minor for item in items}
    overall = in_force(discounts, period, start, zone)
    whole = sum(item.list_minor for item in items)
    shared = sum(discount.amount_minor or 0 for discount in overall)
    prices: dict[str, Exact] = {}
    for item in items:
        own = in_force(item.discounts, period, start, zone)
        price: Exact = item.list_minor
        for discount in (*own, *overall):
            if discount.percent is not None:
                price *= Fraction(100 - discount.percent, 100)
        amount: Exact = sum(discount.amount_minor or 0 for discount in own)
        if shared:
            amount += Fraction(shared * item.list_minor, whole or 1)
        prices[item.id] = max(price - amount, 0)
    return prices


def _begins_before_end(discount: Discount, start: Moment, zone: ZoneInfo) -> bool:
    return discount.until is None or local_date(start, zone) < local_date(discount.until, zone)
