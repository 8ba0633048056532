"""Decider and projector die between any two of their steps, under load: nothing is lost or repeated."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from schemas.topics import COMMANDS
from tests.support.fault_runs import Fault, FaultRun, Faults
from tests.support.pipeline import CONSUMERS, quickly_rebalancing, running_workers
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

    def die_everywhere(self, run: FaultRun, poison: Callable[[], None]) -> None:
        """Each place kills, with records before the worker."""
        for point in self.points:
            poison()
            before = run.in_flight.wait_for_work(self.consumer)
            self.worker.start({"TIERLINE_CRASH_POINT": point})
            wait_for(lambda: not self.worker.is_running(), f"{self.worker.name} to die at {point}", 120)
            assert -signal.SIGKILL == self.worker.exit_code, f"{point}: see {self.worker.log}"
            run.hit(Fault.DIED_BETWEEN_STEPS, f"{self.worker.name} at {point}", before)


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_workers_that_die_between_any_two_steps_lose_nothing_and_repeat_nothing(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """Decider and projector side by side; a command that nobody can decide comes along each time."""
    rounds = faults.rounds(ROUNDS)
    settings = quickly_rebalancing(settings)
    victims = [
        Victim(
            Worker(name, tmp_path, environment_of(settings)),
            CONSUMERS[name],
            points_of(name, rounds, faults.rng),
        )
        for name in VICTIMS
    ]
    others = tuple(name for name in WORKERS if name not in VICTIMS)
    with running_workers(settings, tmp_path, others), ExitStack() as kept:
        for victim in victims:
            victim.worker.start()
            kept.callback(victim.worker.stop)
        bad = Message(COMMANDS.name, None, b"bad", 0)
        poison = partial(send_all, bootstrap.producer(settings, "poison"), [bad], 30)
        with faults.under_load(settings, accounts=200, rate=RATE) as run:
            for victim in victims:
                victim.worker.kill9()
            with ThreadPoolExecutor(len(victims)) as side_by_side:
                dying = {side_by_side.submit(v.die_everywhere, run, poison): v for v in victims}
                for ended in as_completed(dying):
                    ended.result()
                    dying[ended].worker.start()  # without a decider the projector would have nothing to do

    assert sum(len(victim.points) for victim in victims) == run.hits_in_flight()
    assert run.report.tallies["portal"].completed
