"""The benchmark of the generated writer runs, and compares ways that give the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.avro_writer import AT_HAND, FASTAVRO, GENERATED, KINDS, main


def test_the_benchmark_times_every_way_for_every_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiny sizes; it checks for itself that all ways write the same bytes."""
    main(["--rounds", "1", "--records", "5", "--json", str(tmp_path / "figures.json")])

    rows = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert [(kind, way) for kind in KINDS for way in (GENERATED, FASTAVRO, AT_HAND)] == [
        (row["record"], row["way"]) for row in rows
    ]
    assert len(rows) == capsys.readouterr().out.count("x\n")
