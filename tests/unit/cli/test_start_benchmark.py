"""The benchmark of offline commands runs, and compares starts that end with the same answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.offline_start import COMMANDS, WAYS, main


def test_the_benchmark_times_every_command_both_ways(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One round; it checks for itself that both ways answer alike."""
    main(["--rounds", "1", "--json", str(tmp_path / "figures.json")])

    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert [(command, way) for command in COMMANDS for way in WAYS] == [
        (row["command"], row["way"]) for row in rows
    ]
    printed = capsys.readouterr().out
    assert set() == {command for command in COMMANDS if f"\n{command} " not in printed}
