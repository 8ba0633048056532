"""May this order be? Each rule on both sides of its boundary, and all of them at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.given_when_then import COMPLETED_AT_ONCE, Decided, Given, reason_codes
from tests.support.order_values import (
    CATALOG,
    CONTRACT,
    NOON,
    a_policy,
    an_opening,
    an_order,
    from_elsewhere,
    ms,
)
from tierline.domain.catalog import Catalog
from tierline.domain.commands import Command
from tierline.domain.cycles import Cycle
from tierline.domain.events import (
    EventBody,
    OrderCompleted,
    OrderHeld,
    OrderReceived,
    OrderRejected,
    OrderValidated,
    Verdict,
)
from tierline.domain.policy import Override, Policy, Rule, Severity

ACCEPTED: list[str] = []


def codes_of(order: Command, policy: Policy | None = None, **opening: Any) -> list[str]:
    """The reasons that an order is rejected for on a subscription opened like this; none: it is accepted."""
    decided = Given(an_opening(**opening), policy=policy or a_policy()).when(order)
    if isinstance(decided.events[-1].body, OrderCompleted):
        return ACCEPTED
    decided.then(OrderReceived, OrderValidated, OrderRejected)
    return list(reason_codes(decided.the(OrderRejected)))


def verdict_of(decided: Decided, rule: Rule) -> Verdict:
    """What one rule said."""
    (found,) = [v for v in decided.the(OrderValidated).verdicts if v.rule == rule]
    return found


def test_accepted_order_has_a_passing_verdict_of_every_rule() -> None:
    """PASS is recorded, too, with the severity that the rule has."""
    verdicts = Given(an_opening()).when(an_order()).the(OrderValidated).verdicts
    expected = [(rule.value, "PASS", a_policy().severities[rule].value) for rule in Rule]
    assert expected == [(v.rule, v.verdict, v.severity) for v in verdicts]


@pytest.mark.parametrize("order", [an_order(), an_order(seats=9)], ids=["accepted", "rejected"])
def test_verdicts_of_an_order_are_not_those_of_a_question(order: Command) -> None:
    """``validate_only`` is said of questions alone."""
    assert not Given(an_opening()).when(order).the(OrderValidated).validate_only


@pytest.mark.parametrize(
    ("end", "expected"),
    [("2027-10-31", ACCEPTED), ("2027-10-30", ["CONTRACT_ENDS_FIRST"]), ("2030-01-01", ACCEPTED)],
)
def test_new_period_may_end_on_the_day_after_the_contracts_last_day(end: str, expected: list[str]) -> None:
    """``contract.end`` is inclusive; the new period ends 2027-11-01 at its start."""
    assert expected == codes_of(an_order(), contract=replace(CONTRACT, end=end))


def test_contract_end_is_compared_as_an_instant_where_the_period_has_one() -> None:
    """A period that ends at 00:00 in Berlin of the day after fits, one that ends an hour later does not."""
    opening: dict[str, Any] = {"contract": replace(CONTRACT, end="2026-11-30")}
    order = an_order(plan="business-month")
    fits = codes_of(order, **opening, period_end="2026-12-01T00:00:00+01:00")
    late = codes_of(order, **opening, period_end="2026-12-01T01:00:00+01:00")
    assert (ACCEPTED, ["CONTRACT_ENDS_FIRST"]) == (fits, late)


@pytest.mark.parametrize(
    ("months", "expected"), [(13, ["COMMITMENT_REMAINING"]), (12, ACCEPTED), (0, ACCEPTED)]
)
def test_monthly_price_may_fall_only_after_the_minimum_term(months: int, expected: list[str]) -> None:
    """The term runs from the contract's start; 2026-11-23 lies behind its twelfth month."""
    order = an_order(plan="business-lite", seats=12)
    assert expected == codes_of(order, contract=replace(CONTRACT, minimum_term_months=months))


