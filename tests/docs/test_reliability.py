"""docs/reliability.md names tests that exist, and names every test of what Faust loses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
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
)


def functions_in(file: str) -> set[str]:
    """The names of the test functions in ``file``."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")}


def test_every_named_test_exists_in_a_named_file() -> None:
    """Whoever wants the proof finds it."""
    there = set[str]().union(*map(functions_in, FILE.findall(PAGE)))
    assert set() == set(TEST.findall(PAGE)) - there


def test_every_loss_bad_day_and_fault_has_its_row() -> None:
    """No outcome is shown by a test and missing in the tables."""
    shown = set[str]().union(*map(functions_in, TABLED))
    assert set() == shown - set(TEST.findall(PAGE))
