"""The benchmark of the hot path runs, and compares ways that give the same."""

from __future__ import annotations

import pytest

from benchmarks.normalizer_hot_path import CASES, main, measure


def test_the_benchmark_times_every_way() -> None:
    """Tiny sizes; it checks for itself that all ways write the same bytes."""
    assert CASES == [figure.case for figure in measure(rounds=1, count=3)]


def test_the_benchmark_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """One row per way, and which Python it was."""
    main(["--rounds", "1", "--records", "2"])
    printed = capsys.readouterr().out

    assert len(CASES) == printed.count("x\n")
    assert "Python" in printed
