"""What two catalogs differ in, place by place."""

from __future__ import annotations

from dataclasses import replace

from tests.support.price_book import PRICE_BOOK
from tierline.domain.catalog import Price
from tierline.domain.catalog_record import catalog_record, differences


def test_equal_catalogs_differ_in_nothing() -> None:
    """The version alone is no difference."""
    assert () == differences(PRICE_BOOK, replace(PRICE_BOOK, version="other"))


def test_a_changed_price_a_new_and_a_lost_plan_are_named() -> None:
    """Each value with its path, before and after."""
    plans = dict(PRICE_BOOK.plans)
    del plans["starter-month"]
    plans["team-month"] = replace(plans["team-month"], prices={"EUR": Price(0, 3100), "USD": Price(100)})

    found = [str(each) for each in differences(PRICE_BOOK, replace(PRICE_BOOK, plans=plans))]

    assert "~ plans.team-month.prices.EUR.per_seat_minor: 2900 -> 3100" in found
    assert "+ plans.team-month.prices.USD.flat_minor: 100" in found
    assert "- plans.starter-month.tier: starter" in found
    assert all("starter-month" in line or "team-month" in line for line in found)


def test_the_record_is_plain() -> None:
    """Sets are sorted lists: equal catalogs give equal records."""
    record = catalog_record(PRICE_BOOK)

    assert {"rank": 3, "includes": ["audit", "sso"]} == record["tiers"]["enterprise"]  # type: ignore[index]
    assert ["business", "team"] == record["modules"]["sso"]["tiers"]  # type: ignore[index]
