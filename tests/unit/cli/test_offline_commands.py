"""``quote``, ``calendar`` and ``catalog`` answer without any server, and say what is wrong in one line."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tierline.cli import main

ROOT = Path(__file__).parents[3]
CATALOG = ROOT / "catalog" / "catalog.yaml"
SCENARIO: dict[str, Any] = {
    "account": {"time_zone": "Europe/Berlin", "currency": "EUR"},
    "subscription": {
        "billing_day": 1,
        "period": {"start": "2024-05-01", "end": "2024-06-01"},
        "items": [{"id": "base", "plan": "team", "unit_minor": 3750, "quantity": 1, "interval": "1month"}],
    },
    "change": {
        "at": "2024-05-12T10:00:00+02:00",
        "items": [{"id": "base", "plan": "b", "unit_minor": 90_000, "quantity": 1, "interval": "1year"}],
    },
}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``tierline`` with arguments: exit code, output, errors."""

    def tierline(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tierline", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return tierline


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., Path]:
    """Write a scenario, with some of its top-level fields replaced."""

    def write(**replaced: Any) -> Path:
        path = tmp_path / "scenario.json"
        path.write_text(json.dumps({**SCENARIO, **replaced}))
        return path

    return write


def test_quote_prints_json(run: Run, scenario: Callable[..., Path]) -> None:
    """Amounts are minor units; instants have the account's offset."""
    code, out, _ = run("quote", "--scenario", scenario(mode="second"), "--json")
    quote = json.loads(out)

    assert 0 == code
    assert quote["net_minor"] == sum(line["amount_minor"] for line in quote["lines"])
    assert "2024-05-12T10:00:00+02:00" == quote["period"]["start"] == quote["lines"][1]["start"]
    assert "2025-05-12T10:00:00+02:00" == quote["next_billing"]["date"]


def test_quote_prints_a_table_for_people(run: Run, scenario: Callable[..., Path]) -> None:
    """Each line with its share, and what it comes to; amounts in the locale."""
    code, out, _ = run("quote", "--scenario", scenario(cycle="keep_billing_day"), "--table", "--locale", "de")

    assert 0 == code
    assert [line.rstrip() for line in out.splitlines()] == out.splitlines()
    assert "20/31 days of 37,50\xa0€" in out
    assert "354/365 days of 900,00\xa0€" in out
    assert ["due", "now", "848,69", "€"] == next(line for line in out.splitlines() if "due" in line).split()


def test_quote_shows_credit_and_what_is_carried(run: Run, scenario: Callable[..., Path]) -> None:
    """Nothing that moved is left out of the totals."""
    account = {"time_zone": "UTC", "currency": "USD", "credit_minor": 84_800, "minimum_due_minor": 100}

    _, out, _ = run("quote", "--scenario", scenario(cycle="keep_billing_day", account=account))

    assert "account credit used" in out
    assert ["carried", "to", "the", "next", "bill", "$0.69"] in [line.split() for line in out.splitlines()]


CHANGE = SCENARIO["change"]
SUBSCRIPTION = SCENARIO["subscription"]
[TARGET], [CURRENT] = CHANGE["items"], SUBSCRIPTION["items"]
WEEKS = {
    "period": {"start": "2024-05-06", "end": "2024-05-13"},
    "items": [{**CURRENT, "interval": "1week"}],
}
A_WEEK_ON = {"at": "2024-05-08", "items": [{**TARGET, "interval": "1week"}]}


