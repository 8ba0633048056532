"""Account credit: set aside by one order, used or free again; never spent by two subscriptions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.given_when_then import ACTIVATED, Decided, Given
from tests.support.order_values import (
    ACCOUNT,
    MINUTE,
    NOON,
    ROW,
    SUBSCRIPTION,
    a_change,
    a_result,
    a_review,
    an_opening,
    an_order,
    due,
    order_of,
)
from tierline.domain.account import OpenAccount
from tierline.domain.commands import Command, ReleaseOrder
from tierline.domain.events import (
    CreditGranted,
    CreditReleased,
    CreditReserved,
    CreditUsed,
    Event,
    OrderFailed,
    OrderHeld,
    OrderReceived,
    OrderSuperseded,
    OrderValidated,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRequested,
    PaymentVoidRequested,
    QuoteIssued,
)

OTHER = "sub_89"
PRICE = 22_400
"""What business-month with 12 seats costs at noon: 8/30 of 118,800 less 8/30 of 34,800."""


def with_credit(minor: int, payment: str = "gateway") -> Given:
    """An account with two subscriptions, and credit that a change of a third one left over."""
    given = Given(
        an_opening(payment=payment, contract=None),
        an_opening(payment=payment, contract=None, subscription_id=OTHER, offset=1, external_refs=()),
    )
    given.decider.accounts[ACCOUNT] = replace(account_of(given), credit_minor=minor)
    return given


def account_of(given: Given) -> OpenAccount:
    """The account as it stands."""
    account = given.decider.accounts[ACCOUNT]
    assert isinstance(account, OpenAccount)
    return account


def upgrade(subscription_id: str = SUBSCRIPTION, minute: int = 0, **changed: Any) -> Command:
    """An order for business-month with 12 seats."""
    return an_order(
        f"PO-{subscription_id}-{minute}",
        offset=10 + minute,
        subscription_id=subscription_id,
        received_at=NOON + minute * MINUTE,
        **{"plan": "business-month", "seats": 12, **changed},
    )


def credit(decided: Decided) -> list[tuple[str, int]]:
    """What the events say about credit, all of them in the account's stream."""
    kinds = (CreditGranted, CreditReserved, CreditUsed, CreditReleased)
    found: list[Event] = [event for event in decided.events if isinstance(event.body, kinds)]
    assert {"account"} >= {event.stream for event in found}
    return [(type(event.body).__name__, event.body.amount_minor) for event in found]  # type: ignore[union-attr]


def test_credit_is_used_before_money_is_asked_for() -> None:
    """Set aside with the quote, so the gateway is asked for the rest."""
    decided = with_credit(10_000).when(upgrade())

    decided.then(OrderReceived, OrderValidated, QuoteIssued, CreditReserved, PaymentRequested)
    quote = decided.the(QuoteIssued)
    assert (PRICE, 10_000, PRICE - 10_000) == (quote.net_minor, quote.credit_used_minor, quote.due_minor)
    assert PRICE - 10_000 == decided.the(PaymentRequested).amount_minor
    assert CreditReserved(10_000, "EUR") == decided.the(CreditReserved)


def test_reserved_credit_is_used_on_completion() -> None:
    """Only then it is gone."""
    given, order = with_credit(10_000), upgrade()
    given.when(order)
    given.when(a_result(order, "authorized", PRICE - 10_000))
    assert (10_000, 0) == (account_of(given).credit_minor, account_of(given).credit_open_to(None))
    paid = given.when(a_result(order, "captured", PRICE - 10_000, offset=1))

    paid.then(PaymentCaptured, *ACTIVATED[:3], CreditUsed, ACTIVATED[3])
    assert (0, ()) == (account_of(given).credit_minor, account_of(given).reserved)


@pytest.mark.parametrize("payment", ["gateway", "invoice", "external"])
def test_order_that_credit_pays_in_full_completes_at_once(payment: str) -> None:
    """Nothing is asked of anybody; what is left of the credit stays."""
    given = with_credit(50_000, payment)
    decided = given.when(upgrade())

    assert [("CreditReserved", PRICE), ("CreditUsed", PRICE)] == credit(decided)
    assert 0 == decided.the(QuoteIssued).due_minor
    assert (50_000 - PRICE, ()) == (account_of(given).credit_minor, account_of(given).reserved)


def test_credit_that_is_there_is_not_granted_again() -> None:
    """Only what a change itself leaves over is new credit."""
    given = with_credit(10_000)
    assert 0 == given.when(upgrade()).the(QuoteIssued).credit_granted_minor
    row = replace(ROW, amount_minor=1_000_000)
    richer = Given(an_opening(contract=None, invoiced=(row,)))
    richer.decider.accounts[ACCOUNT] = replace(account_of(richer), credit_minor=10_000)
    decided = richer.when(upgrade())

    left_over = -decided.the(QuoteIssued).net_minor
    assert [("CreditGranted", left_over)] == credit(decided)
    assert 10_000 + left_over == account_of(richer).credit_minor