@pytest.mark.parametrize(
    ("day", "expected"), [("2026-11-22", ["COMMITMENT_REMAINING"]), ("2026-11-23", ACCEPTED)]
)
def test_minimum_term_ends_on_its_local_day(day: str, expected: list[str]) -> None:
    """The day on which the term ends is free; it begins at midnight in the account's zone."""
    contract = replace(CONTRACT, start="2025-11-23")
    order = an_order(plan="business-lite", seats=12, received_at=ms(f"{day}T12:00:00+01:00"))
    assert expected == codes_of(order, contract=contract)


def test_equal_monthly_price_keeps_the_commitment() -> None:
    """Only a lower price is in the way."""
    contract = replace(CONTRACT, minimum_term_months=24)
    assert ACCEPTED == codes_of(an_order(plan="business-same", seats=12), contract=contract)
    assert ["COMMITMENT_REMAINING"] == codes_of(an_order(plan="business-same", seats=11), contract=contract)


def test_yearly_price_is_compared_by_the_month() -> None:
    """15 x 29000 a year are 36250 a month, more than 12 x 2900; 14 are not."""
    contract = replace(CONTRACT, end="2030-12-31", minimum_term_months=24)
    assert ACCEPTED == codes_of(an_order(plan="team-year", seats=15), contract=contract)
    assert ["COMMITMENT_REMAINING"] == codes_of(an_order(plan="team-year", seats=14), contract=contract)


@pytest.mark.parametrize(("spend", "expected"), [(126_000, ACCEPTED), (126_001, ["COMMITMENT_REMAINING"])])
def test_minimum_spend_is_compared_with_the_new_monthly_price(spend: int, expected: list[str]) -> None:
    """15 x 100800 a year are 126000 a month."""
    contract = replace(CONTRACT, minimum_term_months=24, minimum_spend_minor=spend)
    assert expected == codes_of(an_order(), contract=contract)


@pytest.mark.parametrize(("seats", "expected"), [(10, ACCEPTED), (9, ["BELOW_TIER_MINIMUM"])])
def test_plan_has_a_minimum_of_seats(seats: int, expected: list[str]) -> None:
    """business-year starts at ten seats."""
    assert expected == codes_of(an_order(seats=seats))


@pytest.mark.parametrize(
    ("standing", "expected"),
    [("good", ACCEPTED), ("arrears", ["ARREARS"]), ("suspended", ["ACCOUNT_SUSPENDED"])],
)
def test_standing_of_the_account_counts(standing: str, expected: list[str]) -> None:
    """Arrears and suspension are two rules."""
    assert expected == codes_of(an_order(), standing=standing)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("business-us", ["PLAN_NOT_SOLD"]),
        ("business-old", ["PLAN_NOT_SOLD"]),
        ("business-usd", ["PLAN_NOT_SOLD"]),
        ("business-month", ACCEPTED),
    ],
)
def test_plan_must_be_sold_here_now_and_in_this_currency(plan: str, expected: list[str]) -> None:
    """Country, day and price are each a reason."""
    assert expected == codes_of(an_order(plan=plan))


def test_plan_is_sold_until_the_local_day_before_its_last() -> None:
    """``sellable_to`` is exclusive, in the account's zone: 22:59 UTC is still the 22nd in Berlin."""
    last_moment = an_order(plan="business-old", received_at=ms("2026-11-22T22:59:59"))
    too_late = an_order(plan="business-old", received_at=ms("2026-11-22T23:00:00"))
    assert (ACCEPTED, ["PLAN_NOT_SOLD"]) == (codes_of(last_moment), codes_of(too_late))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"plan": "starter-year"}, ["NOT_AN_UPGRADE"]),
        ({"plan": "team-plus", "seats": 12}, ["NOT_AN_UPGRADE"]),
        ({"plan": None, "seats": 11}, ["NOT_AN_UPGRADE"]),
        ({"plan": None, "seats": 13}, ACCEPTED),
        ({"plan": "team-year", "seats": 12}, ACCEPTED),
        ({"plan": "business-month", "seats": 2}, ACCEPTED),
    ],
)
def test_only_upgrades_are_taken(changed: dict[str, Any], expected: list[str]) -> None:
    """Tier decides, then the interval, then seats; up in tier and down in seats is one upgrade."""
    assert expected == codes_of(an_order(**changed), contract=None)


