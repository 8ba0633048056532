"""The benchmark of quotes runs, for every mode that it has a figure for."""

from __future__ import annotations

import re

import pytest

from benchmarks.quote_change import main


def test_the_benchmark_times_a_quote_by_day_and_by_second(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A few repetitions; it checks for itself that the quote has two lines."""
    monkeypatch.setattr("sys.argv", ["quote_change", "3"])

    main()

    assert ["day", "second"] == re.findall(r"quote of two lines, (\w+): \d+ µs", capsys.readouterr().out)
