"""Turns a worker in this process, round after round, so that what it does can be timed and profiled."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Self

from tierline import bootstrap
from tierline.kit.garbage import collect_rarely
from tierline.kit.health import Health
from tierline.kit.leased_worker import LeasedWorker
from tierline.kit.settings import Settings
from tierline.kit.telemetry import Metrics

STANDSTILL_S = 60.0


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of wall clock and of this process's CPU, from the turn with the first record to the last
    that had one, and how many turns had records.
    """

    wall_s: float
    cpu_s: float
    turns: int

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, self.turns + other.turns)


class HandTurned:
    """The worker that ``tierline run NAME`` runs; a context manager that gives its partitions back."""

    def __init__(self, name: str, group: str, settings: Settings) -> None:
        self._resources = ExitStack()
        self._metrics = Metrics()
        self._name, self._group, self._settings = name, group, settings

    def __enter__(self) -> Self:
        worker = bootstrap.BUILDERS[self._name](self._settings, self._metrics, Health(), self._resources)
        assert isinstance(worker, LeasedWorker)
        self._worker = worker
        worker.join()
        self._resources.callback(worker.leave)
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def until(self, done: Callable[[], bool]) -> Spent:
        """Turn until ``done``, which is asked whenever there was nothing to read."""
        turns = before = self._turns()
        begun = ended = now = time.perf_counter(), time.process_time()
        while not done():
            if now[0] - ended[0] > STANDSTILL_S:
                raise RuntimeError(f"the worker {self._name} stands still")
            working = True
            while working:
                now = time.perf_counter(), time.process_time()
                self._worker.turn()
                working = self._turns() > turns
                if working:
                    begun = begun if turns > before else now
                    ended, turns = (time.perf_counter(), time.process_time()), self._turns()
        return Spent(ended[0] - begun[0], ended[1] - begun[1], turns - before)

    def outcomes(self) -> Counter[str]:
        """How many records ended how so far."""
        found: Counter[str] = Counter()
        for family in self._metrics.records.collect():
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    found[sample.labels["outcome"]] += int(sample.value)
        return found

    def _turns(self) -> int:
        """How many turns had records so far."""
        for family in self._metrics.processing.collect():
            for sample in family.samples:
                if sample.name.endswith("_count") and self._group in sample.labels.values():
                    return int(sample.value)
        return 0


@contextmanager
def rare_collection() -> Iterator[None]:
    """The garbage collector as a worker has it, and afterwards as it was, with nothing left behind."""
    before = gc.get_threshold()
    collect_rarely()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    gc.collect()
