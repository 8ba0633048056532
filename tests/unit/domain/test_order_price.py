"""What an accepted order costs, what it promises, and what is in force once it is completed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.given_when_then import ACTIVATED, AWAITING_PAYMENT, COMPLETED_AT_ONCE, Given
from tests.support.order_values import (
    CATALOG,
    CONTRACT,
    MINUTE,
    NOON,
    ROW,
    a_result,
    an_opening,
    an_order,
    from_elsewhere,
    order_of,
    payment_of,
)
from tierline.domain.account import OpenAccount
from tierline.domain.catalog import Catalog
from tierline.domain.commands import InvoicedCredit, InvoicedRow
from tierline.domain.cycles import Cycle
from tierline.domain.events import (
    BilledItem,
    BillingScheduleAdjusted,
    CreditGranted,
    EntitlementsChanged,
    Limit,
    OrderCompleted,
    OrderRejected,
    OrderValidated,
    PaymentCaptured,
    PaymentRequested,
    QuoteIssued,
    TierChanged,
)
from tierline.domain.modes import Mode
from tierline.domain.moments import instant_of_ms

DUE = 1_420_866 - 9_280


def test_upgrade_of_an_invoice_account_is_completed_at_once() -> None:
    """Team monthly with 12 seats to Business yearly with 15, the billing day kept: one decision."""
    Given(an_opening()).when(an_order()).then(*COMPLETED_AT_ONCE)


@pytest.mark.parametrize("payment", ["invoice", "external"])
def test_only_gateway_accounts_pay_at_the_gateway(payment: str) -> None:
    """Whoever is billed elsewhere is never asked for a payment."""
    Given(an_opening(payment=payment)).when(an_order()).then(*COMPLETED_AT_ONCE)


def test_gateway_account_is_asked_for_exactly_the_due_amount() -> None:
    """PaymentRequested carries amount, currency and the customer's method; nothing is activated yet."""
    order = an_order()
    decided = Given(an_opening(payment="gateway")).when(order)
    decided.then(*AWAITING_PAYMENT)
    assert PaymentRequested(payment_of(order), DUE, "EUR", "pm_card_visa") == decided.the(PaymentRequested)
    assert ("team", "team-month", 12) == (
        decided.subscription.tier,
        decided.subscription.plan,
        decided.subscription.seats,
    )


def test_gateway_account_without_anything_due_pays_nothing() -> None:
    """Zero due skips the gateway."""
    opening = an_opening(payment="gateway", contract=None, invoiced=(replace(ROW, amount_minor=10_000_000),))
    Given(opening).when(an_order(plan="business-month", seats=12)).then(
        *COMPLETED_AT_ONCE[:-1], CreditGranted, OrderCompleted
    )


def test_one_minor_unit_is_asked_for() -> None:
    """31680 are charged, 8/30 of 118796 (31679) are credited: one cent is due, and paid at the gateway."""
    opening = an_opening(payment="gateway", contract=None, invoiced=(replace(ROW, amount_minor=118_796),))
    decided = Given(opening).when(an_order(plan="business-month", seats=12))
    decided.then(*AWAITING_PAYMENT)
    assert 1 == decided.the(PaymentRequested).amount_minor


def test_quote_names_each_line_with_its_formula() -> None:
    """8 of 30 days are credited, 343 of 365 days are charged, each rounded once."""
    quote = Given(an_opening()).when(an_order()).the(QuoteIssued)
    assert [
        ("credit", "2026-11-23", "2026-12-01", 8, 30, -9_280, 0),
        ("charge", "2026-11-23", "2027-11-01", 343, 365, 1_420_866, None),
    ] == [
        (
            line.kind,
            line.start,
            line.end,
            line.numerator,
            line.denominator,
            line.amount_minor,
            line.invoiced_index,
        )
        for line in quote.lines
    ]
    assert all(line.formula for line in quote.lines)
    assert (DUE, DUE, 0, "not_computed", "day", "keep_billing_day", "Europe/Berlin") == (
        quote.net_minor,
        quote.due_minor,
        quote.credit_granted_minor,
        quote.tax_basis,
        quote.mode,
        quote.cycle,
        quote.zone,
    )


def test_quote_promises_what_will_be_in_force() -> None:
    """Plan, period, billing day, entitlements, next bill: everything that completion needs."""
    quote = Given(an_opening()).when(an_order()).the(QuoteIssued)
    assert ("business", "business-year", 15, "2026-11-01", "2027-11-01", 1) == (
        quote.tier,
        quote.plan,
        quote.seats,
        quote.period_start,
        quote.period_end,
        quote.billing_day,
    )
    assert ("2027-11-01", 15 * 100_800) == (quote.next_billing_date, quote.next_billing_minor)
    assert (("boards", "sso"), (Limit("guests", 80), Limit("seats", 500))) == (quote.features, quote.limits)


