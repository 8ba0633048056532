"""The benchmark of the generated reader runs, and compares ways that give the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.avro_reader import FASTAVRO, GENERATED, IN_ORDER, main
from benchmarks.avro_writer import KINDS


def test_the_benchmark_times_both_ways_for_every_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiny sizes; it checks for itself that both ways read the same."""
    main(["--rounds", "1", "--records", "5", "--json", str(tmp_path / "figures.json")])

    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert [*KINDS, IN_ORDER] == [*figures]
    assert {GENERATED, FASTAVRO} == {way for rows in figures.values() for way in rows}
    assert len(KINDS) + 1 == capsys.readouterr().out.count(" x\n")
