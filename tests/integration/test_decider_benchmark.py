"""The benchmark of the decider runs on real servers and measures what it says."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from benchmarks.decider import TITLES, Sizes, as_json, measure, print_table
from benchmarks.figures import write_json
from tierline.kit.database import connect
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack


def test_every_round_decides_its_orders_and_copies_its_rows(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiny sizes: the copied table ends as the event store did, and all figures are told."""
    thresholds = gc.get_threshold()
    report = measure(settings, Sizes(rounds=2, orders=60, accounts=30))
    write_json(tmp_path / "figures.json", as_json(report))
    print_table(report)

    assert [60, 60] == [one.orders for one in report.rounds]
    with connect(settings.database_url, "test") as connection:
        differing = connection.execute(
            "SELECT count(*) FROM oms.event AS e FULL JOIN bench.event AS b"
            " ON e = b WHERE e IS NULL OR b IS NULL"
        ).fetchone()
    assert (0,) == differing
    written = json.loads((tmp_path / "figures.json").read_text())
    assert TITLES.keys() == written["figures"].keys()
    assert "fsync on" in capsys.readouterr().out
    assert thresholds == gc.get_threshold()
