"""What ``tierline verify`` says: how every intent ended, beside the invariants; client logs that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tierline.cli.errors import CommandError
from tierline.cli.load import load
from tierline.cli.verify import report_record, show_report, verify
from tierline.verify.check import Report
from tierline.verify.evidence import Finding
from tierline.verify.outcomes import OUTCOMES, Tally

REPORT = Report(
    findings=[Finding("each intent has exactly one outcome", 1_211, 0, None)],
    records=1_200,
    events=4_000,
    tallies={
        "portal": Tally(accepted=1_000, rejected=7, dead_lettered=3, held=1),
        "marketplace": Tally(accepted=195, skipped=5),
    },
)


def test_outcomes_are_told_over_all_channels(capsys: pytest.CaptureFixture[str]) -> None:
    """What was held, dead or skipped is counted like what was decided; what did not happen is left out."""
    show_report(REPORT)

    printed = capsys.readouterr().out.splitlines()
    assert "outcomes  accepted 1,195 · rejected 7 · held 1 · dead-lettered 3 · skipped 5" in printed
    assert "clean: 1,200 records, 4,000 events" == printed[-1]


def test_programs_get_them_by_channel() -> None:
    """Every way to end has its number, also where it is 0."""
    told = report_record(REPORT)["outcomes"]

    marketplace = {**dict.fromkeys(OUTCOMES, 0), "accepted": 195, "skipped": 5}
    assert {"marketplace", "portal"} == set(told)
    assert marketplace == told["marketplace"]


def test_a_file_that_is_no_clients_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked of a server."""
    monkeypatch.setenv("TIERLINE_DATA", str(tmp_path))
    file = tmp_path / "orders.ndjson"
    file.write_text('{"reference": "web-1"}\n')

    with pytest.raises(CommandError, match="1 is not a line of a client's log") as refused:
        verify(client_log=[file])
    assert "tierline load --client-log" in refused.value.hint


def test_a_clients_log_that_cannot_be_written_stops_the_load(tmp_path: Path) -> None:
    """Before the first order is sent."""
    with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
        load(client_log=tmp_path / "nowhere" / "orders.ndjson")
