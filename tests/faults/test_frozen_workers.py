"""Decider and projector are frozen in the middle of a turn until others have their work, and wake up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.support.fault_runs import Fault, FaultRun, Faults
from tests.support.freezing import frozen, partitions_by_log
from tests.support.pipeline import CONSUMERS, SHARED_WORK, quickly_rebalancing, running_workers
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


def freeze(settings: Settings, victim: Worker, points: list[str], run: FaultRun) -> None:
    """At each point once, with records before it; its twin goes on meanwhile."""
    consumer = CONSUMERS[victim.kind]
    for point in points:
        victim.stop()
        victim.start({"TIERLINE_CRASH_POINT": f"stop@{point}"})
        wait_for(partial(_stands_still, victim), f"{victim.name} to freeze at {point}")
        had = partitions_by_log(victim)
        assert had, f"{victim.name} froze at {point} without any partition: see {victim.log}"
        with frozen(settings, victim, consumer, had):
            run.hit(Fault.FROZEN, f"{victim.name} at {point}", run.in_flight.wait_for_work(consumer))
            run.in_flight.wait_for_progress(consumer)
        wait_for_partitions(victim)


def _stands_still(worker: Worker) -> bool:
    return worker.pid is not None and psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_workers_that_were_frozen_in_a_turn_change_nothing_when_they_wake(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """Before and after the commit, and half way through publishing; decider and projector side by side."""
    rounds = faults.rounds(ROUNDS)
    settings = quickly_rebalancing(settings)
    points = {kind: faults.rng.sample(rounds * [*at], rounds * len(at)) for kind, at in POINTS.items()}
    with (
        running_workers(settings, tmp_path, SHARED_WORK) as workers,
        faults.under_load(settings, accounts=400, rate=RATE) as run,
        ThreadPoolExecutor(len(POINTS)) as side_by_side,
    ):
        frozen_ones = [
            side_by_side.submit(freeze, settings, workers[kind], at, run) for kind, at in points.items()
        ]
        for one in frozen_ones:
            one.result()

    assert sum(map(len, points.values())) == run.hits_in_flight()
    assert run.report.tallies["portal"].completed
