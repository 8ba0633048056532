"""Modules: opened, ordered, kept, ended, each as an item of its own beside the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.given_when_then import COMPLETED_AT_ONCE, Given, reason_codes
from tests.support.order_values import (
    CATALOG,
    CONTRACT,
    MINUTE,
    MONTH,
    NOON,
    ROW,
    a_change,
    a_policy,
    a_renewal,
    a_result,
    a_review,
    an_opening,
    an_order,
    ms,
    order_of,
)
from tierline.domain.catalog import Price
from tierline.domain.commands import Command, InvoicedRow, ReleaseOrder
from tierline.domain.events import (
    BillingScheduleAdjusted,
    EntitlementsChanged,
    OrderCompleted,
    OrderHeld,
    OrderRejected,
    OrderValidated,
    PaymentRequested,
    PeriodInvoiced,
    QuoteIssued,
    SubscriptionOpened,
    SubscriptionOpeningRejected,
)
from tierline.domain.policy import Severity

SSO_ROW = InvoicedRow("sso-pack", "2026-11-01", "2026-12-01", 12, 3_600)
WITH_SSO = an_opening(modules=("sso-pack",), invoiced=(ROW, SSO_ROW))
OPEN_ENDED = an_opening(modules=("sso-pack",), invoiced=(ROW, SSO_ROW), contract=None)


def add(*modules: str, reference: str = "PO-1", **changed: Any) -> Command:
    """An order that leaves plan and seats, and names all modules afterwards."""
    wished: dict[str, Any] = {"plan": None, "seats": None, "modules": modules, "modules_complete": True}
    return an_order(reference, **wished | changed)


def lines_of(quote: QuoteIssued) -> list[tuple[str, str, int, int, int]]:
    return [(ln.kind, ln.item, ln.numerator, ln.denominator, ln.amount_minor) for ln in quote.lines]


def test_a_subscription_opens_with_its_modules() -> None:
    """Items, features and the rows' own plans: the module is billed and credited as itself."""
    opened = Given().when(WITH_SSO).the(SubscriptionOpened)
    assert ("sso-pack",) == opened.modules
    assert ("boards", "guests", "sso") == opened.features
    assert [("base", 12, 34_800), ("sso-pack", 12, 3_600)] == [
        (item.id, item.quantity, item.list_minor) for item in opened.items
    ]
    assert opened.invoiced is not None
    assert ["team-month", "sso-pack"] == [row.plan for row in opened.invoiced]


@pytest.mark.parametrize(
    ("code", "detail", "changed"),
    [
        ("MODULE_UNKNOWN", "'telepathy' is not in catalog c1", {"modules": ("telepathy",)}),
        ("MODULE_NOT_FITTING", "audit-pack does not go with team-month", {"modules": ("audit-pack",)}),
        (
            "MODULES_EXCLUSIVE",
            "chat-pack and voice-pack exclude each other",
            {"modules": ("chat-pack", "voice-pack")},
        ),
        (
            "MODULE_NOT_SOLD",
            "sso-pack has no price in USD for 1month",
            {"modules": ("sso-pack",), "currency": "USD"},
        ),
        (
            "SUBSCRIPTION_DATA_INVALID",
            "modules: sso-pack is part of enterprise-year",
            {
                "modules": ("sso-pack",),
                "plan": "enterprise-year",
                "period_end": "2027-11-01",
            },
        ),
    ],
)
def test_an_opening_with_modules_that_cannot_be_is_rejected(
    code: str, detail: str, changed: dict[str, Any]
) -> None:
    """What is billed elsewhere must be what the catalog sells."""
    (reason,) = Given().when(an_opening(invoiced=None, **changed)).the(SubscriptionOpeningRejected).reasons
    assert (code, detail) == (reason.code, reason.detail)


def test_a_module_is_charged_for_the_rest_of_the_period() -> None:
    """8 of 30 days of 12 seats at 3.00; the plan itself gives no line."""
    decided = Given(an_opening()).when(add("sso-pack"))
    decided.then(*COMPLETED_AT_ONCE)
    quote = decided.the(QuoteIssued)
    assert [("charge", "sso-pack", 8, 30, 960)] == lines_of(quote)
    assert 34_800 + 3_600 == quote.next_billing_minor
    assert ("sso",) == decided.the(EntitlementsChanged).on
    assert ("sso-pack",) == decided.subscription.modules


