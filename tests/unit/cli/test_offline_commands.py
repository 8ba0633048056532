"""``quote``, ``calendar`` and ``catalog`` answer without any server, and say what is wrong in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tierline.cli import main
from tierline.cli.commands import COMMANDS, FILES

ROOT = Path(__file__).parents[3]
CATALOG = ROOT / "catalog" / "catalog.yaml"
SCENARIO = {
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
    assert "20/31 days of 37,50\xa0€" in out
    assert "354/365 days of 900,00\xa0€" in out
    assert ["due", "now", "848,69", "€"] == next(line for line in out.splitlines() if "due" in line).split()


def test_quote_shows_credit_and_what_is_carried(run: Run, scenario: Callable[..., Path]) -> None:
    """Nothing that moved is left out of the totals."""
    account = {"time_zone": "UTC", "currency": "USD", "credit_minor": 84_800, "minimum_due_minor": 100}

    _, out, _ = run("quote", "--scenario", scenario(cycle="keep_billing_day", account=account))

    assert "account credit used" in out
    assert ["carried", "to", "the", "next", "bill", "$0.69"] in [line.split() for line in out.splitlines()]


@pytest.mark.parametrize(
    ("expected", "replaced"),
    [
        ("error: change: must be an object", {"change": 1}),
        ("error: mode: must be one of day, second", {"mode": "weekly"}),
        ("error: cycle: keep_period needs equal intervals", {"cycle": "keep_period"}),
    ],
)
def test_quote_refuses_in_one_line_with_the_field(
    run: Run, scenario: Callable[..., Path], expected: str, replaced: dict[str, Any]
) -> None:
    """Exit code 1, and nothing on standard output."""
    code, out, err = run("quote", "--scenario", scenario(**replaced), "--json")

    assert (1, "") == (code, out)
    assert err.startswith(expected)


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


def test_calendar_adds_the_instants_of_a_zone(run: Run) -> None:
    """Midnight of 4 November 2018 did not exist in São Paulo."""
    _, out, _ = run(
        *("calendar", "--anchor", 4, "--start", "2018-10-04", "--interval", "1month"),
        *("--count", 1, "--zone", "America/Sao_Paulo", "--json"),
    )

    assert {
        "start": "2018-10-04",
        "end": "2018-11-04",
        "start_at": "2018-10-04T00:00:00-03:00",
        "end_at": "2018-11-04T01:00:00-02:00",
    } == json.loads(out)["periods"][0]


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


SLOW = ("pydantic", "psycopg", "confluent_kafka", "fastavro", "faust", "alembic", "asyncio", "rich")
PERIOD = ("--anchor", "31", "--start", "2024-01-31", "--interval", "1month", "--json")
ORDER = "schemas/examples/portal/plan-by-alias.json"


@pytest.mark.parametrize(
    "arguments",
    [
        ("calendar", *PERIOD),
        ("quote", "--scenario", "SCENARIO", "--json"),
        ("catalog", "check"),
        ("catalog", "show", "--json"),
        ("catalog", "diff", "catalog/catalog.yaml"),
        ("validate", "--channel", "portal", ORDER),
    ],
    ids=" ".join,
)
def test_an_offline_answer_waits_for_nothing_but_its_own(
    scenario: Callable[..., Path], arguments: tuple[str, ...]
) -> None:
    """No other command, no settings, no client: each of them takes as long to load as the answer itself."""
    given = [str(scenario()) if word == "SCENARIO" else word for word in arguments]
    script = (
        "import atexit, sys; from tierline.cli import main; "
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, *given], capture_output=True, text=True, check=True, cwd=ROOT
    )

    loaded = set(done.stderr.split())
    others = {f"tierline.cli.{FILES.get(name, name)}" for name in COMMANDS if name != given[0]}
    assert set() == loaded & {*SLOW, *others}


def test_help_tells_of_every_command(run: Run) -> None:
    """Each with a sentence, in the order of the table, though only asking for it loads it."""
    code, out, _ = run("--help")

    told = [line.split(maxsplit=1) for line in out.partition("Commands:\n")[2].splitlines()]
    assert 0 == code
    assert [*COMMANDS] == [line[0] for line in told if len(line) == 2]


def test_a_misspelt_command_is_guessed(run: Run) -> None:
    """Used wrongly: exit code 2, with the one that was probably meant."""
    code, _, err = run("calender")

    assert 2 == code
    assert "Did you mean 'calendar'?" in err


@pytest.mark.parametrize("name", [*COMMANDS])
def test_every_command_is_where_the_table_says(run: Run, name: str) -> None:
    """Its help has the name it is called by, and it leads to an answer."""
    code, out, _ = run(name, "-h")

    assert 0 == code
    assert out.startswith(f"Usage: tierline {name} ")
