"""The options of the benchmark of stream processors."""

from __future__ import annotations

from benchmarks.processors.measure import Sizes
from benchmarks.stream_processors import QUICK, options_of


def test_the_sizes_that_are_asked_for_are_those_that_are_measured() -> None:
    """Every size has its option; what is not asked for is as usual."""
    usual = Sizes()
    quick, _ = options_of(QUICK)
    assert (1, 2_000, 0.0) == (quick.rounds, quick.records, quick.warm_s)
    assert usual == options_of(())[0]
