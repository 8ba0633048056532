"""``tierline import subscriptions`` on real servers: what each line of a file becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.support.orders_bench import OrdersBench
from tests.support.stack import SharedStack, environment_of, own_part_of
from tierline import bootstrap
from tierline.cli.commands import app
from tierline.cli.errors import CommandError
from tierline.workload.accounts import sample_subscriptions

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

SEED = 4


@dataclass(frozen=True, slots=True)
class Office:
    """Somebody who imports files into a stack with a running decider."""

    bench: OrdersBench
    folder: Path

    def lines(self, name: str, count: int = 3) -> list[dict[str, Any]]:
        """Lines for ``count`` subscriptions with ids of their own."""
        today = datetime.now(UTC).date()
        catalog = bootstrap.catalog(self.bench.settings)
        return [sample.line for sample in sample_subscriptions(count, SEED, today, catalog, name)]

    def file(self, *lines: dict[str, Any] | str, name: str = "accounts.ndjson") -> Path:
        """A file with these lines; a text stands as it is."""
        file = self.folder / name
        file.write_text(
            "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n"
        )
        return file

    def give(self, file: Path, *options: str) -> Result:
        """Import ``file`` as a person would."""
        return CliRunner().invoke(
            app, ["import", "subscriptions", str(file), *options], env=environment_of(self.bench.settings)
        )

    def told(self, file: Path) -> tuple[int, dict[str, Any]]:
        """Import ``file`` as a program would: exit code and JSON."""
        result = self.give(file, "--json")
        told: dict[str, Any] = json.loads(result.stdout)
        return result.exit_code, told

    def opened(self) -> set[str]:
        """The streams of the subscriptions that exist."""
        return {row.stream_id for row in self.bench.stored() if row.type == "SubscriptionOpened"}


@pytest.fixture(scope="module")
def running(shared: SharedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrdersBench]:
    """A decider, alone."""
    with own_part_of(shared) as settings:
        bench = OrdersBench(settings)
        with bench.running(tmp_path_factory.mktemp("logs")):
            yield bench


@pytest.fixture
def office(running: OrdersBench, tmp_path: Path) -> Office:
    return Office(running, tmp_path)


def answer(opened: int = 0, already_there: int = 0, *rejected: tuple[int, list[str]]) -> dict[str, Any]:
    """What the command prints for a program."""
    return {
        "opened": opened,
        "already_there": already_there,
        "rejected": [{"line": line, "reasons": reasons} for line, reasons in rejected],
        "unanswered": [],
    }


def test_every_line_is_opened(office: Office) -> None:
    """One subscription a line; blank lines count for the line numbers only."""
    first, second, third = office.lines("fresh")

    assert (0, answer(opened=3)) == office.told(office.file(first, "", second, third))

    assert {f"subscription:{line['subscription_id']}" for line in (first, second, third)} <= office.opened()


def test_a_file_given_again_changes_nothing(office: Office) -> None:
    """Neither under its name nor under another one, and a line that is new is opened beside the old."""
    *old, new = office.lines("again", 3)
    assert (0, answer(opened=2)) == office.told(office.file(*old))
    before = office.bench.stored()

    assert (0, answer(already_there=2)) == office.told(office.file(*old))
    assert before == office.bench.stored()
    assert (0, answer(opened=1, already_there=2)) == office.told(office.file(*old, new, name="other.ndjson"))


def test_a_line_that_contradicts_the_account_is_named_with_its_number(office: Office) -> None:
    """The account keeps its terms; the other lines of the file are opened."""
    first, second, third = office.lines("terms")
    second |= {"account_id": first["account_id"]}
    second["standing"] = "suspended"

    told = office.told(office.file(first, second, third))

    assert (1, answer(2, 0, (2, ["ACCOUNT_TERMS_DIFFER"]))) == told
    assert f"subscription:{second['subscription_id']}" not in office.opened()


def test_a_rejected_line_can_be_corrected(office: Office) -> None:
    """Corrected and given again under the same name, it is opened."""
    first, second = office.lines("corrected", 2)
    right = second | {
        name: first[name] for name in ("segment", "country", "currency", "time_zone", "payment")
    }
    right |= {"account_id": first["account_id"], "invoiced": None}
    assert (1, answer(1, 0, (2, ["ACCOUNT_TERMS_DIFFER"]))) == office.told(
        office.file(first, right | {"standing": "arrears"})
    )

    assert (0, answer(opened=1, already_there=1)) == office.told(office.file(first, right))


def test_another_subscription_may_not_take_a_reference(office: Office) -> None:
    """Two subscriptions under one partner reference would make its orders ambiguous."""
    first, second = office.lines("taken", 2)
    second |= {"external_refs": first["external_refs"][:1]}

    assert (0, answer(opened=1)) == office.told(office.file(first))

    assert (1, answer(0, 1, (2, ["EXTERNAL_REF_TAKEN"]))) == office.told(office.file(first, second))


def test_a_subscription_that_stands_twice_in_a_file_is_opened_once(office: Office) -> None:
    """The same line again was there already; with other content it is rejected, not called opened."""
    (line,) = office.lines("twofold", 1)

    assert (0, answer(opened=1, already_there=1)) == office.told(office.file(line, line))
    assert (1, answer(0, 1, (2, ["SUBSCRIPTION_EXISTS"]))) == office.told(
        office.file(line, line | {"seats": line["seats"] + 1})
    )

    streams = [row.stream_id for row in office.bench.stored() if row.type == "SubscriptionOpened"]
    assert 1 == streams.count(f"subscription:{line['subscription_id']}")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ('{"broken', "line 2"),
        ("[]", "line 2"),
        ('{"account_id": "a", "subscription_id": "s"}', "segment"),
    ],
)
def test_one_bad_line_refuses_the_whole_file(office: Office, bad: str, said: str) -> None:
    """Nothing is published: a file is either understood or it is not."""
    first, second = office.lines(f"refused_{len(bad)}", 2)
    before = office.bench.positions()

    result = office.give(office.file(first, bad, second))

    assert 1 == result.exit_code
    assert isinstance(result.exception, CommandError)
    assert said in str(result.exception)
    assert "1 of 3 lines" in str(result.exception)
    assert "nothing was imported" in str(result.exception)
    assert before == office.bench.positions()
    assert f"subscription:{first['subscription_id']}" not in office.opened()


def test_lines_without_an_answer_are_listed(office: Office) -> None:
    """A file that nobody had time to decide is reported with its lines, not called imported."""
    result = office.give(office.file(*office.lines("hasty", 2)), "--json", "--wait", "0")

    assert 1 == result.exit_code
    assert [1, 2] == json.loads(result.stdout)["unanswered"]


def test_the_words_for_a_person_name_lines_and_reasons(office: Office) -> None:
    """Counts first, then what needs a hand."""
    first, second = office.lines("words", 2)
    second |= {"account_id": first["account_id"], "standing": "arrears"}

    result = office.give(office.file(first, second))

    assert "1 opened, 0 were there already" in result.output
    assert "line 2: rejected, ACCOUNT_TERMS_DIFFER" in result.output