def test_quote_holds_for_thirty_minutes_from_the_decision() -> None:
    """``expires_at`` counts from now, not from when the order was received."""
    decided = Given(an_opening(), now=NOON + 5 * MINUTE).when(an_order())
    assert NOON + 35 * MINUTE == decided.the(QuoteIssued).expires_at


def test_price_counts_from_the_day_the_order_was_received() -> None:
    """A decision that comes days late costs the customer nothing more or less."""
    late = Given(an_opening(), now=NOON + 5 * 24 * 60 * MINUTE).when(an_order())
    assert DUE == late.the(QuoteIssued).due_minor


def test_same_decision_gives_the_same_quote_id() -> None:
    """Ids follow from the order, so that a repeated decision is byte-identical."""
    one, two = (Given(an_opening()).when(an_order()).the(QuoteIssued) for _ in range(2))
    assert one == two
    assert one.quote_id != Given(an_opening()).when(an_order("PO-2")).the(QuoteIssued).quote_id


def test_completion_changes_tier_entitlements_and_schedule() -> None:
    """The four events of an activation, with everything that is in force afterwards."""
    decided = Given(an_opening()).when(an_order())
    rows = (
        InvoicedRow(
            "base",
            "2026-11-01",
            "2026-12-01",
            12,
            34_800,
            plan="team-month",
            mode="day",
            credits=(InvoicedCredit("2026-11-23", "2026-12-01", 12, 9_280),),
        ),
        InvoicedRow("base", "2026-11-23", "2027-11-01", 15, 1_420_866, plan="business-year", mode="day"),
    )
    items = (BilledItem("base", "business-year", "1year", 15, 1_512_000, "day"),)
    limits = (Limit("guests", 80), Limit("seats", 500))
    assert [
        TierChanged("team", "business", "team-month", "business-year", 12, 15),
        EntitlementsChanged(on=("sso",), off=("guests",), limits=limits),
        BillingScheduleAdjusted(
            "EUR", "2026-11-01", "2027-11-01", 1, "2027-11-01", 1_512_000, rows, items, None
        ),
        OrderCompleted("business", "business-year", 15, DUE, "EUR", None),
    ] == [event.body for event in decided.events[-4:]]


def test_activation_counts_from_when_the_order_was_received() -> None:
    """The customer is charged from then on, so the tier counts from then on."""
    decided = Given(an_opening(), now=NOON + MINUTE).when(an_order())
    assert [NOON, NOON, NOON, None] == [event.effective_at for event in decided.events[-4:]]


def test_state_afterwards_is_what_the_quote_promised() -> None:
    """The fold of the four events gives exactly the quote's plan, entitlements and schedule."""
    decided = Given(an_opening()).when(an_order())
    now, quote = decided.subscription, decided.the(QuoteIssued)
    assert (quote.tier, quote.plan, quote.seats, set(quote.features), quote.limits) == (
        now.tier,
        now.plan,
        now.seats,
        set(now.features),
        now.limits,
    )
    assert (quote.period_start, quote.period_end, quote.items, quote.invoiced) == (
        now.schedule.period_start,
        now.schedule.period_end,
        now.schedule.items,
        now.schedule.invoiced,
    )
    assert (None, NOON) == (now.live, now.accepted_at)


def test_second_upgrade_credits_what_the_first_one_charged() -> None:
    """Rows remember what was credited: the first row gives nothing any more, the second all that is left."""
    second = an_order("PO-2", offset=1, seats=20)
    quote = Given(an_opening(), an_order()).when(second).the(QuoteIssued)
    assert [("credit", -1_420_866, 1), ("charge", 1_894_488, None)] == [
        (line.kind, line.amount_minor, line.invoiced_index) for line in quote.lines
    ]


def test_completion_applies_the_catalog_that_was_quoted() -> None:
    """A price book that changes while the gateway works changes nothing for this order."""
    order = an_order()
    given = Given(an_opening(payment="gateway"), order, a_result(order, "authorized", DUE))
    changed = replace(CATALOG.plans["business-year"], features=("nothing",), tier="enterprise")
    given.later(catalog=Catalog("c2", CATALOG.tiers, {**CATALOG.plans, changed.id: changed}))
    decided = given.when(a_result(order, "captured", DUE))
    decided.then(PaymentCaptured, *ACTIVATED)
    assert ("business", ("boards", "sso")) == (decided.subscription.tier, decided.subscription.features)


def test_price_in_force_is_kept_until_the_plan_changes() -> None:
    """Rows that are not known are worth what the customer was sold, not what the plan costs today."""
    dearer = replace(CATALOG.plans["team-month"], prices=CATALOG.plans["business-month"].prices)
    catalog = Catalog("c2", CATALOG.tiers, {**CATALOG.plans, dearer.id: dearer})
    given = Given(an_opening(invoiced=None)).later(catalog=catalog)
    assert -9_280 == given.when(an_order()).the(QuoteIssued).lines[0].amount_minor


def test_unknown_rows_get_their_plan_when_they_become_known() -> None:
    """The row that stood for the period in force was invoiced for the old plan."""
    adjusted = Given(an_opening(invoiced=None)).when(an_order()).the(BillingScheduleAdjusted)
    assert ["team-month", "business-year"] == [row.plan for row in adjusted.invoiced]


