"""The catalog file: accepted as a whole, or refused with file, line and reason."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tierline.domain.cycles import Cycle
from tierline.domain.modes import Mode
from tierline.kit.catalog_file import (
    load_catalog,
    load_published,
    publish_catalog,
    read_catalog,
)
from tierline.kit.yaml_nodes import YamlRefused

SHIPPED = Path(__file__).parents[3] / "catalog" / "catalog.yaml"

SMALL = """\
format: 1
tiers:
  - name: team
  - {name: business, includes: [sso]}
plans:
  team-month:
    name: Team
    tier: team
    interval: 1month
    prices:
      EUR: {per_seat_minor: 2900}
    countries: [DE, NO]
    sellable: {from: 2024-01-01}
    proration: second
    aliases: {partner: [OFF-T]}
  business-month:
    name: Business
    tier: business
    interval: 1month
    prices:
      EUR: {flat_minor: 100, per_seat_minor: 10, included: 5}
    cycles: {team-month: restart}
    features: [single-sign-on]
modules:
  sso:
    name: SSO
    features: [single-sign-on]
    tiers: [team]
    prices: {1month: {EUR: {flat_minor: 300}}}
    aliases: {partner: [OFF-SSO]}
offers:
  early:
    plans: [business-month]
    percent: 12.5
    within_days: 30
