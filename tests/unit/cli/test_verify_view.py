"""What ``tierline verify`` says: how every intent ended, beside the invariants."""

from __future__ import annotations

import pytest

from tierline.cli.verify import report_record, show_report
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
