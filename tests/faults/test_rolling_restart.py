"""SIGTERM of every worker under load, one after the other: a deploy costs no order anything."""

from __future__ import annotations

from pathlib import Path

import pytest

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
from tierline.kit.settings import Settings

ROUNDS = 1
RATE = 40
MOST_INTENTS = 20_000
"""For each round."""


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_a_rolling_restart_loses_nothing_and_buries_nothing(
    settings: Settings, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Each ends by itself within its time; of orders without any trouble not one becomes a dead letter."""
    _, seed = seeded(pytestconfig.getoption("--seed"))
    rounds = pytestconfig.getoption("--rounds") or ROUNDS
    settings = quickly_rebalancing(settings)
    in_flight = InFlight(settings)
    hits: dict[str, list[int]] = {}
    with running_workers(settings, tmp_path, SHARED_WORK) as workers:
        samples = opened_samples(settings, 400, seed, "rolling")
        with Traffic(
            settings, samples, seed, rounds * MOST_INTENTS, RATE, tmp_path, name="rolling", mix={}
        ) as traffic:
            for worker in rounds * [*workers]:
                if worker.kind != "triage":  # no dead letter: nothing to do
                    before = in_flight.wait_for_work(CONSUMERS[worker.kind], worker)
                    hits.setdefault(worker.name, []).append(before)
                worker.stop()
                assert 0 == worker.exit_code, f"{worker.name} had to be killed: see {worker.log}"
                worker.start()
            assert traffic.running, "the traffic ended before the last stop: the run does not count"
            traffic.finish()
        report = settled_and_clean(settings, traffic)

    assert {worker.name: rounds for worker in workers if worker.kind != "triage"} == {
        name: len(found) for name, found in hits.items()
    }
    assert dict.fromkeys(report.tallies, 0) == {
        name: tally.dead_lettered for name, tally in report.tallies.items()
    }
    assert report.tallies["portal"].completed