"""


def problems(text: str) -> list[str]:
    """What is wrong with the catalog, as it is shown."""
    with pytest.raises(YamlRefused) as refused:
        read_catalog(text, "c.yaml", "v")
    return [str(problem) for problem in refused.value.problems]


def test_a_small_catalog_is_read_completely() -> None:
    """Every section ends up in the value."""
    catalog = read_catalog(SMALL, "c.yaml", "v")
    team, business = catalog.plans["team-month"], catalog.plans["business-month"]

    assert [("team", 0), ("business", 1)] == [(tier.name, tier.rank) for tier in catalog.tiers]
    assert (2900, 120, Mode.SECOND, Mode.DAY) == (
        team.price("EUR", 1),
        business.price("EUR", 7),
        team.mode,
        business.mode,
    )
    assert {"DE", "NO"} == team.countries
    assert ("2024-01-01", None) == (str(team.sellable_from), team.sellable_to)
    assert Cycle.RESTART == catalog.cycle(team, business)
    assert ["sso"] == list(catalog.modules)
    assert catalog.modules["sso"] is catalog.module_for_alias("partner", "off-sso")
    assert "25/2" == str(catalog.offers[0].percent)


@pytest.mark.parametrize(
    ("expected", "line", "replacement"),
    [
        ("c.yaml:1: format must be 1", "format: 1", "format: 2"),
        ("c.yaml:8: plan team-month names the unknown tier 'gold'", "    tier: team\n", "    tier: gold\n"),
        ("c.yaml:9: '1months' is not an interval", "    interval: 1month\n", "    interval: 1months\n"),
        ("c.yaml:11: per_seat_minor must be a whole number from 0 on, not 29.5", "2900", "29.5"),
        ("c.yaml:11: per_seat_minor must be a whole number from 0 on, not -1", "2900", "-1"),
        ("c.yaml:11: EURO is not an ISO 4217 currency", "EUR: {per_seat", "EURO: {per_seat"),
        (
            "c.yaml:11: the EUR price needs flat_minor or per_seat_minor",
            "{per_seat_minor: 2900}",
            "{included: 2}",
        ),
        ("c.yaml:11: the EUR price has no field 'per_seat'", "per_seat_minor: 2900", "per_seat: 2900"),
        ("c.yaml:12: germany is not an ISO 3166 country code", "[DE, NO]", "[germany]"),
        ("c.yaml:12: 'DE' stands twice in countries", "[DE, NO]", "[DE, DE]"),
        ("c.yaml:13: from must be a date such as 2026-01-31, not soon", "2024-01-01", "soon"),
        ("c.yaml:13: to must come after from", "{from: 2024-01-01}", "{from: 2024-01-01, to: 2024-01-01}"),
        ("c.yaml:14: proration must be one of day, second", "proration: second", "proration: daily"),
        (
            "c.yaml:15: alias business-month of partner already means business-month",
            "OFF-T",
            "business-month",
        ),
        ("c.yaml:22: a cycle must be one of keep_period", "team-month: restart", "team-month: stay"),
        ("c.yaml:22: coterm is reserved", "team-month: restart", "team-month: coterm"),
        ("c.yaml:22: the cycle from 'x' names an unknown plan", "team-month: restart", "x: restart"),
        (
            "c.yaml:23: plan business-month lacks single-sign-on of sso, which its tier includes",
            "    features: [single-sign-on]\nmodules",
            "    features: [boards]\nmodules",
        ),
        (
            "c.yaml:31: alias off-sso of partner already means sso",
            "offers:",
            "  vox: {name: V, features: [v], tiers: [], prices: {}, aliases: {partner: [off-sso]}}\noffers:",
        ),
        ("c.yaml:28: module sso names the unknown tier 'none'", "tiers: [team]", "tiers: [none]"),
        (
            "c.yaml:29: module sso excludes the unknown module 'gone'",
            "    tiers: [team]\n",
            "    tiers: [team]\n    excludes: [gone]\n",
        ),
        ("c.yaml:26: module base needs an id of its own", "  sso:\n", "  base:\n"),
        ("c.yaml:26: module team-month needs an id of its own", "  sso:\n", "  team-month:\n"),
        ("c.yaml:29: '1moon' is not an interval", "{1month:", "{1moon:"),
        (
            "c.yaml:29: flat_minor must be a whole number from 0 on, not -3",
            "{flat_minor: 300}",
            "{flat_minor: -3}",
        ),
        (
            "c.yaml:29: XXX is not an ISO 4217 currency",
            "{EUR: {flat_minor: 300}}",
            "{XXX: {flat_minor: 300}}",
        ),
        ("c.yaml:10: prices need at least one currency", "\n      EUR: {per_seat_minor: 2900}", " {}"),
        (
            "c.yaml:14: minimum_seats must be a whole number from 1 on",
            "proration: second",
            "minimum_seats: 0",
        ),
        ("c.yaml:14: limit projects must be a whole number", "proration: second", "limits: {projects: many}"),
        ("c.yaml:33: offer early names the unknown plan 'nothing'", "[business-month]", "[nothing]"),
        ("c.yaml:33: offer early gives 125 percent", "12.5", "125"),
        ("c.yaml:35: within_days must be a whole number from 1 on", "within_days: 30", "within_days: 0"),
        (
            "c.yaml:1: tier business includes the unknown module 'audit'",
            "includes: [sso]",
            "includes: [audit]",
        ),
        ("c.yaml:4: tier 'team' stands here twice", "{name: business", "{name: team"),
        (
            "c.yaml:16: 'team-month' stands twice in plans",
            "  business-month:\n    name",
            "  team-month:\n    name",
        ),
        (
            "c.yaml:17: plan Team-Month differs from team-month only in case",
            "  business-month:\n",
            "  Team-Month:\n",
        ),
        (
            "c.yaml:2: tiers must be a list",
            "tiers:\n  - name: team\n  - {name: business, includes: [sso]}",
            "tiers: two",
        ),
        ("c.yaml:36: the catalog has no field 'extras'", "within_days: 30\n", "within_days: 30\nextras: 1\n"),
    ],
)
def test_a_broken_catalog_is_refused_with_line_and_reason(expected: str, line: str, replacement: str) -> None:
    """The reason is in the words of whoever wrote the file."""
    assert line in SMALL

    found = problems(SMALL.replace(line, replacement, 1))

    assert any(problem.startswith(expected) for problem in found), found


def test_keep_period_between_different_intervals_is_refused() -> None:
    """Such a pair has no period to keep."""
    text = SMALL.replace("tier: business\n    interval: 1month", "tier: business\n    interval: 1year")

    assert ["c.yaml:22: keep_period needs equal intervals, not 1month (team-month) and 1year"] == problems(
        text.replace("team-month: restart", "team-month: keep_period")
    )


def test_cycles_that_the_core_would_refuse_are_refused_here() -> None:
    """Week plans have no billing day; mode none keeps the period; 30-day months need months."""
    weekly = SMALL.replace("tier: team\n    interval: 1month", "tier: team\n    interval: 1week")

    assert any(
        "needs a billing day" in found
        for found in problems(weekly.replace("month: restart", "month: keep_billing_day"))
    )
    assert any(
        "only possible with keep_period" in found
        for found in problems(SMALL.replace("    cycles:", "    proration: none\n    cycles:"))
    )
    assert any(
        "month-based intervals" in found
        for found in problems(weekly.replace("proration: second", "proration: thirty360"))
    )


def test_all_problems_are_named_at_once_in_order_of_their_line() -> None:
    """One pass through the file is enough."""
    text = SMALL.replace("2900", "free").replace("within_days: 30", "within_days: soon")

    assert ["c.yaml:11:", "c.yaml:35:"] == [found.split(" ")[0] for found in problems(text)]


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("c.yaml:1: is empty", ""),
        ("c.yaml:2: is not YAML", "format: 1\n\t- x"),
        ("c.yaml:1: the catalog must be a mapping", "[]"),
        ("c.yaml:1: the catalog lacks format, tiers, plans", "{}"),
        ("c.yaml:1: a catalog needs at least one tier", "{format: 1, tiers: [], plans: {}}"),
        ("c.yaml:1: is not YAML: is nested too deeply", "[" * 100_000),
    ],
)
def test_what_is_no_catalog_at_all_is_refused(expected: str, text: str) -> None:
    """Also text that is no YAML."""
    assert problems(text)[0].startswith(expected)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Missing, or no text."""
    path = tmp_path / "catalog.yaml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(YamlRefused, match=r"catalog\.yaml:1: "):
        load_catalog(path)