@pytest.mark.parametrize(
    ("seats", "expected"),
    [
        (0, ["SEATS_OUT_OF_RANGE"]),
        (-5, ["SEATS_OUT_OF_RANGE"]),
        (500, ACCEPTED),
        (501, ["SEATS_OUT_OF_RANGE"]),
        (2**62, ["SEATS_OUT_OF_RANGE"]),
    ],
)
def test_seats_fit_the_plans_limit(seats: int, expected: list[str]) -> None:
    """business-year takes 500 seats."""
    assert expected == codes_of(an_order(seats=seats))


def test_one_seat_is_enough_for_a_plan_without_minimum() -> None:
    """The range begins at one."""
    assert ACCEPTED == codes_of(an_order(plan="business-month", seats=1))


def test_no_plan_takes_more_than_a_million_seats() -> None:
    """Also where the catalog sets no limit."""
    unlimited = replace(CATALOG.plans["business-year"], limits={})
    catalog = Catalog("c2", CATALOG.tiers, {**CATALOG.plans, unlimited.id: unlimited})
    decided = Given(an_opening(), catalog=catalog).when(an_order(seats=1_000_001))
    assert ["SEATS_OUT_OF_RANGE"] == reason_codes(decided.the(OrderRejected))


def test_unknown_plan_is_rejected_with_the_channels_own_word() -> None:
    """The channel recognises what it sent."""
    (reason,) = Given(an_opening()).when(an_order(plan="gold")).the(OrderRejected).reasons
    assert ("PLAN_UNKNOWN", "'gold' is not in catalog c1") == (reason.code, reason.detail)


def test_alias_that_the_normalizer_did_not_know_is_still_understood() -> None:
    """A word that is no plan id is looked up among the channel's aliases."""
    order = an_order(channel="partner", plan="OFF-BUSINESS-Y")
    assert ACCEPTED == codes_of(order)
    assert ["PLAN_UNKNOWN"] == codes_of(an_order(channel="portal", plan="OFF-BUSINESS-Y"))


def test_plan_id_wins_over_an_alias_of_the_same_name() -> None:
    """The normalizer has replaced aliases already; translating its plan ids again would change the order."""
    order = an_order(channel="partner", plan="team-month", seats=13)
    assert "team-month" == Given(an_opening()).when(order).subscription.plan


def test_plan_in_force_that_left_the_catalog_rejects_the_order() -> None:
    """Where the price book that it was bought under is lost too; the detail says which plan is missing."""
    plans = {name: plan for name, plan in CATALOG.plans.items() if name != "team-month"}
    given = Given(an_opening()).later(catalog=Catalog("c2", CATALOG.tiers, plans))
    given.decider.published.clear()
    (reason,) = given.when(an_order()).the(OrderRejected).reasons
    assert ("PLAN_UNKNOWN", "the plan in force, 'team-month', is not in catalog c2") == (
        reason.code,
        reason.detail,
    )


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({"effective": "next_cycle"}, ["effective"]),
        ({"unavailable": ("quote", "productOrderItem[0].action")}, ["quote", "productOrderItem[0].action"]),
        (
            {"unavailable": ("quote",), "modules": ("sso-pack",), "effective": "2027-01-01"},
            ["quote", "effective"],
        ),
    ],
)
def test_what_is_not_available_yet_is_rejected_by_field(changed: dict[str, Any], fields: list[str]) -> None:
    """One reason per field, each field once; never ignored, even where plan and seats are in force."""
    for order in (an_order(**changed), an_order(plan=None, seats=None, **changed)):
        reasons = Given(an_opening()).when(order).the(OrderRejected).reasons
        assert [("NOT_AVAILABLE_YET", field) for field in fields] == [(r.code, r.detail) for r in reasons]


