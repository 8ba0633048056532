"""The benchmark of decisions runs, and its steps are all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.decision import TITLES, main


def test_the_benchmark_times_every_step_of_a_decision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiny sizes; it checks for itself that a step done again comes out the same."""
    file = tmp_path / "figures.json"
    main(["--rounds", "2", "--orders", "8", "--accounts", "200", "--json", str(file)])

    printed = capsys.readouterr().out
    assert [] == [title for title, _ in TITLES.values() if title not in printed]
    for spent in json.loads(file.read_text())["rounds"]:
        steps = [cost for step, cost in spent.items() if step != "all"]
        assert pytest.approx(sum(steps)) == spent["all"]
