"""An account keeps the price book that its plan was bought under, until it changes plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.given_when_then import Decided, Given
from tests.support.order_values import (
    ACCOUNT,
    CATALOG,
    MINUTE,
    NOON,
    a_renewal,
    a_result,
    an_opening,
    an_order,
    ms,
)
from tierline.domain.account import OpenAccount
from tierline.domain.catalog import Catalog, Plan, Price, Tier
from tierline.domain.commands import Command
from tierline.domain.events import (
    BillingScheduleAdjusted,
    CreditReserved,
    OrderCompleted,
    OrderReceived,
    OrderRejected,
    PaymentRequested,
    PeriodInvoiced,
    PeriodRolled,
    QuoteIssued,
    TierChanged,
)


def dearer(plan: Plan) -> Plan:
    """The plan at twice its price, with a new feature."""
    prices = {currency: Price(0, price.per_seat_minor * 2) for currency, price in plan.prices.items()}
    return replace(plan, prices=prices, features=(*plan.features, "new"))


NEXT = Catalog("c2", CATALOG.tiers, {name: dearer(plan) for name, plan in CATALOG.plans.items()})
MORE_SEATS = an_order(plan=None, seats=20)


def under_next(*before: Command, payment: str = "invoice", catalog: Catalog = NEXT) -> Given:
    """A subscription opened under c1; then c2 is published."""
    return Given(an_opening(contract=None, payment=payment), *before).later(catalog=catalog)


def charge(decided: Decided) -> int:
    """What the new items cost."""
    return decided.the(QuoteIssued).lines[-1].amount_minor


@pytest.mark.parametrize("plan", [None, "team-month", "TEAM-MONTH"])
def test_seats_of_the_same_plan_are_priced_as_it_was_bought(plan: str | None) -> None:
    """8/30 of 20 seats at the old price; entitlements of the old version too."""
    decided = under_next().when(an_order(plan=plan, seats=20))

    assert 15_467 == charge(decided)
    assert "c1" == decided.the(QuoteIssued).catalog_version
    assert "new" not in decided.subscription.features


def test_another_plan_is_priced_by_the_newest() -> None:
    """And from then on that version is kept."""
    given = under_next()
    decided = given.when(an_order(plan="business-month", seats=12))
    assert (2 * 31_680, "c2") == (charge(decided), decided.the(QuoteIssued).catalog_version)
    assert "c2" == decided.subscription.catalog_version
    given.later(catalog=replace(CATALOG, version="c3"))

    more = given.when(an_order("PO-2", offset=1, plan=None, seats=20, received_at=NOON + MINUTE))

    assert (2 * 52_800, "c2") == (charge(more), more.the(QuoteIssued).catalog_version)


def test_events_name_the_version_that_priced_them() -> None:
    """What was priced names c1, what was only judged names the newest."""
    decided = under_next().when(MORE_SEATS)
    recorded = {
        event.type: event.catalog_version
        for stream in decided.decider.streams.values()
        for event in stream
        if event.order_id
    }

    priced = (QuoteIssued, TierChanged, BillingScheduleAdjusted, OrderCompleted)
    assert {"c1"} == {recorded[kind.__name__] for kind in priced}
    assert "c2" == recorded[OrderReceived.__name__]


def test_payment_that_ends_under_a_newer_price_book_keeps_the_quoted_version() -> None:
    """The plan was bought when it was priced, not when its money came."""
    order = an_order(plan="business-month", seats=12)
    given = under_next(order, payment="gateway")
    given.when(a_result(order, "authorized", 22_400))
    paid = given.when(a_result(order, "captured", 22_400, offset=1))

    assert "c1" == paid.event(TierChanged).catalog_version
    assert "c1" == paid.subscription.catalog_version


def test_plan_that_is_sold_no_more_can_still_grow() -> None:
    """Its price book knows it."""
    plans = {name: plan for name, plan in NEXT.plans.items() if name != "team-month"}
    given = under_next(catalog=replace(NEXT, plans=plans))

    assert 15_467 == charge(given.when(MORE_SEATS))
    upgraded = given.when(
        an_order("PO-2", offset=1, plan="business-month", seats=20, received_at=NOON + MINUTE)
    )
    upgraded.the(OrderCompleted)


def test_version_that_was_never_published_is_a_reason() -> None:
    """Never silently another price; the detail says which version is missing."""
    given = under_next()
    given.decider.published.clear()
    (reason,) = given.when(MORE_SEATS).the(OrderRejected).reasons

    assert "PRICE_REFUSED" == reason.code
    assert reason.detail.startswith("catalog c1, under which team-month was bought, is not among")


def test_tier_that_is_gone_cannot_be_compared() -> None:
    """The direction of the change is unknown; the detail names the tier."""
    tiers = tuple(Tier("crew", 1) if tier.name == "team" else tier for tier in CATALOG.tiers)
    plans = {name: plan for name, plan in NEXT.plans.items() if plan.tier != "team"}
    decided = under_next(catalog=Catalog("c2", tiers, plans)).when(an_order(plan="business-month"))

    (reason,) = decided.the(OrderRejected).reasons
    assert ("PRICE_REFUSED", "tier 'team' of the plan in force is not in catalog c2") == (
        reason.code,
        reason.detail,
    )


def test_periods_name_the_version_whose_price_they_invoice() -> None:
    """The plan was bought under c1, and its next period costs what it cost then."""
    december = ms("2026-12-01T09:00:00")
    for command in (a_renewal(december), an_order(plan=None, seats=20, received_at=december)):
        decided = under_next().when(command)
        rolled = [e for e in decided.events if isinstance(e.body, PeriodRolled | PeriodInvoiced)]

        assert [12 * 2_900] == [e.body.amount_minor for e in rolled if isinstance(e.body, PeriodInvoiced)]
        assert ["c1", "c1"] == [event.catalog_version for event in rolled]


def test_credit_and_money_name_the_version_of_their_quote() -> None:
    """Set aside and asked for at the prices of c1, while c2 is the newest."""
    given = under_next(payment="gateway")
    account = given.decider.accounts[ACCOUNT]
    assert isinstance(account, OpenAccount)
    given.decider.accounts[ACCOUNT] = replace(account, credit_minor=1)

    decided = given.when(MORE_SEATS)

    kinds = (QuoteIssued, CreditReserved, PaymentRequested)
    priced = [event for event in decided.events if isinstance(event.body, kinds)]
    assert [kind.__name__ for kind in kinds] == [type(event.body).__name__ for event in priced]
    assert {"c1"} == {event.catalog_version for event in priced}
