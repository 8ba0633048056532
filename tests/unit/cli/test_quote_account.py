"""``tierline quote --account``: what is shown, what is refused, and what to do about it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from streams.deciding.account_reading import KnownAccount
from tests.support.given_when_then import Decider
from tests.support.order_values import an_opening
from tierline import bootstrap
from tierline.cli import main
from tierline.domain.account import OpenAccount
from tierline.domain.subscription import ActiveSubscription
from tierline.kit import clock

NOON = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp() * 1000)
Run = Callable[..., tuple[int, str, str]]


def known(*subscription_ids: str, **changed: Any) -> KnownAccount:
    """acc_204 with these subscriptions, each that of the import example; ``changed`` are fields of it."""
    decider = Decider()
    opening = an_opening(**changed)
    decider.decide(opening)
    state = decider.state(opening)
    assert isinstance(state.account, OpenAccount)
    assert isinstance(state.subscription, ActiveSubscription)
    one = state.subscription
    return KnownAccount(state.account, tuple(replace(one, subscription_id=name) for name in subscription_ids))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``tierline quote`` against ``there``: exit code, output, errors."""

    def tierline(there: KnownAccount | Exception | None, *arguments: str) -> tuple[int, str, str]:
        @contextmanager
        def reader(_: object) -> Iterator[Callable[[str], KnownAccount | None]]:
            if isinstance(there, Exception):
                raise there
            yield lambda account_id: there if account_id == "acc_204" else None

        monkeypatch.setattr(bootstrap, "account_reader", reader)
        monkeypatch.setattr(clock.SystemClock, "now_ms", lambda _: NOON)
        monkeypatch.setattr(sys, "argv", ["tierline", "quote", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return tierline


def test_three_totals_stand_side_by_side(run: Run) -> None:
    """The ways, what each costs, the days from which one is ahead, and the lines of the one asked for."""
    code, out, err = run(known("sub_88"), "--account", "acc_204", "--to", "business-month", "--seats", "15")

    assert (0, "") == (code, err)
    lines = [line.strip() for line in out.splitlines()]
    assert "Team, monthly, 12 seats → Business, monthly, 15 seats   upgrade" in out
    assert ["now", "at renewal", "now, yearly"] == re.split(r" {2,}", lines[2])
    assert "8/30 days of €1,260.00" in out
    assert "From 2027-08-01 on taking the year now has cost less in total than changing now." in lines
    assert "Nothing is stored and nothing is ordered." in lines


def test_the_next_cycle_shows_the_lines_of_the_renewal(run: Run) -> None:
    """A whole period; the old one is not touched."""
    _, out, _ = run(known("sub_88"), "--account", "acc_204", "--to", "business-month", "--when", "next_cycle")

    assert "31/31 days of €1,008.00" in out
    assert "8/30" not in out


def test_json_has_the_same_facts(run: Run) -> None:
    """Per way its bills and its whole quote; the break-even days by pair."""
    code, out, _ = run(known("sub_88"), "--account", "acc_204", "--to", "business-month", "--json")

    facts = json.loads(out)
    assert (0, {"now", "at_renewal", "annual"}) == (code, set(facts["ways"]))
    assert "yearly-at-renewal" == facts["ways"]["annual"]["offer"]
    assert {"date": "2026-12-01", "amount_minor": 100_800} == facts["ways"]["at_renewal"]["first_bill"]
    assert facts["ways"]["now"]["quote"]["net_minor"] == facts["ways"]["now"]["first_bill"]["amount_minor"]
    assert [("annual", "now"), ("annual", "at_renewal"), ("now", "at_renewal")] == [
        (pair["way"], pair["against"]) for pair in facts["break_even"]
    ]


def test_modules_are_priced_as_an_order_with_them_would_be(run: Run) -> None:
    """All modules afterwards, each with lines of its own; what the new plan includes is told of."""
    there = known("sub_88", modules=("sso-pack",), invoiced=None)
    both = ("--module", "sso-pack", "--module", "audit-pack")
    _, out, _ = run(there, "--account", "acc_204", "--to", "business-month", *both, "--json")
    facts = json.loads(out)
    assert (["sso-pack"], ["audit-pack", "sso-pack"]) == (
        facts["current"]["modules"],
        facts["target"]["modules"],
    )
    charged = [ln["item"] for ln in facts["ways"]["now"]["quote"]["lines"] if ln["kind"] == "charge"]
    assert ["audit-pack", "base"] == charged

    _, out, _ = run(there, "--account", "acc_204", "--to", "enterprise-year", "--seats", "60")
    assert "Team, monthly, 12 seats, sso-pack → Enterprise, yearly, 60 seats" in out
    assert "sso-pack is part of enterprise-year: The new plan includes this module" in out


def test_a_missing_annual_way_is_explained(run: Run) -> None:
    """Enterprise has no offer: two totals, and why."""
    _, out, _ = run(known("sub_88"), "--account", "acc_204", "--to", "enterprise-year", "--seats", "60")

    assert "now, yearly" not in out
    assert "No annual discount: there is no offer for enterprise-year." in out


REFUSED = [
    (
        ("--account", "acc_9", "--to", "business-month"),
        ("There is no account acc_9.", "tierline import subscriptions"),
    ),
    (
        ("--account", "acc_204", "--to", "business-month"),
        (
            "Account acc_204 has 2 subscriptions: choose one.",
            "--subscription sub_89     team-month, 12 seats",
        ),
    ),
    (
        ("--account", "acc_204", "--subscription", "sub_7", "--to", "business-month"),
        ("Account acc_204 has no subscription sub_7.", "--subscription sub_88"),
    ),
    (
        ("--account", "acc_204", "--subscription", "sub_88", "--to", "platinum"),
        ("'platinum' is not in catalog", "tierline catalog show"),
    ),
    (
        ("--account", "acc_204", "--subscription", "sub_88", "--to", "enterprise-year"),
        ("Enterprise-year takes 50 to 100,000 seats, not 12.", "--seats N"),
    ),
]


@pytest.mark.parametrize(("arguments", "told"), REFUSED)
def test_a_refusal_says_what_to_do(run: Run, arguments: tuple[str, ...], told: tuple[str, ...]) -> None:
    """Exit code 1, one line that says what, then the option or command that helps."""
    code, out, err = run(known("sub_88", "sub_89"), *arguments)

    assert (1, "") == (code, out)
    assert all(text in err for text in told), err


def test_a_database_that_is_away_is_named(run: Run) -> None:
    """As every command says it."""
    code, _, err = run(
        psycopg.OperationalError("connection refused"), "--account", "acc_204", "--to", "business-month"
    )

    assert 1 == code
    assert "does not answer" in err
    assert "tierline up --detach" in err


def test_a_database_without_tables_is_explained(run: Run) -> None:
    """Nobody started a stack on it yet."""
    code, _, err = run(
        psycopg.errors.UndefinedTable("oms.schema"), "--account", "acc_204", "--to", "business-month"
    )

    assert 1 == code
    assert "no event store yet" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give either --scenario FILE or --account A --to PLAN"),
        (("--account", "acc_204", "--scenario", "x.json", "--to", "b"), "give either"),
        (("--account", "acc_204"), "needs the plan to change to"),
        (("--scenario", "x.json", "--seats", "3"), "go with --account"),
        (("--account", "acc_204", "--to", "business-month", "--locale", "xx-nowhere"), "is not a locale"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(
    run: Run, arguments: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    """Exit code 2, and which options belong together."""
    code, _, err = run(known("sub_88"), *arguments)

    assert 2 == code
    assert told in " ".join(err.split())