def test_unbilled_part_of_the_old_plan_gets_a_row_of_the_old_plan() -> None:
    """Nothing was invoiced: the used part is charged, and both rows name their plans."""
    adjusted = Given(an_opening(invoiced=())).when(an_order()).the(BillingScheduleAdjusted)
    assert [("team-month", "2026-11-23"), ("business-year", "2027-11-01")] == [
        (row.plan, row.end) for row in adjusted.invoiced
    ]


def test_change_that_leaves_credit_grants_it_to_the_account() -> None:
    """A net below zero is due 0; what is left stands on the account, once, before the completion."""
    opening = an_opening(invoiced=(replace(ROW, amount_minor=10_000_000),), contract=None)
    decided = Given(opening).when(an_order(plan="business-month", seats=12))
    decided.then(*COMPLETED_AT_ONCE[:-1], CreditGranted, OrderCompleted)
    quote, granted = decided.the(QuoteIssued), decided.event(CreditGranted)
    assert (0, -quote.net_minor) == (quote.due_minor, quote.credit_granted_minor)
    assert CreditGranted(quote.credit_granted_minor, "EUR") == granted.body
    assert ("account", decided.event(OrderCompleted).order_id) == (granted.stream, granted.order_id)
    account = decided.decider.state(decided.command).account
    assert isinstance(account, OpenAccount)
    assert quote.credit_granted_minor == account.credit_minor


def test_change_to_a_plan_counted_in_seconds_anchors_at_the_instant() -> None:
    """The anchor is remembered, so that the next period is counted from it."""
    by_second = replace(
        CATALOG.plans["business-year"], mode=Mode.SECOND, cycles={"team-month": Cycle.RESTART}
    )
    catalog = Catalog("c2", CATALOG.tiers, {**CATALOG.plans, by_second.id: by_second})
    decided = Given(an_opening(contract=None)).later(catalog=catalog).when(an_order())
    adjusted = decided.the(BillingScheduleAdjusted)
    assert (NOON, instant_of_ms(NOON).isoformat()) == (adjusted.anchor, adjusted.period_start)
    assert NOON == decided.subscription.schedule.anchor
    seats_more = an_order("PO-2", offset=1, plan=None, seats=16, received_at=NOON + MINUTE)
    later = Given(an_opening(contract=None)).later(catalog=catalog)
    later.when(an_order())
    assert later.when(seats_more).the(QuoteIssued).due_minor > 0


def test_question_leaves_no_trace() -> None:
    """validate_only: same verdicts and price as the order would get, no order, nothing changed."""
    given = Given(an_opening(payment="gateway"))
    before = given.when(from_elsewhere(an_opening())).subscription
    asked = given.when(an_order(validate_only=True))
    asked.then(OrderValidated, QuoteIssued)
    assert {None} == {event.order_id for event in asked.events}
    assert all((asked.the(OrderValidated).validate_only, asked.the(QuoteIssued).validate_only))
    assert before == asked.subscription
    assert ("previewed", None) == (asked.claim.outcome, asked.claim.order_id)
    ordered = given.when(an_order(offset=1)).the(QuoteIssued)
    assert replace(asked.the(QuoteIssued), quote_id="", validate_only=False) == replace(ordered, quote_id="")


def test_question_that_would_be_rejected_is_answered_without_a_price() -> None:
    """The verdicts say what stands in the way; the event is found by the first reason."""
    asked = Given(an_opening(standing="suspended")).when(an_order(validate_only=True, seats=9))
    asked.then(OrderValidated)
    assert "ACCOUNT_SUSPENDED" == asked.events[0].reason_code


def test_question_for_what_is_in_force_says_so() -> None:
    """No price, and a warning named already_in_force."""
    asked = Given(an_opening()).when(an_order(validate_only=True, plan=None, seats=None))
    asked.then(OrderValidated)
    assert [("already_in_force", "FAIL", "warn")] == [
        (v.rule, v.verdict, v.severity) for v in asked.the(OrderValidated).verdicts[1:]
    ]


def test_order_is_named_by_every_event_about_it() -> None:
    """Every event of an accepted order carries its id."""
    order = an_order()
    decided = Given(an_opening()).when(order)
    assert {order_of(order)} == {event.order_id for event in decided.events}


def test_contract_is_judged_by_the_period_that_would_be_sold() -> None:
    """restart gives a year from today, past the contract; keeping the billing day fits."""
    contract = replace(CONTRACT, end="2027-10-31")
    restarting = replace(CATALOG.plans["business-year"], cycles={})
    catalog = Catalog("c2", CATALOG.tiers, {**CATALOG.plans, restarting.id: restarting})
    Given(an_opening(contract=contract)).when(an_order()).the(OrderCompleted)
    Given(an_opening(contract=contract)).later(catalog=catalog).when(an_order()).the(OrderRejected)