@pytest.mark.parametrize(
    ("expected", "replaced"),
    [
        ("error: change: must be an object", {"change": 1}),
        ("error: change.at: 2024-06-01 is outside the period", {"change": {**CHANGE, "at": "2024-06-01"}}),
        ("error: change.at: 2024-04-30 is outside the period", {"change": {**CHANGE, "at": "2024-04-30"}}),
        (
            "error: change.items[0].unit_minor: -1 is no price",
            {"change": {**CHANGE, "items": [{**TARGET, "unit_minor": -1}]}},
        ),
        ("error: mode: must be one of day, second", {"mode": "weekly"}),
        ("error: cycle: keep_period needs equal intervals", {"cycle": "keep_period"}),
        ("error: cycle: coterm is reserved", {"cycle": "coterm"}),
        (
            "error: mode: actual30 is for month-based intervals, not 1week",
            {"subscription": WEEKS, "change": A_WEEK_ON, "mode": "actual30"},
        ),
        (
            "error: mode: thirty360 is for month-based intervals, not 1week",
            {"subscription": WEEKS, "change": A_WEEK_ON, "mode": "thirty360"},
        ),
        (
            "error: cycle: keep_billing_day needs a billing day, which 1week does not have",
            {"subscription": WEEKS, "change": A_WEEK_ON, "cycle": "keep_billing_day"},
        ),
    ],
)
def test_quote_refuses_in_one_line_with_the_field(
    run: Run, scenario: Callable[..., Path], expected: str, replaced: dict[str, Any]
) -> None:
    """Exit code 1, and nothing on standard output."""
    code, out, err = run("quote", "--scenario", scenario(**replaced), "--json")

    assert (1, "") == (code, out)
    assert err.startswith(expected)


def test_a_row_of_no_30e360_days_gives_nothing_back(run: Run, scenario: Callable[..., Path]) -> None:
    """From the 30th to the 31st that ruler counts no day."""
    row = {"item": "base", "start": "2024-05-30", "end": "2024-05-31", "amount_minor": 1000}
    asked = {
        "subscription": {**SUBSCRIPTION, "invoiced": [row]},
        "change": {**CHANGE, "at": "2024-05-30"},
        "mode": "thirty360",
    }

    answer = json.loads(run("quote", "--scenario", scenario(**asked), "--json")[1])

    assert ["charge"] == [line["kind"] for line in (*answer["lines"], *answer["zero_lines"])]


@pytest.mark.parametrize(
    ("expected", "content"),
    [
        ("is not JSON", "{"),
        ("is not JSON", '{"mode": NaN}'),
        ("the key 'mode' stands twice", '{"mode": "day", "mode": "day"}'),
        ("is nested too deeply", "[" * 100_000),
        ("is not JSON", "9" * 5000),
        ("is not JSON", b"\xff"),
        ("scenario: must be an object", "[1.5]"),
        ("unknown field", '{"ammount": 1}'),
    ],
)
def test_quote_refuses_what_is_no_scenario(
    run: Run, tmp_path: Path, expected: str, content: str | bytes
) -> None:
    """Poison is refused like any other wrong input."""
    path = tmp_path / "poison.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    code, _, err = run("quote", "--scenario", path)

    assert 1 == code
    assert expected in err


def test_quote_names_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    """The path and the reason."""
    code, _, err = run("quote", "--scenario", tmp_path / "none.json")

    assert 1 == code
    assert "none.json: No such file" in err


@pytest.mark.parametrize("arguments", [(), ("--json", "--table"), ("--locale", "xx")])
def test_quote_used_wrongly_exits_with_2(
    run: Run, scenario: Callable[..., Path], arguments: tuple[str, ...]
) -> None:
    """No scenario, two formats at once, an unknown locale."""
    given = ("--scenario", scenario(), *arguments) if arguments else ()

    assert 2 == run("quote", *given)[0]


def test_calendar_prints_periods(run: Run) -> None:
    """Dates in, dates out."""
    code, out, _ = run(
        "calendar", "--anchor", 31, "--start", "2024-01-31", "--interval", "1month", "--count", 2, "--json"
    )

    assert 0 == code
    assert {
        "periods": [
            {"start": "2024-01-31", "end": "2024-02-29"},
            {"start": "2024-02-29", "end": "2024-03-31"},
        ]
    } == json.loads(out)


