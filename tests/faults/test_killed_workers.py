"""kill -9 of every worker under load, several of a kind among them: nothing is lost or happens twice."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.support.fault_runs import Fault, Faults
from tests.support.pipeline import CONSUMERS, SHARED_WORK, quickly_rebalancing, running_workers
from tierline.kit.settings import Settings

ROUNDS = 20
RATE = 40


@pytest.mark.fault
@pytest.mark.timeout(600)
def test_killed_workers_lose_nothing_and_repeat_nothing(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """Each round kills a worker with records in its own partitions, while others may still be starting."""
    rounds = faults.rounds(ROUNDS)
    settings = quickly_rebalancing(settings, decline_rate=0.05)
    with (
        running_workers(settings, tmp_path, SHARED_WORK) as workers,
        faults.under_load(settings, accounts=800, rate=RATE) as run,
    ):
        victims = [*islice(cycle(workers), rounds)]
        faults.rng.shuffle(victims)
        for victim in victims:
            before = run.in_flight.wait_for_work(CONSUMERS[victim.kind], victim)
            run.hit(Fault.KILLED, victim.name, before)
            victim.restart()

    assert rounds == run.hits_in_flight()
    assert run.report.tallies["portal"].completed