def test_features_and_items_in_force_are_those_of_plan_and_modules() -> None:
    """What a plan change switches off is looked for in all that is on."""
    decided = Given(WITH_SSO).when(an_order(plan="business-month", seats=12))
    assert ("business", "sso") == decided.the(QuoteIssued).features
    assert ("boards", "guests") == decided.the(EntitlementsChanged).off
    assert ["base", "sso-pack"] == [item.id for item in decided.subscription.schedule.items]


@pytest.mark.parametrize("changed", [{}, {"modules": ("sso-pack",), "modules_complete": True}])
def test_modules_stay_where_none_is_named(changed: dict[str, Any]) -> None:
    """More seats alone: the module is priced for them too, 8 of 30 days of what is new."""
    decided = Given(WITH_SSO).when(an_order(plan=None, seats=15, **changed))
    assert [
        ("credit", "base", 8, 30, -9_280),
        ("credit", "sso-pack", 8, 30, -960),
        ("charge", "base", 8, 30, 11_600),
        ("charge", "sso-pack", 8, 30, 1_200),
    ] == lines_of(decided.the(QuoteIssued))
    assert () == decided.the(QuoteIssued).notes
    assert ("sso-pack",) == decided.subscription.modules


def test_modules_that_are_not_complete_join_those_in_force() -> None:
    """A channel that can only add says what is new."""
    decided = Given(WITH_SSO).when(add("chat-pack", modules_complete=False))
    assert [("charge", "chat-pack", 8, 30, 267)] == lines_of(decided.the(QuoteIssued))
    assert ("chat-pack", "sso-pack") == decided.subscription.modules


def test_a_module_may_be_named_by_the_word_of_its_channel() -> None:
    """In any case; of another channel it is a word that nobody knows."""
    by_word = add("off-Sso", channel="partner", modules_complete=False)
    assert ("sso-pack",) == Given(an_opening()).when(by_word).subscription.modules
    assert "ALREADY_IN_FORCE" == Given(WITH_SSO).when(by_word).the(OrderCompleted).reason
    rejected = Given(an_opening()).when(add("OFF-SSO")).the(OrderRejected)
    assert ["MODULE_UNKNOWN"] == reason_codes(rejected)


def test_a_module_that_is_not_named_ends_with_the_upgrade() -> None:
    """The full target set: what is missing is credited, without a note, for it was asked for."""
    order = an_order(plan="business-month", seats=12, modules=("audit-pack",), modules_complete=True)
    decided = Given(WITH_SSO).when(order)
    assert [
        ("credit", "base", 8, 30, -9_280),
        ("credit", "sso-pack", 8, 30, -960),
        ("charge", "audit-pack", 8, 30, 2_640),
        ("charge", "base", 8, 30, 31_680),
    ] == sorted(lines_of(decided.the(QuoteIssued)), key=lambda line: (line[0] == "charge", line[1]))
    assert () == decided.the(QuoteIssued).notes
    assert ("audit-pack",) == decided.subscription.modules


def test_a_module_that_the_new_tier_includes_ends_and_is_credited() -> None:
    """Its feature goes on, the money for the rest of its period comes back, and the note says so."""
    decided = Given(OPEN_ENDED).when(an_order(plan="enterprise-year", seats=12))
    quote = decided.the(QuoteIssued)
    assert ("credit", "sso-pack", 8, 30, -960) in lines_of(quote)
    assert [("MODULE_INCLUDED", "sso-pack is part of enterprise-year")] == [
        (note.code, note.detail) for note in quote.notes
    ]
    assert () == decided.subscription.modules
    assert "sso" in decided.subscription.features
    assert ["base"] == [item.id for item in decided.the(BillingScheduleAdjusted).items]


@pytest.mark.parametrize(
    ("order", "detail"),
    [
        (an_order(plan="business-month", seats=12), "chat-pack does not go with business-month"),
        (add("voice-pack", modules_complete=False), "chat-pack does not go with voice-pack"),
    ],
    ids=["forbidden by the tier", "excluded by a new module"],
)
def test_a_module_that_cannot_stay_ends_and_is_credited(order: Command, detail: str) -> None:
    """8 of 30 days of 10.00 come back, and whoever ordered is told why."""
    row = InvoicedRow("chat-pack", "2026-11-01", "2026-12-01", 1, 1_000)
    opening = an_opening(modules=("chat-pack",), invoiced=(ROW, row))
    decided = Given(opening).when(order)
    quote = decided.the(QuoteIssued)
    assert ("credit", "chat-pack", 8, 30, -267) in lines_of(quote)
    assert [("MODULE_ENDED", detail)] == [(note.code, note.detail) for note in quote.notes]
    assert "chat-pack" not in decided.subscription.modules
    assert "chat" in decided.the(EntitlementsChanged).off


