"""kill -9 of every kind of worker under load: nothing is lost and nothing happens twice."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

import pytest

from schemas.topics import NORMALIZER, ORDERS, PAYMENTS, PROJECTOR
from tests.support.pipeline import (
    InFlight,
    Traffic,
    opened_samples,
    quickly_rebalancing,
    running_workers,
    seeded,
    settled_and_clean,
)
from tests.support.waiting import wait_for
from tierline.kit.settings import Settings

VICTIMS = {
    "normalizer": NORMALIZER,
    "orders": ORDERS,
    "payments": PAYMENTS,
    "projector": PROJECTOR,
}
ROUNDS = 8
RATE = 120
MOST_INTENTS = 2_500
"""For each round."""


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_killed_workers_lose_nothing_and_repeat_nothing(
    settings: Settings, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Each round kills a worker that has records before it; every intent still has one outcome."""
    rng, seed = seeded(pytestconfig.getoption("--seed"))
    rounds = pytestconfig.getoption("--rounds") or ROUNDS
    settings = quickly_rebalancing(settings, decline_rate=0.05)
    in_flight = InFlight(settings)
    hits: list[tuple[str, int]] = []
    with running_workers(settings, tmp_path) as workers:
        samples = opened_samples(settings, 800, seed, "faults")
        with Traffic(settings, samples, seed, rounds * MOST_INTENTS, RATE, tmp_path) as traffic:
            order = [*islice(cycle(VICTIMS), rounds)]
            rng.shuffle(order)
            for victim in order:
                before = in_flight.wait_for_work(VICTIMS[victim])
                worker = workers[victim]
                worker.restart()
                hits.append((victim, before))
                wait_for(worker.is_running, f"{victim} runs again")
                wait_for(lambda: bool(in_flight.remaining()) or not traffic.running, "traffic goes on", 30)
            assert traffic.running, "the traffic ended before the last kill: the run does not count"
            traffic.finish()
        report = settled_and_clean(settings, traffic)

    assert rounds == len(hits)
    assert all(before for _, before in hits)
    assert report.tallies["portal"].completed
