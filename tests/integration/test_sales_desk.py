"""A file of the sales desk on real servers: published, answered row by row, corrected, published again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from schemas.topics import orders_topic
from tests.support.hold_policies import no_patience
from tests.support.orders_bench import OrdersBench
from tests.support.stack import SharedStack, environment_of, own_part_of
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.cli.commands import app
from tierline.local.workers import WORKERS
from tierline.verify.check import check
from tierline.workload.accounts import SampleSubscription, sample_subscriptions
from tierline.workload.running import open_samples, target_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

HEADER = "order_ref,account,subscription,target_plan,seats,modules,effective,quote,note"
TOPIC = orders_topic("sales_desk").name
SEED = 5


@dataclass(frozen=True, slots=True)
class Desk:
    """Somebody with files and a stack in which everything runs."""

    bench: OrdersBench
    folder: Path

    def tierline(self, *arguments: str) -> Result:
        """Run a command as a person would."""
        return CliRunner().invoke(app, arguments, env=environment_of(self.bench.settings))

    def publish(self, name: str, content: bytes) -> Result:
        """Publish a file; returns when everything that follows from it has ended."""
        (self.folder / name).write_bytes(content)
        published = self.tierline("publish", "--channel", "sales_desk", str(self.folder / name))
        report = check(target_of(self.bench.settings), 60)
        assert [] == [f"{f.invariant}: {f.first}" for f in report.findings if not f.holds]
        return published

    def answer(self, name: str) -> list[dict[str, str]]:
        """The last answer to a file, with no row on hold any more, as a spreadsheet reads it."""
        rows: list[dict[str, str]] = []

        def is_final() -> bool:
            rows[:] = self._answered(name)
            return all(row["tierline_outcome"] != "held" for row in rows)

        wait_for(is_final, f"no row of {name} is on hold")
        return rows

    def _answered(self, name: str) -> list[dict[str, str]]:
        out = self.folder / f"answer-{name}"
        asked = self.tierline("replies", "--channel", "sales_desk", "--file", name, "--out", str(out))
        assert 0 == asked.exit_code, asked.output
        return list(csv.DictReader(io.StringIO(out.read_text("utf-8-sig"), newline=""), strict=True))

    def tier_changes(self) -> int:
        """How often a tier was changed so far."""
        return sum(1 for row in self.bench.stored() if row.type == "TierChanged")


@pytest.fixture(scope="module")
def bench(shared: SharedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrdersBench]:
    """All workers, and eight open subscriptions that are billed by invoice."""
    with own_part_of(shared) as settings:
        bench = OrdersBench(
            settings, unknown_account_wait_ms=200, hold_policy=no_patience(tmp_path_factory.mktemp("policy"))
        )
        with bench.running(tmp_path_factory.mktemp("logs"), *WORKERS):
            catalog = bootstrap.catalog(settings)
            samples = sample_subscriptions(8, SEED, datetime.now(UTC).date(), catalog, "desk")
            open_samples(settings, [_by_invoice(sample) for sample in samples], lambda *_: None)
            yield bench


def _by_invoice(sample: SampleSubscription) -> SampleSubscription:
    return replace(sample, line=sample.line | {"payment": "invoice", "contract": None})


@pytest.fixture
def desk(bench: OrdersBench, tmp_path: Path) -> Desk:
    return Desk(bench, tmp_path)


def file_of(*rows: str, line_end: str = "\r\n", header: str = HEADER) -> bytes:
    """A file with these rows."""
    return line_end.join([header, *rows, ""]).encode()


def told(answer: list[dict[str, str]]) -> list[tuple[str, str, str, str, str]]:
    """What the answer says about each row."""
    names = ("row", "outcome", "duplicate", "reason", "field")
    return [tuple(row[f"tierline_{name}"] for name in names) for row in answer]  # type: ignore[misc]


GOOD = "SD-1,,sub_desk_00000,Business yearly,30,,now,,first"
UNNAMED = ",,sub_desk_00001,business-year,31,,,,without reference"
FEW_SEATS = "SD-3,,sub_desk_00002,enterprise-year,1,,,,too few seats"
BROKEN = 'SD-4,"acc,sub_desk_00004,business-year,32,,,,open quote'
WRONG = 'SD-5,,sub_desk_00005,business-year,1.000,,,,"thousands, of seats"'
STRANGER = "SD-6,,sub_nobody,business-year,33,,,,nobody knows it"


def test_the_corrected_file_runs_only_its_corrections(desk: Desk) -> None:
    """Good rows answer as duplicates with their first outcome; corrected rows are carried out."""
    desk.publish("orders.csv", file_of(GOOD, UNNAMED, "", FEW_SEATS, BROKEN, WRONG, STRANGER))
    first = desk.answer("orders.csv")
    changes = desk.tier_changes()

    assert [
        ("2", "completed", "", "", ""),
        ("3", "completed", "", "", ""),
        ("5", "rejected", "", "BELOW_TIER_MINIMUM", ""),
        ("6", "dead", "", "MALFORMED_CSV", ""),
        ("7", "dead", "", "INVALID_NUMBER", "seats"),
        ("8", "dead", "", "UNKNOWN_REFERENCE", "subscription"),
    ] == told(first)
    assert BROKEN == first[3]["tierline_row_text"]
    assert "thousands, of seats" == first[4]["note"]

    moved = UNNAMED.replace("business-year", " Business-Year ")
    corrected = [
        STRANGER.replace("sub_nobody", "sub_desk_00006"),
        moved,
        GOOD,
        FEW_SEATS.replace(",1,", ",300,"),
        BROKEN.replace('"acc', ""),
        WRONG.replace("1.000", "1000"),
    ]
    desk.publish("orders (2).csv", b"\xef\xbb\xbf" + file_of(*corrected, line_end="\n"))

    assert [
        ("2", "completed", "", "", ""),
        ("3", "completed", "yes", "", ""),
        ("4", "completed", "yes", "", ""),
        ("5", "completed", "", "", ""),
        ("6", "completed", "", "", ""),
        ("7", "completed", "", "", ""),
    ] == told(desk.answer("orders (2).csv"))
    assert changes + 4 == desk.tier_changes()
    assert told(first) == told(desk.answer("orders.csv"))


def test_the_answer_itself_can_be_published_under_the_same_name(desk: Desk) -> None:
    """The last publishing of a name is answered; every row of it is known."""
    desk.publish("twice.csv", file_of("SD-20,,sub_desk_00003,,40,,,,", "SD-21,,sub_desk_00003,,41,,,,"))
    desk.answer("twice.csv")
    again = (desk.folder / "answer-twice.csv").read_bytes()
    desk.publish("twice.csv", again)

    assert [("2", "completed", "yes", "", ""), ("3", "completed", "yes", "", "")] == told(
        desk.answer("twice.csv")
    )


def test_a_file_that_is_no_csv_publishes_nothing(desk: Desk) -> None:
    """The command fails with the reason, and the topic has no record more."""
    before = len(desk.bench.records(TOPIC))
    (desk.folder / "orders.csv").write_bytes(file_of(GOOD).replace(b",", b";"))
    published = desk.tierline("publish", "--channel", "sales_desk", str(desk.folder / "orders.csv"))

    assert 1 == published.exit_code
    assert "WRONG_DELIMITER" in str(published.exception)
    assert before == len(desk.bench.records(TOPIC))


def test_a_name_that_nobody_published_is_told_with_those_that_were(desk: Desk) -> None:
    """The command says what it knows instead."""
    desk.publish("known.csv", file_of(GOOD))
    asked = desk.tierline("replies", "--channel", "sales_desk", "--file", "unknown.csv")

    assert 1 == asked.exit_code
    assert "known.csv" in str(asked.exception)