def test_two_subscriptions_never_spend_the_same_credit() -> None:
    """Interleaved payments: the second order finds only what the first one left."""
    given = with_credit(30_000)
    first, second = upgrade(), upgrade(OTHER)
    asked = [given.when(order) for order in (first, second)]
    assert [[("CreditReserved", PRICE), ("CreditUsed", PRICE)], [("CreditReserved", 30_000 - PRICE)]] == [
        credit(decided) for decided in asked
    ]
    due = asked[1].the(PaymentRequested).amount_minor
    given.when(a_result(second, "authorized", due))
    given.when(a_result(second, "captured", due, offset=1))

    assert (0, ()) == (account_of(given).credit_minor, account_of(given).reserved)


def test_credit_reserved_by_one_subscription_is_out_of_reach_for_another() -> None:
    """Until the first order has ended; then the next one gets it."""
    given = with_credit(10_000)
    first = upgrade()
    given.when(first)
    assert [] == credit(given.when(upgrade(OTHER)))
    declined = given.when(a_result(first, "declined", 0))
    assert [("CreditReleased", 10_000)] == credit(declined)

    assert [("CreditReserved", 10_000)] == credit(given.when(upgrade(OTHER, minute=1)))


def test_failed_order_gives_its_credit_back_before_it_ends() -> None:
    """A terminal order changes nothing any more."""
    given, order = with_credit(10_000), upgrade()
    given.when(order)

    given.when(a_result(order, "declined", 0)).then(PaymentDeclined, CreditReleased, OrderFailed)


@pytest.mark.parametrize(
    ("status", "amount"),
    [("declined", 0), ("voided", 0), ("refunded", 0), ("authorized", 1), ("captured", 1)],
)
def test_every_failure_releases(status: str, amount: int) -> None:
    """Declined, voided, refunded, or another amount than was asked for."""
    given, order = with_credit(10_000), upgrade()
    given.when(order)
    decided = given.when(a_result(order, status, amount))

    decided.the(OrderFailed)
    assert [("CreditReleased", 10_000)] == credit(decided)
    assert (10_000, ()) == (account_of(given).credit_minor, account_of(given).reserved)


def test_newer_order_takes_the_credit_of_the_one_it_supersedes_along() -> None:
    """Released for the old order, counted in the price of the new one, reserved for it."""
    given, first = with_credit(10_000), upgrade()
    given.when(first)
    newer = given.when(upgrade(minute=1, seats=20))

    newer.then(
        CreditReleased,
        OrderSuperseded,
        PaymentVoidRequested,
        *(OrderReceived, OrderValidated, QuoteIssued, CreditReserved, PaymentRequested),
    )
    assert [order_of(first), order_of(newer.command)] == [
        newer.event(CreditReleased).order_id,
        newer.event(CreditReserved).order_id,
    ]
    assert 10_000 == newer.the(CreditReserved).amount_minor


def test_question_reserves_nothing() -> None:
    """It says what credit the order would use."""
    given = with_credit(10_000)
    asked = given.when(upgrade(validate_only=True))

    assert [] == credit(asked)
    assert 10_000 == asked.the(QuoteIssued).credit_used_minor
    assert () == account_of(given).reserved


def test_end_of_the_subscription_releases_the_credit_of_its_order() -> None:
    """The order fails with it; the account's other subscription may use the credit."""
    given, order = with_credit(10_000), upgrade()
    given.when(order)
    ended = given.when(a_change("ended", NOON + MINUTE))

    assert [("CreditReleased", 10_000)] == credit(ended)
    assert 10_000 == account_of(given).credit_open_to(None)


def test_late_money_of_an_ended_order_moves_no_credit() -> None:
    """The order's credit was released once; a late capture is refunded, nothing more."""
    given, order = with_credit(10_000), upgrade()
    given.when(order)
    given.when(a_result(order, "declined", 0))

    assert [] == credit(given.when(a_result(order, "captured", PRICE - 10_000, offset=1)))


def test_an_unpaid_order_on_hold_gives_its_credit_back_and_takes_it_again_when_released() -> None:
    """Nobody waits for an order of the marketplace whose card was declined; its release is priced anew."""
    given = with_credit(5_000)
    order = due(upgrade(channel="marketplace"), NOON + 8_000)
    reserved = credit(given.when(order))
    given.decider.now = NOON + 8_001
    declined = given.when(a_result(order, "declined", 0))
    declined.then(PaymentDeclined, CreditReleased, OrderHeld)
    released = given.when(a_review(ReleaseOrder(order_of(order), "a new card"), offset=40))

    assert [("CreditReserved", 5_000)] == reserved == credit(released)
    assert [("CreditReleased", 5_000)] == credit(declined)
