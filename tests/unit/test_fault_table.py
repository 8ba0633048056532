"""The frame of the fault tests counts what it is told, and its table is put together from all runs."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import pytest

from tests.support.fault_runs import Fault, FaultRun
from tests.support.fault_table import PROPERTY, FaultTable, Row, markdown, read_rows, with_table, write_rows
from tests.support.pipeline import InFlight
from tierline.kit.settings import Settings
from tierline.verify.check import Report
from tierline.verify.evidence import Finding, Harm

ROW = Row("tests/faults/a.py::test_a", 7, Fault.KILLED, 20, 19, 1_200, 0, 0, 0)
TABLE = """\
| fault | runs | hits in flight | records | lost | twice | out of order |
|---|---:|---:|---:|---:|---:|---:|
| deadlock with another session | 4 | 4 | 900 | 1 | 2 | 3 |
| kill -9 of a worker | 23 | 22 | 1,300 | 0 | 0 | 0 |"""
ROWS = [
    ROW,
    replace(ROW, test="tests/faults/b.py::test_b", runs=3, hits=3, records=100),
    Row("tests/faults/b.py::test_b", 7, Fault.DEADLOCK, 4, 4, 900, 1, 2, 3),
]


@pytest.fixture
def run(tmp_path: Path) -> FaultRun:
    """A run that has not begun."""
    return FaultRun(InFlight(Settings(data=tmp_path)))


def test_a_fault_that_hits_nothing_does_not_count(run: FaultRun) -> None:
    """The test fails and says who had nothing to do."""
    with pytest.raises(AssertionError, match="orders-2 had nothing before it when it met: kill -9"):
        run.hit(Fault.KILLED, "orders-2", 0)


def test_a_run_tells_each_fault_and_what_the_check_found(run: FaultRun) -> None:
    """How often it was met, how often with records before it; lost, twice and out of order by the report."""
    run.hit(Fault.RESTARTED, "orders", 5)
    run.hit(Fault.RESTARTED, "projector", 1)
    run.idle(Fault.RESTARTED, "triage")
    run.hit(Fault.KILLED, "orders", 2)
    harms = {Harm.LOST: 1, Harm.TWICE: 2, Harm.OUT_OF_ORDER: 4, None: 8}
    run.records = 3
    run.report = Report([Finding("any", 9, broken, "one", harm) for harm, broken in harms.items()], 1, 9, {})

    assert [
        Row("test", 7, Fault.RESTARTED, 3, 2, 3, 1, 2, 4),
        Row("test", 7, Fault.KILLED, 1, 1, 3, 1, 2, 4),
    ] == run.rows("test", 7)
    assert {str} == {type(row.fault) for row in run.rows("test", 7)}, "it goes to another process as it is"


def test_the_table_adds_up_the_runs_of_each_fault() -> None:
    """One line for each fault."""
    assert TABLE == markdown(ROWS)


def test_the_table_takes_the_place_of_the_one_before() -> None:
    """And of nothing else."""
    page = "# Page\n\n| a | b |\n|---|---|\n\n| fault | runs | old |\n|---|---|---|\n| x | 1 | 2 |\n\nEnd.\n"
    assert f"# Page\n\n| a | b |\n|---|---|\n\n{TABLE}\n\nEnd.\n" == with_table(page, ROWS)
    assert f"{TABLE}\n" == with_table("| fault | runs | old |\n|---|\n", ROWS)


def test_a_test_that_did_not_run_keeps_its_rows(tmp_path: Path) -> None:
    """So that one part of the faults can be played again; what a test does no more is gone."""
    file = tmp_path / "faults.json"
    write_rows(file, ROWS, ())
    again = replace(ROWS[1], seed=8)
    write_rows(file, [again], {again.test})

    assert [ROW, again] == read_rows(file)


@pytest.mark.parametrize(("outcome", "written"), [("passed", [ROW]), ("failed", [])])
def test_a_session_writes_what_its_tests_reported(
    tmp_path: Path, outcome: Literal["passed", "failed"], written: list[Row]
) -> None:
    """Wherever they ran; of one that failed nothing stays."""
    file = tmp_path / "faults.json"
    write_rows(file, [replace(ROW, seed=6)], ())
    told = [("other", 1), (PROPERTY, [asdict(ROW)])]
    table = FaultTable(file)
    table.pytest_runtest_logreport(
        pytest.TestReport(ROW.test, ("a.py", 1, "a"), {}, outcome, None, "call", user_properties=told)
    )

    table.pytest_sessionfinish()
    assert written == read_rows(file)