def test_order_received_before_the_last_accepted_one_is_stale() -> None:
    """Newer always means later ``received_at``, whatever order the records arrive in."""
    older = an_order("PO-0", offset=1, received_at=NOON - 1, seats=20)
    decided = Given(an_opening(), an_order()).when(older)
    assert ["STALE_ORDER"] == reason_codes(decided.the(OrderRejected))


def test_order_received_in_the_same_millisecond_is_not_stale() -> None:
    """Equal is not older."""
    Given(an_opening(), an_order()).when(an_order("PO-2", seats=20)).then(*COMPLETED_AT_ONCE)


@pytest.mark.parametrize(
    "newer",
    [
        an_order("PO-2", received_at=NOON + 1, seats=3),
        an_order("PO-2", received_at=NOON + 1, validate_only=True),
    ],
    ids=["rejected", "question"],
)
def test_only_accepted_orders_make_older_ones_stale(newer: Command) -> None:
    """Neither rejections nor questions count."""
    older = an_order(received_at=NOON - 1)
    decided = Given(an_opening(), newer).when(older)
    assert "PASS" == verdict_of(decided, Rule.STALE_ORDER).verdict


def test_already_in_force_counts_as_accepted() -> None:
    """An order that confirmed what is in force is newer than one received before it."""
    confirming = an_order("PO-2", plan=None, seats=None)
    older = an_order(offset=1, received_at=NOON - 1)
    decided = Given(an_opening(), confirming).when(older)
    assert ["STALE_ORDER"] == reason_codes(decided.the(OrderRejected))


@pytest.mark.parametrize(
    "changed",
    [
        {"plan": None, "seats": None},
        {"plan": "team-month", "seats": None},
        {"plan": "TEAM-month", "seats": 12},
    ],
)
def test_order_for_what_is_in_force_succeeds_without_a_charge(changed: dict[str, Any]) -> None:
    """ALREADY_IN_FORCE: completed, nothing charged, nothing changed."""
    decided = Given(an_opening()).when(an_order(**changed))
    decided.then(
        OrderReceived,
        OrderValidated,
        OrderCompleted("team", "team-month", 12, 0, "EUR", "ALREADY_IN_FORCE"),
    )
    assert "ALREADY_IN_FORCE" == decided.event(OrderCompleted).reason_code
    assert ("completed", ("ALREADY_IN_FORCE",)) == (decided.claim.outcome, decided.claim.reasons)
    assert ("team-month", None) == (decided.subscription.plan, decided.subscription.live)


def test_plan_in_force_may_have_left_the_catalog() -> None:
    """Nothing must be compared or priced to confirm it."""
    plans = {name: plan for name, plan in CATALOG.plans.items() if name != "team-month"}
    given = Given(an_opening()).later(catalog=Catalog("c2", CATALOG.tiers, plans))
    given.when(an_order(plan="team-month", seats=12)).the(OrderCompleted)


def test_already_in_force_asks_only_whether_the_order_is_stale() -> None:
    """A suspended account may ask for what it has; rules that were not put have no verdict."""
    decided = Given(an_opening(standing="suspended")).when(an_order(plan=None, seats=None))
    assert [("stale_order", "PASS"), ("already_in_force", "FAIL")] == [
        (v.rule, v.verdict) for v in decided.the(OrderValidated).verdicts
    ]


def test_stale_order_for_what_is_in_force_is_stale() -> None:
    """Staleness comes first: the order is older than what it would confirm."""
    older = an_order("PO-0", offset=1, received_at=NOON - 1)
    decided = Given(an_opening(), an_order()).when(older)
    assert ["STALE_ORDER"] == reason_codes(decided.the(OrderRejected))


def test_every_failing_reason_is_named_at_once() -> None:
    """Rules, seats and holds: the answer is complete, its code is that of the first reason."""
    opening = an_opening(
        standing="suspended",
        contract=replace(CONTRACT, end="2026-12-31", minimum_term_months=24, minimum_spend_minor=10**9),
    )
    decided = Given(opening, policy=a_policy(below_tier_minimum=Severity.HOLD)).when(an_order(seats=9))
    assert [
        "ACCOUNT_SUSPENDED",
        "COMMITMENT_REMAINING",
        "CONTRACT_ENDS_FIRST",
        "BELOW_TIER_MINIMUM",
    ] == reason_codes(decided.the(OrderRejected))
    assert "ACCOUNT_SUSPENDED" == decided.event(OrderRejected).reason_code


