"""``tierline validate`` and ``tierline publish`` on a file of rows, without any server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tierline import bootstrap
from tierline.cli.commands import app
from tierline.kit.memory_broker import MemoryBroker, MemoryProducer
from tierline.kit.records import Record

ROOT = Path(__file__).parents[3]
TOPIC = "orders.sales_desk.v1"
HEADER = "order_ref,account,subscription,target_plan,seats,modules,effective,quote"
GOOD = "SD-1,acc_204,sub_88,Business yearly,15,,now,"
WRONG = "SD-2,acc_204,sub_88,business-year,1.000,,now,"


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryBroker:
    """The broker that the commands publish to."""
    monkeypatch.setenv("TIERLINE_CATALOG", str(ROOT / "catalog" / "catalog.yaml"))
    monkeypatch.setenv("TIERLINE_DATA", str(tmp_path))
    broker = MemoryBroker()
    monkeypatch.setattr(bootstrap, "producer", lambda *_: MemoryProducer(broker))
    return broker


def run(command: str, *arguments: str, typed: bytes = b"") -> Result:
    """The answer of a command of the channel."""
    return CliRunner().invoke(app, [command, "--channel", "sales_desk", *arguments], input=typed)


def file_of(folder: Path, *rows: str, name: str = "orders.csv") -> str:
    """A file with these rows."""
    (folder / name).write_text("\r\n".join([HEADER, *rows, ""]), newline="")
    return str(folder / name)


def in_order(broker: MemoryBroker) -> list[Record]:
    """The published records by their row."""
    return sorted(broker.records(TOPIC), key=lambda record: int(record.header("row") or b"0"))


def test_every_row_of_a_file_is_answered(tmp_path: Path) -> None:
    """Good and bad, each under its number, and counted at the end."""
    result = run("validate", file_of(tmp_path, GOOD, "", WRONG, 'SD-3,"'))

    assert 1 == result.exit_code
    assert "row 2: one order" in result.output
    assert "row 4: wrong: INVALID_NUMBER at seats (contract)" in result.output
    assert "row 5: wrong: MALFORMED_CSV (decode)" in result.output
    assert "3 rows: 1 can be read, 2 wrong, 1 empty left out" in result.output


def test_a_program_gets_every_row_too(tmp_path: Path) -> None:
    """The same facts as JSON."""
    rows: list[dict[str, Any]] = json.loads(run("validate", file_of(tmp_path, GOOD, WRONG), "--json").output)[
        "rows"
    ]

    assert ["business-year", "INVALID_NUMBER"] == [rows[0]["intents"][0]["plan"], rows[1]["dead"]["code"]]


def test_each_row_is_published_with_its_place_in_the_file(broker: MemoryBroker, tmp_path: Path) -> None:
    """The name without its folder, the row, and one id for the whole publishing."""
    result = run("publish", file_of(tmp_path, GOOD, WRONG), "--header", "source=berlin")
    records = in_order(broker)

    assert 0 == result.exit_code
    assert [(b"orders.csv", b"2", b"berlin"), (b"orders.csv", b"3", b"berlin")] == [
        (record.header("file"), record.header("row"), record.header("source")) for record in records
    ]
    assert 1 == len({record.header("upload") for record in records})
    assert {b"sub_88"} == {record.key for record in records}
    assert "2 rows on orders.sales_desk.v1" in result.output
    assert "tierline replies --channel sales_desk --file orders.csv" in result.output


@pytest.mark.parametrize("command", ["publish", "validate"])
def test_a_file_that_is_no_csv_is_refused_as_a_whole(
    broker: MemoryBroker, tmp_path: Path, command: str
) -> None:
    """Nothing is published; the reason and what to do are told."""
    good, bad = file_of(tmp_path, GOOD), tmp_path / "orders.xlsx"
    bad.write_bytes(b"PK\x03\x04")
    result = run(command, *([good] if command == "publish" else []), str(bad))

    assert 1 == result.exit_code
    assert "orders.xlsx is refused as a whole: it is a spreadsheet" in str(result.exception)
    assert [] == broker.records(TOPIC)


def test_a_row_that_the_broker_does_not_take_is_named(
    broker: MemoryBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are published, and the file can be given again."""
    producer = MemoryProducer(broker)
    monkeypatch.setattr(bootstrap, "producer", lambda *_: producer)
    producer.fail_next.append("too large")
    result = run("publish", file_of(tmp_path, GOOD, WRONG))

    assert 1 == result.exit_code
    assert "1 of 2 rows of orders.csv were not taken" in str(result.exception)
    assert "row 2: too large" in str(result.exception)
    assert [b"3"] == [record.header("row") for record in broker.records(TOPIC)]


@pytest.mark.parametrize("option", [("--key", "k"), ("--ndjson",), ("--header", "row=7")])
def test_what_rows_bring_themselves_cannot_be_given(
    broker: MemoryBroker, tmp_path: Path, option: tuple[str, ...]
) -> None:
    """Key, cut and place belong to the row."""
    result = run("publish", file_of(tmp_path, GOOD), *option)

    assert 2 == result.exit_code
    assert [] == broker.records(TOPIC)


def test_standard_input_is_a_file_with_a_name(broker: MemoryBroker) -> None:
    """So that its answer can be asked for."""
    result = run("publish", "-", typed=f"{HEADER}\n{GOOD}\n".encode())

    assert "--file stdin.csv" in result.output
    assert [b"stdin.csv"] == [record.header("file") for record in broker.records(TOPIC)]