def test_of_modules_that_a_newer_book_makes_exclusive_the_first_by_id_stays() -> None:
    """Both were in force; another plan is bought by the new book."""
    given = Given(an_opening(modules=("chat-pack", "sso-pack"), invoiced=None, contract=None))
    sso = replace(CATALOG.modules["sso-pack"], excludes=frozenset({"chat-pack"}))
    newer = replace(CATALOG, version="c2", modules={**CATALOG.modules, "sso-pack": sso})
    decided = given.later(catalog=newer).when(an_order(plan="team-year", seats=12))
    assert ["sso-pack does not go with chat-pack"] == [n.detail for n in decided.the(QuoteIssued).notes]
    assert ("chat-pack",) == decided.subscription.modules


def test_a_module_that_the_newer_book_has_no_more_ends() -> None:
    """It cannot be billed by a book that does not know it."""
    modules = {name: known for name, known in CATALOG.modules.items() if name != "sso-pack"}
    given = Given(WITH_SSO).later(catalog=replace(CATALOG, version="c2", modules=modules))
    decided = given.when(an_order(plan="business-month", seats=12))
    assert ["sso-pack is not in catalog c2"] == [note.detail for note in decided.the(QuoteIssued).notes]


def test_a_module_costs_what_it_cost_when_the_plan_was_bought() -> None:
    """The plan keeps its price book, and the modules beside it."""
    dearer = replace(
        CATALOG.modules["sso-pack"],
        prices={MONTH: {"EUR": Price(0, 900)}},
    )
    newer = replace(CATALOG, version="c2", modules={**CATALOG.modules, "sso-pack": dearer})
    quote = Given(an_opening()).later(catalog=newer).when(add("sso-pack")).the(QuoteIssued)
    assert ([("charge", "sso-pack", 8, 30, 960)], "c1") == (lines_of(quote), quote.catalog_version)


@pytest.mark.parametrize(
    ("code", "detail", "order"),
    [
        ("MODULE_UNKNOWN", "'telepathy' is not in catalog c1", add("telepathy")),
        (
            "MODULE_NOT_FITTING",
            "chat-pack does not go with business-year",
            an_order(modules=("chat-pack",), modules_complete=True),
        ),
        ("MODULES_EXCLUSIVE", "chat-pack and voice-pack exclude each other", add("chat-pack", "voice-pack")),
        (
            "MODULE_NOT_SOLD",
            "voice-pack has no price in EUR for 1year",
            an_order(modules=("voice-pack",), modules_complete=True),
        ),
    ],
)
def test_a_wish_for_modules_that_cannot_be_is_rejected(code: str, detail: str, order: Command) -> None:
    """Each with a reason of its own that names the module."""
    (reason,) = Given(an_opening()).when(order).the(OrderRejected).reasons
    assert (code, detail) == (reason.code, reason.detail)


def test_a_module_that_would_stay_but_is_not_sold_by_the_new_interval_rejects_the_order() -> None:
    """It is neither billed at no price nor lost without a word; without it the order is fine."""
    given = Given(an_opening(modules=("voice-pack",), invoiced=None))
    (reason,) = given.when(an_order("PO-1")).the(OrderRejected).reasons
    assert ("MODULE_NOT_SOLD", "voice-pack has no price in EUR for 1year") == (reason.code, reason.detail)
    given.when(an_order("PO-2", modules_complete=True)).then(*COMPLETED_AT_ONCE)


def test_every_failing_reason_of_modules_is_named_beside_the_others() -> None:
    """Seats and both modules at once."""
    order = an_order(seats=0, modules=("telepathy", "chat-pack"), modules_complete=True)
    rejected = Given(an_opening()).when(order).the(OrderRejected)
    assert ["SEATS_OUT_OF_RANGE", "MODULE_NOT_FITTING", "MODULE_UNKNOWN"] == reason_codes(rejected)