def test_impossible_order_still_hears_what_else_is_wrong() -> None:
    """Rules that need a target are not answered; the others are."""
    decided = Given(an_opening(standing="suspended")).when(an_order(plan="gold", seats=0))
    assert ["PLAN_UNKNOWN", "SEATS_OUT_OF_RANGE", "ACCOUNT_SUSPENDED"] == reason_codes(
        decided.the(OrderRejected)
    )
    assert "ERROR" == verdict_of(decided, Rule.CONTRACT_ENDS_FIRST).verdict


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        (Severity.REJECT, (OrderReceived, OrderValidated, OrderRejected)),
        (Severity.HOLD, (OrderReceived, OrderHeld)),
        (Severity.WARN, COMPLETED_AT_ONCE),
        (Severity.SHADOW, COMPLETED_AT_ONCE),
    ],
)
def test_severity_of_a_failing_rule_decides(severity: Severity, expected: tuple[type[EventBody]]) -> None:
    """The policy says what a failure does; warn and shadow let the order pass."""
    policy = a_policy(below_tier_minimum=severity)
    Given(an_opening(), policy=policy).when(an_order(seats=9)).then(*expected)


@pytest.mark.parametrize("severity", [Severity.WARN, Severity.SHADOW])
def test_verdict_of_a_failure_that_passes_is_recorded_with_its_severity(severity: Severity) -> None:
    """A shadow verdict is marked as one, and changes nothing."""
    decided = Given(an_opening(), policy=a_policy(below_tier_minimum=severity)).when(an_order(seats=9))
    expected = Verdict(
        "below_tier_minimum", "FAIL", severity, "business-year needs at least 10 seats, ordered are 9"
    )
    assert expected == verdict_of(decided, Rule.BELOW_TIER_MINIMUM)


@pytest.mark.parametrize(
    ("channel", "segment", "expected"),
    [("partner", "mid", ACCEPTED), ("portal", "mid", ["ARREARS"]), ("partner", "large", ["ARREARS"])],
)
def test_override_means_its_channel_and_segment(channel: str, segment: str, expected: list[str]) -> None:
    """Partners of mid-size accounts are only warned of arrears; the last override that applies wins."""
    policy = a_policy(
        Override(Rule.ARREARS, Severity.WARN, channel="partner"),
        Override(Rule.ARREARS, Severity.REJECT, channel="partner", segment="large"),
    )
    order = an_order(channel=channel)
    assert expected == codes_of(order, policy=policy, standing="arrears", segment=segment)


def test_retry_helps_only_where_every_reason_can_go_away() -> None:
    """ARREARS can be paid; too few seats stay too few."""
    arrears = Given(an_opening(standing="arrears"))
    assert arrears.when(an_order()).the(OrderRejected).retry
    assert not arrears.when(an_order("PO-2", offset=1, seats=9)).the(OrderRejected).retry


def test_order_that_the_money_core_refuses_is_rejected_not_crashed() -> None:
    """PRICE_REFUSED names the field of the money core."""
    bad_cycle = replace(CATALOG.plans["business-year"], cycles={"team-month": Cycle.KEEP_PERIOD})
    catalog = Catalog("c2", CATALOG.tiers, {**CATALOG.plans, "business-year": bad_cycle})
    given = Given(an_opening()).later(catalog=catalog)
    (reason,) = given.when(an_order()).the(OrderRejected).reasons
    assert "PRICE_REFUSED" == reason.code
    assert reason.detail.startswith("cycle: ")


def test_rejected_order_changes_nothing() -> None:
    """The subscription is as it was; only the claim remembers."""
    given = Given(an_opening())
    before = given.when(from_elsewhere(an_opening())).subscription
    assert before == given.when(an_order(seats=9)).subscription
