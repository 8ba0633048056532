"""SIGTERM of every worker under load, one after the other: a deploy costs no order anything."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.support.fault_runs import Fault, Faults
from tests.support.pipeline import CONSUMERS, SHARED_WORK, quickly_rebalancing, running_workers
from tierline.kit.settings import Settings

ROUNDS = 1
RATE = 40
IDLE = "triage"
"""No dead letter: nothing to do."""


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_a_rolling_restart_loses_nothing_and_buries_nothing(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """Each ends by itself within its time; of orders without any trouble not one becomes a dead letter."""
    rounds = faults.rounds(ROUNDS)
    settings = quickly_rebalancing(settings)
    with (
        running_workers(settings, tmp_path, SHARED_WORK) as workers,
        faults.under_load(settings, accounts=400, rate=RATE, mix={}) as run,
    ):
        for worker in rounds * [*workers]:
            if worker.kind == IDLE:
                run.idle(Fault.RESTARTED, worker.name)
            else:
                before = run.in_flight.wait_for_work(CONSUMERS[worker.kind], worker)
                run.hit(Fault.RESTARTED, worker.name, before)
            worker.stop()
            assert 0 == worker.exit_code, f"{worker.name} had to be killed: see {worker.log}"
            worker.start()

    hits = Counter(hit.target for hit in run.hits if hit.records)
    assert {worker.name: rounds for worker in workers if worker.kind != IDLE} == hits
    assert dict.fromkeys(run.report.tallies, 0) == {
        name: tally.dead_lettered for name, tally in run.report.tallies.items()
    }
    assert run.report.tallies["portal"].completed