def test_fewer_modules_alone_are_a_downgrade() -> None:
    """They wait for the end of the period, like fewer seats."""
    (reason,) = Given(WITH_SSO).when(add()).the(OrderRejected).reasons
    assert "NOT_AN_UPGRADE" == reason.code
    assert (
        "team-month with 12 seats and sso-pack to team-month with 12 and no module is downgrade"
        == reason.detail
    )


@pytest.mark.parametrize(
    "order",
    [
        add("sso-pack"),
        add("sso-pack", modules_complete=False),
        add(modules_complete=False),
        add("sso-pack", plan="TEAM-month", seats=12),
    ],
)
def test_modules_in_force_are_in_force(order: Command) -> None:
    """ALREADY_IN_FORCE: nothing is charged."""
    completed = Given(WITH_SSO).when(order).the(OrderCompleted)
    assert ("ALREADY_IN_FORCE", 0) == (completed.reason, completed.charged_minor)


def test_a_module_that_the_plan_in_force_includes_is_in_force() -> None:
    """There is nothing to bill and nothing to switch on."""
    opening = an_opening(
        plan="enterprise-year", period_end="2027-11-01", invoiced=None, billing_day=1, contract=None
    )
    completed = Given(opening).when(add("sso-pack")).the(OrderCompleted)
    assert "ALREADY_IN_FORCE" == completed.reason


def test_modules_count_for_the_commitment() -> None:
    """A plan at the same price without the module is a lower price per month."""
    contract = replace(CONTRACT, minimum_term_months=24)
    opening = an_opening(modules=("sso-pack",), invoiced=None, contract=contract)
    lower = an_order(plan="business-same", seats=12, modules_complete=True)
    assert ["COMMITMENT_REMAINING"] == reason_codes(Given(opening).when(lower).the(OrderRejected))
    Given(opening).when(an_order(plan="business-same", seats=12)).then(*COMPLETED_AT_ONCE)


def test_renewals_bill_the_modules() -> None:
    """One row per item, whole, at the price in force; the order's own decision begins the period."""
    renewed = Given(WITH_SSO).when(a_renewal(ms("2026-12-01T01:00:00")))
    assert [("base", 34_800), ("sso-pack", 3_600)] == [
        (row.item, row.amount_minor) for row in renewed.the(PeriodInvoiced).rows
    ]
    later = replace(an_order(plan=None, seats=15), received_at=ms("2026-12-16T12:00:00"))
    decided = Given(WITH_SSO).when(later)
    assert 38_400 == decided.the(PeriodInvoiced).amount_minor
    assert ("credit", "sso-pack", 16, 31, -1_858) in lines_of(decided.the(QuoteIssued))


def test_a_paid_order_brings_its_module_when_the_money_is_there() -> None:
    """Until then nothing is in force that was not before."""
    order = add("sso-pack")
    given = Given(an_opening(payment="gateway"))
    asked = given.when(order)
    assert (960, ()) == (asked.the(PaymentRequested).amount_minor, asked.subscription.modules)
    given.when(a_result(order, "authorized", 960))
    captured = given.when(a_result(order, "captured", 960))
    assert ("sso-pack",) == captured.subscription.modules
    assert "sso" in captured.subscription.features


def test_a_suspended_subscription_gets_its_modules_features_back() -> None:
    """What is withheld is what plan and modules give."""
    given = Given(WITH_SSO, a_change("suspended", NOON))
    back = given.when(a_change("good", NOON + MINUTE, offset=1, reference="op-2"))
    assert ("boards", "guests", "sso") == back.the(EntitlementsChanged).on


def test_an_order_on_hold_keeps_its_wish_for_modules() -> None:
    """Released later, it is the same order."""
    order = add("sso-pack", plan="business-year", seats=9)
    given = Given(an_opening(), policy=a_policy(below_tier_minimum=Severity.HOLD))
    given.when(order).the(OrderHeld)
    released = given.when(a_review(ReleaseOrder(order_of(order), "fine")))
    assert ("sso-pack",) == released.subscription.modules


def test_a_question_is_told_of_modules_that_would_end() -> None:
    """The price with its notes, and nothing changes."""
    decided = Given(OPEN_ENDED).when(an_order(plan="enterprise-year", seats=12, validate_only=True))
    decided.then(OrderValidated, QuoteIssued)
    assert ["MODULE_INCLUDED"] == [note.code for note in decided.the(QuoteIssued).notes]
    assert ("sso-pack",) == decided.subscription.modules
