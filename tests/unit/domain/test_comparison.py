"""What a person asks to compare is held against catalog, account and subscription before it is priced."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import pytest

from tests.support.given_when_then import Decider
from tests.support.order_values import CATALOG, YEAR, an_opening, an_order, plan
from tierline.domain.account import OpenAccount
from tierline.domain.catalog import Catalog, Module, Offer, Price
from tierline.domain.comparison import Comparison, Wish, compare
from tierline.domain.refusal import InputRefused
from tierline.domain.subscription import ActiveSubscription
from tierline.domain.totals import Way

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
OFFER = Offer("late-autumn", frozenset({"business-year"}), Fraction(10), 45)
MONTHLY_ONLY = Module("chat", "Chat", ("chat",), frozenset({"team", "business"}), {})
SSO = Module(
    "sso",
    "Single sign-on",
    ("sso",),
    frozenset({"team", "business"}),
    {
        interval: {"EUR": Price(0, 100)}
        for interval in (plan("x", "team", YEAR, 1).interval, CATALOG.plans["team-month"].interval)
    },
    excludes=frozenset({"chat"}),
)
BOOK = replace(CATALOG, offers=(OFFER,), modules={"sso": SSO, "chat": MONTHLY_ONLY})


def opened(**changed: object) -> tuple[OpenAccount, ActiveSubscription]:
    """The account and subscription of the import example, as the decider folds them."""
    decider = Decider()
    opening = an_opening(**changed)  # type: ignore[arg-type] # fields of the body
    decider.decide(opening)
    state = decider.state(opening)
    assert isinstance(state.account, OpenAccount)
    assert isinstance(state.subscription, ActiveSubscription)
    return state.account, state.subscription


def compared(wish: Wish, catalog: Catalog = BOOK, at: datetime = AT, **changed: object) -> Comparison:
    account, subscription = opened(**changed)
    return compare(account, subscription, catalog, catalog, wish, at)


def test_a_monthly_wish_is_compared_with_its_annual_twin() -> None:
    """Same tier, by the year, less the offer's percentage, counted by the plans' own cycles."""
    found = compared(Wish("business-month", 15))

    assert ("business-year", "late-autumn") == (
        found.annual and found.annual.id,
        found.offer and found.offer.id,
    )
    yearly = found.totals.way(Way.ANNUAL)
    assert yearly is not None
    whole = 15 * 100_800 * 9 // 10
    charge = yearly.quote.lines[-1]
    assert (whole, date(2027, 11, 1)) == (charge.whole_minor, yearly.period.end)


def test_now_costs_what_the_decider_would_charge() -> None:
    """The same lines as the quote of an order at that instant."""
    decider = Decider()
    decider.decide(an_opening())
    events = decider.decide(an_order(seats=15))
    assert isinstance(events, tuple)
    issued = next(event.body for event in events if type(event.body).__name__ == "QuoteIssued")

    now = compared(Wish("business-year", 15)).totals.way(Way.NOW)

    assert now is not None
    assert issued.net_minor == now.first.amount_minor  # type: ignore[union-attr] # a QuoteIssued


def test_more_seats_of_the_plan_in_force_cost_what_they_cost_when_it_was_bought() -> None:
    """The price that an order would charge; the newest book counts for other plans alone."""
    dearer = plan("team-month", "team", BOOK.plans["team-month"].interval, 9_999)
    newest = replace(BOOK, version="c2", plans={**BOOK.plans, "team-month": dearer})
    account, subscription = opened()

    more = compare(account, subscription, newest, BOOK, Wish("team-month", 13), AT)
    other = compare(account, subscription, newest, BOOK, Wish("business-month"), AT)

    now = more.totals.way(Way.NOW)
    assert now is not None
    assert 13 * 2_900 == now.quote.lines[-1].whole_minor
    assert ("c1", "c2") == (more.catalog_version, other.catalog_version)


def test_a_price_book_that_is_not_here_prices_nothing() -> None:
    """Another price than the order's would be a lie; the message names the version."""
    account, subscription = opened()

    with pytest.raises(InputRefused, match="catalog c1, under which team-month was bought"):
        compare(account, subscription, replace(BOOK, version="c2"), None, Wish("team-month", 13), AT)


