"""The benchmark of the projector runs on real servers and measures what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figures import write_json
from benchmarks.projector import TITLES, Sizes, as_json, measure, print_table
from tierline.kit.database import connect
from tierline.kit.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]


def test_every_round_reads_all_events_again(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiny sizes: each round reads what the decider stored, and the read models end complete."""
    report = measure(settings, Sizes(rounds=2, orders=60, accounts=30))
    write_json(tmp_path / "figures.json", as_json(report))
    print_table(report)

    with connect(settings.database_url, "test") as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM oms.event), (SELECT count(*) FROM read.audit_entry)"
        ).fetchone()
    assert row is not None
    stored, audited = row
    assert stored == audited
    assert [stored, stored] == [one.events for one in report.rounds]
    written = json.loads((tmp_path / "figures.json").read_text())
    assert TITLES.keys() == written["figures"].keys()
    assert "fsync on" in capsys.readouterr().out