@pytest.mark.parametrize(
    ("anchor", "start", "interval", "ends"),
    [
        ("29", "2024-02-29", "1year", ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        ("2024-02-29", "2024-02-29", "1year", ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        ("31", "2024-02-10", "1month", ["2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]),
        ("15", "2024-01-20", "2month", ["2024-02-15", "2024-04-15", "2024-06-15", "2024-08-15"]),
        ("1", "2024-05-12", "1quarter", ["2024-06-01", "2024-09-01", "2024-12-01", "2025-03-01"]),
        ("2024-01-01", "2024-01-03", "2week", ["2024-01-15", "2024-01-29", "2024-02-12", "2024-02-26"]),
    ],
)
def test_calendar_keeps_to_its_anchor(
    run: Run, anchor: str, start: str, interval: str, ends: list[str]
) -> None:
    """Leap days come back, a first stub counts, intervals of months begin on or after the start."""
    _, out, _ = run(
        *("calendar", "--anchor", anchor, "--start", start, "--interval", interval),
        *("--count", len(ends), "--json"),
    )

    expected = [{"start": begin, "end": end} for begin, end in zip([start, *ends], ends, strict=False)]
    assert {"periods": expected} == json.loads(out)


@pytest.mark.parametrize(
    ("end_at", "end", "zone"),
    [
        ("2018-11-04T01:00:00-02:00", "2018-11-04", "America/Sao_Paulo"),  # no midnight
        ("2011-12-31T00:00:00+14:00", "2011-12-30", "Pacific/Apia"),  # no such day
        ("2024-11-03T00:00:00-04:00", "2024-11-03", "America/Havana"),  # two midnights: the earlier one
    ],
)
def test_calendar_adds_the_instants_of_a_zone(run: Run, end_at: str, end: str, zone: str) -> None:
    """Midnight in a gap is the first instant after it, in a fold the earlier of the two."""
    day = date.fromisoformat(end)
    start = date(day.year, day.month - 1, day.day)

    _, out, _ = run(
        *("calendar", "--anchor", day.day, "--start", start, "--interval", "1month"),
        *("--count", 2, "--zone", zone, "--json"),
    )

    first, second = json.loads(out)["periods"]
    assert (str(start), end, end_at) == (first["start"], first["end"], first["end_at"])
    assert (end, end_at) == (second["start"], second["start_at"])


def test_calendar_counts_from_an_instant(run: Run) -> None:
    """Instants in, instants out, in the zone; also readable as a table."""
    arguments = (
        *("calendar", "--anchor", "2024-02-29T10:00:00+01:00", "--start", "2024-03-15"),
        *("--interval", "1year", "--count", 1, "--zone", "Europe/Berlin"),
    )

    periods = json.loads(run(*arguments, "--json")[1])["periods"]

    assert [{"start": "2024-03-15T00:00:00+01:00", "end": "2025-02-28T10:00:00+01:00"}] == periods
    assert "2025-02-28T10:00:00+01:00" in run(*arguments)[1]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--anchor", "0"),
        ("--anchor", "32"),
        ("--anchor", "9" * 5000),
        ("--anchor", "x"),
        ("--anchor", "1066-10-14"),
        ("--start", "2024-02-30"),
        ("--start", "3024-01-01"),
        ("--interval", "1week"),
        ("--interval", "0month"),
        ("--count", "0"),
        ("--zone", "Mars/Olympus"),
    ],
)
def test_calendar_used_wrongly_exits_with_2(run: Run, option: str, value: str) -> None:
    """Every option is checked before anything is printed."""
    right = {
        "--anchor": "1",
        "--start": "2024-01-01",
        "--interval": "1month",
        "--count": "2",
        "--zone": "UTC",
    }
    arguments = [part for name, text in {**right, option: value}.items() for part in (name, text)]

    code, out, err = run("calendar", *arguments)

    assert (2, "") == (code, out)
    assert "Error" in err


@pytest.mark.parametrize("interval", ["100year", "36525day"])
def test_calendar_ends_before_the_year_3000(run: Run, interval: str) -> None:
    """Asking for more is used wrongly, not a crash."""
    arguments = ("--start", "2900-01-01", "--interval", interval, "--count", 10_000)

    assert 2 == run("calendar", "--anchor", "2900-01-01", *arguments)[0]


def test_catalog_check_accepts_the_shipped_catalog(run: Run) -> None:
    """And says which version it is."""
    code, out, _ = run("catalog", "check", CATALOG)
    version = json.loads(run("catalog", "check", CATALOG, "--json")[1])["version"]

    assert 0 == code
    assert f"no problems. Version {version}" in out


def test_catalog_check_names_file_line_and_reason(run: Run, tmp_path: Path) -> None:
    """One line per problem, exit code 1; the same facts as JSON."""
    broken = tmp_path / "broken.yaml"
    broken.write_text(CATALOG.read_text().replace("tier: team\n", "tier: gold\n", 1))

    code, _, err = run("catalog", "check", broken)
    found = json.loads(run("catalog", "check", broken, "--json")[1])["problems"]

    assert 1 == code
    assert f"{broken}:{found[0]['line']}: plan team-month names the unknown tier 'gold'" == err.strip()


def test_catalog_show_lists_plans_or_one_of_them(run: Run) -> None:
    """In any case of its name; an unknown one is refused with those that are known."""
    assert "business-year" in run("catalog", "show", "--file", CATALOG)[1]
    assert "€29.00 a seat" in run("catalog", "show", "TEAM-month", "--file", CATALOG)[1]
    assert "not sold" in run("catalog", "show", "--file", CATALOG, "--currency", "KWD")[1]
    module = "sso-pack: Single sign-on, for business, team; included in enterprise; €3.00 a seat for 1month"
    assert module in " ".join(run("catalog", "show", "--file", CATALOG)[1].split())
    assert (
        "team-month" == json.loads(run("catalog", "show", "Team-Month", "--file", CATALOG, "--json")[1])["id"]
    )
    assert set(json.loads(run("catalog", "show", "--file", CATALOG, "--json")[1])) >= {"plans", "tiers"}
    code, _, err = run("catalog", "show", "gold", "--file", CATALOG)
    assert 1 == code
    assert "no plan 'gold'" in err


def test_catalog_publish_and_diff(run: Run, tmp_path: Path) -> None:
    """A version is published once, and later files are compared with it."""
    working = tmp_path / "catalog.yaml"
    shutil.copy(CATALOG, working)

    published = json.loads(run("catalog", "publish", "--file", working, "--json")[1])
    again = run("catalog", "publish", "--file", working)[1]
    same = run("catalog", "diff", published["version"], "--file", working)[1]
    working.write_text(working.read_text().replace("per_seat_minor: 2900}", "per_seat_minor: 3100}"))
    changed = run("catalog", "diff", published["version"], "--file", working)[1]
    as_json = json.loads(run("catalog", "diff", published["version"], "--file", working, "--json")[1])

    assert published["new"]
    assert "is already published" in again
    assert "no differences" in same
    assert "~ plans.team-month.prices.EUR.per_seat_minor: 2900 -> 3100" in changed
    assert {"place": "plans.team-month.prices.EUR.per_seat_minor", "before": 2900, "after": 3100} in as_json[
        "differences"
    ]


def test_catalog_names_what_it_cannot_find(run: Run, tmp_path: Path) -> None:
    """A version that nobody published, a file that is broken."""
    assert "is neither a version in" in run("catalog", "diff", "abc", "--file", CATALOG)[2]
    broken = tmp_path / "broken.yaml"
    broken.write_text("plans: [")
    assert "is not YAML" in run("catalog", "publish", "--file", broken)[2]
