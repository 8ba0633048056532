"""The search for the highest rate that holds, and the line through samples of memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.end_to_end import NEAR_ENOUGH, Step, growth_per_million, next_rate
from benchmarks.process_use import Use
from tierline.workload.load import LoadReport


def step(rate: float, p99_ms: float | None) -> Step:
    """A run at ``rate``; None: its last outcome did not come in time."""
    latencies = {"p50": 1.0, "p95": 1.0, "p99": p99_ms}
    report = LoadReport(1, 1, 1, rate, latencies, latencies) if p99_ms is not None else None
    return Step(rate, 1, report, {}, {})


def found(holds: Callable[[float], bool], *first: float) -> list[Step]:
    """All steps of a search that begins with the rates ``first``."""
    steps = [step(rate, 100.0 if holds(rate) else None) for rate in first]
    while (rate := next_rate(steps)) is not None:
        steps.append(step(rate, 100.0 if holds(rate) else 9_000.0))
    return steps


@pytest.mark.parametrize("first", [(50.0,), (1_000.0,), (50.0, 200.0, 500.0, 1_000.0)])
@pytest.mark.parametrize("limit", [3.0, 61.0, 333.0, 2_500.0])
def test_the_highest_rate_that_holds_is_found(limit: float, first: tuple[float, ...]) -> None:
    """From wherever it begins, up or down, to within a seventh or a whole order."""
    steps = found(lambda rate: rate <= limit, *first)

    best = max(one.rate for one in steps if one.held)
    assert best <= limit <= max(best * NEAR_ENOUGH, best + 1)
    assert len(steps) < 20


def test_no_rate_at_all_ends_the_search() -> None:
    """Not even one order a second holds."""
    assert not any(one.held for one in found(lambda _: False, 50.0))


def test_a_rate_holds_up_to_two_seconds() -> None:
    """At the 99th percentile; a run without any tier says nothing good."""
    assert step(10, 2_000.0).held
    assert not step(10, 2_000.1).held
    assert not step(10, None).held


def test_growth_is_a_line_through_the_second_half() -> None:
    """What happened before is warming up."""
    memory = [(0.0, 10), (1.0, 900), (2.0, 1_000), (3.0, 1_010), (4.0, 1_020)]
    use = Use(cores=0.1, peak=1_020, memory=memory)

    assert 10.0 == use.growth_per_s()
    assert 10.0 / 50 * 1e6 == growth_per_million(use, rate=50)
    assert Use(0.1, 1, memory[:3]).growth_per_s() is None
