"""Decider and projector are frozen in the middle of a turn until others have their work, and wake up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.support.freezing import frozen, partitions_by_log
from tests.support.pipeline import (
    CONSUMERS,
    SHARED_WORK,
    InFlight,
    Traffic,
    opened_samples,
    quickly_rebalancing,
    running_workers,
    seeded,
    settled_and_clean,
)
from tests.support.waiting import wait_for
from tests.support.worker_health import wait_for_partitions
from tierline.kit.settings import Settings
from tierline.local.workers import Worker

POINTS = {
    "orders": ("worker.before_commit", "worker.after_commit", "orders.mid_publish"),
    "projector": ("worker.after_process", "worker.before_commit", "worker.after_commit"),
}
ROUNDS = 1
RATE = 40
MOST_INTENTS = 20_000
"""For each round."""


def freeze(settings: Settings, victim: Worker, points: list[str]) -> list[tuple[str, int]]:
    """At each point once, with records before it; its twin goes on meanwhile. Returns what was under way."""
    in_flight, consumer = InFlight(settings), CONSUMERS[victim.kind]
    hits = []
    for point in points:
        victim.stop()
        victim.start({"TIERLINE_CRASH_POINT": f"stop@{point}"})
        wait_for(partial(_stands_still, victim), f"{victim.name} to freeze at {point}")
        had = partitions_by_log(victim)
        assert had, f"{victim.name} froze at {point} without any partition: see {victim.log}"
        with frozen(settings, victim, consumer, had):
            hits.append((point, in_flight.wait_for_work(consumer)))
            in_flight.wait_for_progress(consumer)
        wait_for_partitions(victim)
    return hits


def _stands_still(worker: Worker) -> bool:
    return worker.pid is not None and psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_workers_that_were_frozen_in_a_turn_change_nothing_when_they_wake(
    settings: Settings, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Before and after the commit, and half way through publishing; decider and projector side by side."""
    rng, seed = seeded(pytestconfig.getoption("--seed"))
    rounds = pytestconfig.getoption("--rounds") or ROUNDS
    settings = quickly_rebalancing(settings)
    points = {kind: rng.sample(rounds * [*at], rounds * len(at)) for kind, at in POINTS.items()}
    with running_workers(settings, tmp_path, SHARED_WORK) as workers:
        samples = opened_samples(settings, 400, seed, "frozen")
        with Traffic(
            settings, samples, seed, rounds * MOST_INTENTS, RATE, tmp_path, name="frozen"
        ) as traffic:
            with ThreadPoolExecutor(len(POINTS)) as side_by_side:
                runs = [
                    side_by_side.submit(freeze, settings, workers[kind], at) for kind, at in points.items()
                ]
                hits = [hit for run in runs for hit in run.result()]
            assert traffic.running, "the traffic ended before the last freeze: the run does not count"
            traffic.finish()
        report = settled_and_clean(settings, traffic)

    assert sum(map(len, points.values())) == len(hits)
    assert all(before for _, before in hits)
    assert report.tallies["portal"].completed