def test_publishing_gives_an_immutable_version(tmp_path: Path) -> None:
    """The version is the content's digest; publishing again changes nothing; an edited file is found."""
    working, folder = tmp_path / "catalog.yaml", tmp_path / "published"
    working.write_text(SMALL)

    first, new = publish_catalog(working, folder)
    again, new_again = publish_catalog(working, folder)
    working.write_text(SMALL.replace("2900", "3100"))
    second, _ = publish_catalog(working, folder)

    assert (True, False) == (new, new_again)
    assert first.version == again.version != second.version
    assert {first.version, second.version} == set(load_published(folder))
    assert 2900 == load_published(folder)[first.version].plans["team-month"].price("EUR", 1)
    (folder / f"{first.version}.yaml").write_text(SMALL.replace("2900", "1"))
    with pytest.raises(YamlRefused, match="was edited after it was published"):
        load_published(folder)


def test_a_broken_catalog_is_not_published(tmp_path: Path) -> None:
    """Nothing is written."""
    working = tmp_path / "catalog.yaml"
    working.write_text(SMALL.replace("2900", "free"))

    with pytest.raises(YamlRefused):
        publish_catalog(working, tmp_path / "published")
    assert not (tmp_path / "published").exists()


def test_the_shipped_catalog_is_sound_and_published() -> None:
    """Publish it after every change: tierline catalog publish."""
    catalog = load_catalog(SHIPPED)

    assert catalog.version in load_published(SHIPPED.parent / "published")
    assert ["starter", "team", "business", "enterprise"] == [tier.name for tier in catalog.tiers]
    assert 34_800 == catalog.plans["team-month"].price("EUR", 12)
    assert all({"EUR", "USD", "GBP", "JPY"} <= set(plan.prices) for plan in catalog.plans.values())
    assert (5, 50) == (
        catalog.plans["business-year"].minimum_seats,
        catalog.plans["enterprise-year"].minimum_seats,
    )
    assert catalog.plan_for_alias("partner", "OFF-BUSINESS-Y") is catalog.plans["business-year"]


def test_features_of_the_shipped_catalog_grow_with_the_tier() -> None:
    """An upgrade never takes a feature away."""
    catalog = load_catalog(SHIPPED)
    by_rank = sorted(catalog.plans.values(), key=lambda plan: catalog.tier(plan.tier).rank)

    assert all(set(lower.features) <= set(higher.features) for lower, higher in pairwise(by_rank))
