"""A small price book for tests: four tiers, monthly and yearly plans, two modules, one offer."""

from __future__ import annotations

from fractions import Fraction

from tierline.domain.calendar import Interval
from tierline.domain.catalog import Catalog, Module, Offer, Plan, Price, Tier
from tierline.domain.cycles import Cycle

MONTH, YEAR = Interval.parse("1month"), Interval.parse("1year")

_TIERS = (
    Tier("starter", 0),
    Tier("team", 1),
    Tier("business", 2),
    Tier("enterprise", 3, frozenset({"sso", "audit"})),
)


def _plan(plan_id: str, interval: Interval, per_seat: int, **terms: object) -> Plan:
    tier = plan_id.split("-", maxsplit=1)[0]
    return Plan(plan_id, plan_id, tier, interval, {"EUR": Price(0, per_seat)}, **terms)  # type: ignore[arg-type]


_PLANS = (
    _plan("starter-month", MONTH, 1200),
    _plan("team-month", MONTH, 2900, aliases={"partner": ("OFF-TEAM-M",)}),
    _plan("team-year", YEAR, 29_000),
    _plan("business-month", MONTH, 8400),
    _plan(
        "business-year",
        YEAR,
        60_000,
        cycles={"team-month": Cycle.KEEP_BILLING_DAY},
        aliases={"marketplace": ("gold",)},
    ),
    _plan("enterprise-year", YEAR, 108_000),
)

PRICE_BOOK = Catalog(
    "test",
    _TIERS,
    {plan.id: plan for plan in _PLANS},
    {
        "sso": Module(
            "sso",
            "SSO",
            ("single-sign-on",),
            frozenset({"team", "business"}),
            {MONTH: {"EUR": Price(0, 300)}},
        ),
        "audit": Module(
            "audit", "Audit", ("audit-stream",), frozenset({"business"}), {MONTH: {"EUR": Price(9900)}}
        ),
    },
    (Offer("renewal", frozenset({"business-year"}), Fraction(10), 45),),
)
