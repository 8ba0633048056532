"""Decider and projector die between any two of their steps, under load: nothing is lost or repeated."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from schemas.topics import COMMANDS
from tests.support.pipeline import (
    CONSUMERS,
    InFlight,
    Traffic,
    opened_samples,
    quickly_rebalancing,
    running_workers,
    seeded,
    settled_and_clean,
)
from tests.support.stack import environment_of
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.kit.broker import send_all
from tierline.kit.crash_points import CRASH_POINTS
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.local.workers import WORKERS, Worker

VICTIMS = ("orders", "projector")
ROUNDS = 1
RATE = 20
MOST_INTENTS = 10_000
"""For each round."""


def points_of(victim: str, rounds: int, rng: random.Random) -> list[str]:
    """Each place where the worker can die, ``rounds`` times, in an order of the seed's."""
    points = rounds * sorted(p for p in CRASH_POINTS if p.startswith((f"{victim}.", "worker.")))
    rng.shuffle(points)
    return points


@dataclass
class Victim:
    """A worker that dies at one place after the other and is brought back by nobody but the test."""

    worker: Worker
    consumer: str
    points: list[str]
    hits: list[tuple[str, int]] = field(default_factory=list)

    def die_everywhere(self, in_flight: InFlight, poison: Callable[[], None]) -> None:
        """Each place kills, with records before the worker."""
        for point in self.points:
            poison()
            before = in_flight.wait_for_work(self.consumer)
            self.worker.start({"TIERLINE_CRASH_POINT": point})
            wait_for(lambda: not self.worker.is_running(), f"{self.worker.name} to die at {point}", 120)
            assert -signal.SIGKILL == self.worker.exit_code, f"{point}: see {self.worker.log}"
            self.hits.append((point, before))


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_workers_that_die_between_any_two_steps_lose_nothing_and_repeat_nothing(
    settings: Settings, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Decider and projector side by side; a command that nobody can decide comes along each time."""
    rng, seed = seeded(pytestconfig.getoption("--seed"))
    rounds = pytestconfig.getoption("--rounds") or ROUNDS
    settings = quickly_rebalancing(settings)
    in_flight = InFlight(settings)
    bad = Message(COMMANDS.name, None, b"bad", 0)
    victims = [
        Victim(
            Worker(name, tmp_path, environment_of(settings)), CONSUMERS[name], points_of(name, rounds, rng)
        )
        for name in VICTIMS
    ]
    others = tuple(name for name in WORKERS if name not in VICTIMS)
    with running_workers(settings, tmp_path, others), ExitStack() as kept:
        for victim in victims:
            victim.worker.start()
            kept.callback(victim.worker.stop)
        samples = opened_samples(settings, 200, seed, "points")
        poison = partial(send_all, bootstrap.producer(settings, "poison"), [bad], 30)
        with Traffic(
            settings, samples, seed, rounds * MOST_INTENTS, RATE, tmp_path, name="points"
        ) as traffic:
            for victim in victims:
                victim.worker.kill9()
            with ThreadPoolExecutor(len(victims)) as side_by_side:
                runs = {side_by_side.submit(v.die_everywhere, in_flight, poison): v for v in victims}
                for ended in as_completed(runs):
                    ended.result()
                    runs[ended].worker.start()  # without a decider the projector would have nothing to do
            assert traffic.running, "the traffic ended before the last death: the run does not count"
            traffic.finish()
        report = settled_and_clean(settings, traffic)

    assert all(len(victim.points) == len(victim.hits) for victim in victims)
    assert all(before for victim in victims for _, before in victim.hits)
    assert report.tallies["portal"].completed
