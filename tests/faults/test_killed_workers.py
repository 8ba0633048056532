"""kill -9 of every worker under load, several of a kind among them: nothing is lost or happens twice."""

from __future__ import annotations

from itertools import cycle, islice
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

ROUNDS = 20
RATE = 40
MOST_INTENTS = 2_500
"""For each round."""


@pytest.mark.fault
@pytest.mark.timeout(600)
def test_killed_workers_lose_nothing_and_repeat_nothing(
    settings: Settings, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Each round kills a worker with records in its own partitions, while others may still be starting."""
    rng, seed = seeded(pytestconfig.getoption("--seed"))
    rounds = pytestconfig.getoption("--rounds") or ROUNDS
    settings = quickly_rebalancing(settings, decline_rate=0.05)
    in_flight = InFlight(settings)
    hits: list[tuple[str, int]] = []
    with running_workers(settings, tmp_path, SHARED_WORK) as workers:
        samples = opened_samples(settings, 800, seed, "faults")
        with Traffic(settings, samples, seed, rounds * MOST_INTENTS, RATE, tmp_path) as traffic:
            victims = [*islice(cycle(workers), rounds)]
            rng.shuffle(victims)
            for victim in victims:
                before = in_flight.wait_for_work(CONSUMERS[victim.kind], victim)
                victim.restart()
                hits.append((victim.name, before))
            assert traffic.running, "the traffic ended before the last kill: the run does not count"
            traffic.finish()
        report = settled_and_clean(settings, traffic)

    assert rounds == len(hits)
    assert all(before for _, before in hits)
    assert report.tallies["portal"].completed