def test_seats_and_modules_stay_unless_they_are_named() -> None:
    """Seats as now; of the modules those that the new tier neither includes nor forbids."""
    account, subscription = opened()
    equipped = replace(subscription, modules=("sso", "gone"))

    kept, emptied = (
        compare(account, equipped, BOOK, BOOK, wish, AT)
        for wish in (Wish("business-month"), Wish("business-month", modules=()))
    )

    assert (12, ("sso",)) == (kept.seats, kept.choice.modules)
    assert ["gone is not in catalog c1"] == [note.detail for note in kept.choice.notes]
    assert () == emptied.choice.modules


def test_an_overdue_subscription_is_priced_in_the_period_that_is_in_force() -> None:
    """In January the renewal is on 1 February, whatever the stored period says."""
    found = compared(Wish("business-month"), at=datetime(2027, 1, 10, 12, tzinfo=UTC))

    renewal = found.totals.way(Way.AT_RENEWAL)
    assert renewal is not None
    assert date(2027, 2, 1) == renewal.first.at


@pytest.mark.parametrize(
    ("reason", "wish", "changed", "catalog"),
    [
        ("there is no offer for business-year", Wish("business-month"), {}, CATALOG),
        (
            "the offer opens 5 days before the renewal, which is 8 days away",
            Wish("business-month"),
            {},
            replace(BOOK, offers=(replace(OFFER, within_days=5),)),
        ),
        ("business-year takes at least 10 seats", Wish("business-month", 9), {}, BOOK),
        (
            "enterprise is not sold by the year in EUR",
            Wish("enterprise-month"),
            {},
            replace(
                BOOK,
                plans={
                    **BOOK.plans,
                    "enterprise-month": plan(
                        "enterprise-month", "enterprise", CATALOG.plans["team-month"].interval, 1
                    ),
                    "enterprise-year": replace(BOOK.plans["enterprise-year"], prices={"USD": Price(1)}),
                },
            ),
        ),
    ],
)
def test_a_missing_annual_way_says_why(
    reason: str, wish: Wish, changed: dict[str, Any], catalog: Catalog
) -> None:
    """The other two totals are there all the same."""
    found = compared(wish, catalog, **changed)

    assert (reason, None) == (found.why_not_annual, found.totals.way(Way.ANNUAL))
    assert 2 == len(found.totals.ways)


@pytest.mark.parametrize(
    ("field", "reason", "wish"),
    [
        ("plan", "'platinum' is not in catalog c1", Wish("platinum")),
        ("plan", "business-usd has no price in EUR, only in USD", Wish("business-usd")),
        ("plan", "business-us is not sold in DE on 2026-11-23", Wish("business-us")),
        ("plan", "business-old is not sold in DE on 2026-11-23", Wish("business-old")),
        ("plan", "team-month with 12 seats and these modules is in force already", Wish("team-month")),
        ("seats", "business-year takes 10 to 500 seats, not 9", Wish("business-year", 9)),
        ("seats", "business-year takes 10 to 500 seats, not 501", Wish("business-year", 501)),
        ("modules", "'telepathy' is not in catalog c1", Wish("business-year", modules=("telepathy",))),
        ("modules", "sso does not go with enterprise-year", Wish("enterprise-year", modules=("sso",))),
        ("modules", "chat and sso exclude each other", Wish("business-year", modules=("sso", "chat"))),
        ("modules", "chat has no price in EUR for 1year", Wish("business-year", modules=("chat",))),
    ],
)
def test_a_wish_that_cannot_be_priced_is_refused(field: str, reason: str, wish: Wish) -> None:
    """The field that is wrong, and what would be right."""
    with pytest.raises(InputRefused) as refused:
        compared(wish)

    assert (field, reason) == (refused.value.field, refused.value.reason)
