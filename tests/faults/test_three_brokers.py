"""Three brokers, every record on at least two of them: the leader and the controller are killed, in turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.topics import COMMANDS, ORDERS
from tests.support.fault_runs import Fault, Faults
from tests.support.kafka_cluster import three_brokers
from tests.support.pipeline import running_workers
from tierline.kit.settings import Settings

ROUNDS = 2
RATE = 15
PATIENCE_MS = 120_000
"""How long the channels wait for a broker that takes their orders."""


@pytest.mark.fault
@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_leader_and_a_controller_that_are_killed_lose_nothing(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """With one broker dead every worker moves on; it comes back and catches up before the next one dies."""
    with three_brokers(tmp_path / "brokers") as cluster:
        settings = cluster.settings(settings)
        patient = settings.kafka.model_copy(update={"delivery_timeout_ms": PATIENCE_MS})
        client = settings.model_copy(update={"kafka": patient})
        with (
            running_workers(settings, tmp_path),
            faults.under_load(settings, accounts=200, rate=RATE, client=client, settle_s=180) as run,
        ):
            for turn in range(faults.rounds(ROUNDS)):
                leads = turn % 2 == 0
                victim = cluster.leader_of(settings, COMMANDS) if leads else cluster.controller()
                fault = Fault.LEADER_KILLED if leads else Fault.CONTROLLER_KILLED
                run.hit(fault, victim.name, run.in_flight.wait_for_work(ORDERS))
                victim.kill9()
                run.in_flight.wait_for_progress()
                victim.start()
                cluster.wait_in_sync()

    assert run.report.tallies["portal"].completed
