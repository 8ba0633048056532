"""The catalog as a value: prices by formula, names in any case, aliases per channel."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from tests.support.price_book import MONTH, PRICE_BOOK, YEAR
from tierline.domain.calendar import Interval
from tierline.domain.catalog import Catalog, Plan, Price, Tier, months_in
from tierline.domain.cycles import Cycle


@pytest.mark.parametrize(
    ("expected", "price", "seats"),
    [
        (34_800, Price(0, 2900), 12),
        (6_000_000, Price(6_000_000, 108_000, 50), 50),
        (6_000_000, Price(6_000_000, 108_000, 50), 3),
        (6_216_000, Price(6_000_000, 108_000, 50), 52),
        (500, Price(500), 1000),
    ],
)
def test_a_price_is_flat_plus_seats_above_the_included(expected: int, price: Price, seats: int) -> None:
    """flat + max(0, seats - included) x per seat."""
    assert expected == price.of(seats)


def test_a_plan_has_no_price_in_other_currencies() -> None:
    """None, not zero."""
    team = PRICE_BOOK.plans["team-month"]

    assert (34_800, None) == (team.price("EUR", 12), team.price("CHF", 12))
    assert PRICE_BOOK.items(team, "CHF", 12) is None


def test_months_compare_plans_of_any_interval() -> None:
    """A year is twelve months; a week is 7 / 30.436875 of one."""
    assert Fraction(12) == months_in(YEAR)
    assert Fraction(7 * 4800, 146_097) == months_in(Interval.parse("1week"))


@pytest.mark.parametrize("name", ["team-month", "Team-Month", "TEAM-MONTH"])
def test_plans_are_found_in_any_case(name: str) -> None:
    """Exactly first, else the only one that differs just in case."""
    assert PRICE_BOOK.plans["team-month"] is PRICE_BOOK.plan(name)


def test_a_name_in_another_case_that_means_two_plans_means_none() -> None:
    """Nothing is guessed."""
    both = {name: Plan(name, name, "team", MONTH, {"EUR": Price(1)}) for name in ("pro", "Pro")}
    catalog = Catalog("v", (Tier("team", 0),), both)

    assert both["Pro"] is catalog.plan("Pro")
    assert catalog.plan("PRO") is None


@pytest.mark.parametrize(
    ("expected", "channel", "name"),
    [
        ("team-month", "partner", "OFF-TEAM-M"),
        ("team-month", "partner", "off-team-m"),
        ("team-month", "partner", "team-month"),
        ("business-year", "marketplace", "gold"),
        (None, "partner", "gold"),
        (None, "partner", "OFF-NOTHING"),
    ],
)
def test_each_channel_has_its_own_names(expected: str | None, channel: str, name: str) -> None:
    """An alias counts in its channel; our own plan ids count everywhere."""
    found = PRICE_BOOK.plan_for_alias(channel, name)

    assert expected == (found.id if found else None)


@pytest.mark.parametrize(
    ("expected", "current", "target"),
    [
        (Cycle.KEEP_BILLING_DAY, "team-month", "business-year"),
        (Cycle.RESTART, "business-year", "team-month"),
        (Cycle.KEEP_PERIOD, "team-month", "business-month"),
    ],
)
def test_cycle_of_a_pair_of_plans(expected: Cycle, current: str, target: str) -> None:
    """What the target states for that plan, else equal intervals keep the period and others restart."""
    assert expected == PRICE_BOOK.cycle(PRICE_BOOK.plans[current], PRICE_BOOK.plans[target])


def test_items_of_a_plan_with_modules() -> None:
    """The plan is ``base`` with the seats; a module counts seats only when it is priced by seat."""
    items = PRICE_BOOK.items(PRICE_BOOK.plans["business-month"], "EUR", 5, ["sso", "audit"])

    assert items is not None
    assert [("base", 5, 42_000), ("audit", 1, 9900), ("sso", 5, 1500)] == [
        (item.id, item.quantity, item.list_minor) for item in items
    ]
    assert {MONTH} == {item.interval for item in items}


def test_a_module_without_a_price_for_the_interval_cannot_be_billed() -> None:
    """None, as for a currency; unknown modules too."""
    assert PRICE_BOOK.items(PRICE_BOOK.plans["business-year"], "EUR", 5, ["sso"]) is None
    assert PRICE_BOOK.items(PRICE_BOOK.plans["business-month"], "EUR", 5, ["nothing"]) is None


def test_modules_add_their_features_to_those_of_the_plan() -> None:
    """Each feature once, those of the plan first."""
    plan = replace(PRICE_BOOK.plans["business-month"], features=("boards", "audit-stream"))

    assert ("boards", "audit-stream", "single-sign-on") == PRICE_BOOK.features(plan, ["sso", "audit"])


def test_modules_that_exclude_each_other_are_named_in_pairs() -> None:
    """One of the two saying so is enough."""
    modules = dict(PRICE_BOOK.modules)
    modules["sso"] = replace(modules["sso"], excludes=frozenset({"audit"}))
    catalog = replace(PRICE_BOOK, modules=modules)

    assert (("audit", "sso"),) == catalog.exclusions(["sso", "audit", "unknown"])
    assert () == catalog.exclusions(["sso"])
    assert () == PRICE_BOOK.exclusions(["sso", "audit"])


@pytest.mark.parametrize(
    ("expected", "day", "country"),
    [
        (False, "2024-01-31", "DE"),
        (True, "2024-02-01", "DE"),
        (True, "2024-12-31", "FR"),
        (False, "2025-01-01", "DE"),
        (False, "2024-05-01", "US"),
    ],
)
def test_a_plan_is_sellable_within_its_days_and_countries(expected: bool, day: str, country: str) -> None:
    """From is inclusive, to is exclusive; no countries means everywhere."""
    plan = Plan(
        "p",
        "P",
        "team",
        MONTH,
        {"EUR": Price(1)},
        countries=frozenset({"DE", "FR"}),
        sellable_from=date(2024, 2, 1),
        sellable_to=date(2025, 1, 1),
    )

    assert expected == plan.sellable(date.fromisoformat(day), country)
    assert PRICE_BOOK.plans["team-month"].sellable(date.fromisoformat(day), country)


@pytest.mark.parametrize(("expected", "days"), [(1, 0), (1, 45), (0, 46), (0, -1)])
def test_offers_open_shortly_before_the_renewal(expected: int, days: int) -> None:
    """Within N days of it, for the plans they name."""
    assert expected == len(PRICE_BOOK.offers_for(PRICE_BOOK.plans["business-year"], days))
    assert () == PRICE_BOOK.offers_for(PRICE_BOOK.plans["team-month"], days)


def test_a_year_is_a_year_in_any_words() -> None:
    """The price book's intervals are equal by meaning."""
    assert Interval.parse("4quarter") == YEAR
