"""docs/reliability.md names tests that exist, all of what is lost elsewhere, and what came of the faults."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.support.fault_runs import Fault
from tests.support.fault_table import read_rows, with_table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = read_rows(ROOT / "benchmarks" / "faults.json")
FAULT_TESTS = sorted((ROOT / "tests" / "faults").glob("test_*.py"))
FILE = re.compile(r"`(tests/[\w/]+\.py)`")
TEST = re.compile(r"`(test_\w+)`")
TABLED = (
    "tests/contract/test_faust_losses.py",
    "tests/contract/test_transport_on_broker.py",
    "tests/faults/test_holds.py",
    "tests/faults/test_dead_letter_path.py",
    "tests/faults/test_broken_deploy.py",
    "tests/faults/test_killed_workers.py",
    "tests/faults/test_rolling_restart.py",
    "tests/faults/test_frozen_workers.py",
    "tests/faults/test_crash_points.py",
    "tests/faults/test_database_faults.py",
    "tests/faults/test_bad_links.py",
    "tests/faults/test_servers_away.py",
)


def _tests_in(file: str) -> list[ast.FunctionDef]:
    """The test functions in ``file``."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]


def functions_in(file: str) -> set[str]:
    """The names of the test functions in ``file``."""
    return {test.name for test in _tests_in(file)}


def notes_its_hits(test: ast.FunctionDef) -> bool:
    """Whether it gives the table rows."""
    return "faults" in {argument.arg for argument in test.args.args}


def is_long(test: ast.FunctionDef) -> bool:
    """Whether `make faults` leaves it out."""
    return "pytest.mark.long" in map(ast.unparse, test.decorator_list)


def faults_of(test: ast.FunctionDef) -> set[Fault]:
    """What it brings about itself."""
    return {
        Fault[node.attr]
        for node in ast.walk(test)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Fault"
    }


def test_every_named_test_exists_in_a_named_file() -> None:
    """Whoever wants the proof finds it."""
    there = set[str]().union(*map(functions_in, FILE.findall(PAGE)))
    assert set() == set(TEST.findall(PAGE)) - there


def test_every_loss_bad_day_and_fault_has_its_row() -> None:
    """No outcome is shown by a test and missing in the tables."""
    shown = set[str]().union(*map(functions_in, TABLED))
    assert set() == shown - set(TEST.findall(PAGE))


def test_the_table_is_the_one_that_was_measured() -> None:
    """`make faults` writes both, nobody types."""
    assert with_table(PAGE, ROWS) == PAGE


def test_every_fault_was_measured_by_a_test_that_exists() -> None:
    """Every test that notes its hits has its rows; what is played in the long tier alone may have none."""
    noting = {
        f"tests/faults/{file.name}::{test.name}": test
        for file in FAULT_TESTS
        for test in _tests_in(str(file))
        if notes_its_hits(test)
    }
    measured = {row.test for row in ROWS}
    left_out = set[Fault]().union(*(faults_of(test) for test in noting.values() if is_long(test)))

    assert {name for name, test in noting.items() if not is_long(test)} <= measured <= noting.keys()
    assert {*Fault} - left_out <= {row.fault for row in ROWS}
    assert all(row.hits for row in ROWS)
