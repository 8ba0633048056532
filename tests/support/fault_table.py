"""What the runs of faults came to: ``pytest --fault-table FILE`` writes it as JSON.

``python -m tests.support.fault_table FILE`` puts the same numbers as a table into docs/reliability.md.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
TITLES = ("fault", "runs", "hits in flight", "records", "lost", "twice", "out of order")
PROPERTY = "faults"
"""Under this name a test reports its rows, also from another process."""
_TABLE = re.compile(r"^\| fault \| runs \|.*?(?=\n\n|\n\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Row:
    """One fault of one run. ``records`` and what follows belong to the whole run, whatever else hit in it.

    ``runs``: how often somebody met the fault; ``hits``: how often with records before it. ``records``: order
    intents that were published.
    """

    test: str
    seed: int
    fault: str
    runs: int
    hits: int
    records: int
    lost: int
    twice: int
    out_of_order: int


def read_rows(file: Path) -> list[Row]:
    """The rows of a file that ``--fault-table`` wrote; none where there is no file yet."""
    return [Row(**row) for row in json.loads(file.read_text())] if file.exists() else []


def write_rows(file: Path, rows: Iterable[Row], ran: Collection[str]) -> None:
    """The rows as JSON, by fault and test; in ``file`` those of tests that have not ``ran`` stay."""
    kept = [row for row in read_rows(file) if row.test not in ran]
    ordered = sorted((*rows, *kept), key=attrgetter("fault", "test"))
    file.write_text(json.dumps([asdict(row) for row in ordered], indent=2) + "\n")


def markdown(rows: Sequence[Row]) -> str:
    """One line for each fault, over all runs in which it was brought about."""
    lines = [f"| {' | '.join(TITLES)} |", f"|---|{'---:|' * (len(TITLES) - 1)}"]
    for fault, some in groupby(sorted(rows, key=attrgetter("fault")), attrgetter("fault")):
        numbers = [(row.runs, row.hits, row.records, row.lost, row.twice, row.out_of_order) for row in some]
        totals = (f"{sum(column):,}" for column in zip(*numbers, strict=True))
        lines.append(f"| {fault} | {' | '.join(totals)} |")
    return "\n".join(lines)


def with_table(page: str, rows: Sequence[Row]) -> str:
    """The page with its table replaced."""
    return _TABLE.sub(lambda _: markdown(rows), page, count=1)


class FaultTable:
    """Collects the rows of a session, wherever its tests run; a test that fails loses its own."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ran: set[str] = set()
        self._rows: list[Row] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test reported."""
        if report.when == "call":
            self._ran.add(report.nodeid)
        if report.when == "call" and report.passed:
            told = (rows for name, rows in report.user_properties if name == PROPERTY)
            self._rows += (Row(**row) for rows in told for row in rows)  # type: ignore[attr-defined]

    def pytest_sessionfinish(self) -> None:
        """Write what all tests came to."""
        write_rows(self._file, self._rows, self._ran)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show what came out of it."""
        terminalreporter.section("faults")
        terminalreporter.write_line(markdown(self._rows))


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(), read_rows(Path(sys.argv[1]))))
