"""Upgrade or downgrade: the table that defines it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.price_book import PRICE_BOOK
from tierline.domain.direction import Choice, direction

TABLE = [
    # expected, current (plan, seats, modules), target
    ("upgrade", ("team-month", 5, ""), ("business-month", 5, "")),
    ("upgrade", ("team-month", 5, ""), ("business-month", 2, "")),
    ("upgrade", ("team-year", 5, "sso"), ("business-month", 5, "")),
    ("downgrade", ("business-month", 5, ""), ("team-month", 5, "")),
    ("downgrade", ("business-month", 5, ""), ("team-year", 50, "sso")),
    ("upgrade", ("team-month", 5, ""), ("team-year", 5, "")),
    ("upgrade", ("team-month", 5, "sso"), ("team-year", 3, "")),
    ("downgrade", ("team-year", 5, ""), ("team-month", 9, "sso")),
    ("upgrade", ("team-month", 5, ""), ("team-month", 6, "")),
    ("upgrade", ("team-month", 5, "sso"), ("team-month", 6, "")),
    ("downgrade", ("team-month", 5, ""), ("team-month", 4, "")),
    ("downgrade", ("team-month", 5, ""), ("team-month", 4, "sso")),
    ("upgrade", ("team-month", 5, ""), ("team-month", 5, "sso")),
    ("upgrade", ("team-month", 5, "sso"), ("team-month", 5, "audit")),
    ("downgrade", ("team-month", 5, "sso audit"), ("team-month", 5, "sso")),
    ("unchanged", ("team-month", 5, "sso"), ("team-month", 5, "sso")),
]


def choice(plan: str, seats: int, modules: str) -> Choice:
    """A choice of the test price book."""
    return Choice(PRICE_BOOK.plans[plan], seats, frozenset(modules.split()))


@pytest.mark.parametrize(("expected", "current", "target"), TABLE)
def test_direction_table(expected: str, current: tuple[str, int, str], target: tuple[str, int, str]) -> None:
    """Tier, then interval, then seats, then modules: the first difference decides for the whole change."""
    assert expected == direction(PRICE_BOOK, choice(*current), choice(*target))


def test_another_plan_of_the_same_standing_is_lateral() -> None:
    """Neither up nor down: only the plan differs."""
    team = PRICE_BOOK.plans["team-month"]

    assert "lateral" == direction(PRICE_BOOK, Choice(team, 5), Choice(replace(team, id="team-month-2"), 5))
