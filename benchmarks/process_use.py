"""What processes use while something runs: processor time and memory, sampled beside it."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import psutil

EVERY_S = 1.0
OTHERS = "other programs"
"""What the machine did besides: the figures are worth less the more it is."""


@dataclass(frozen=True, slots=True)
class Use:
    """``cores``: processors kept busy on average. Memory in bytes: the highest, and samples by second."""

    cores: float
    peak: int
    memory: Sequence[tuple[float, int]] = field(repr=False)

    def growth_per_s(self, warm_up_share: float = 0.5) -> float | None:
        """Bytes a second, the slope of a line through the samples after the warm-up; None of too few."""
        late = self.memory[int(len(self.memory) * warm_up_share) :]
        if len(late) < 3:
            return None
        return statistics.linear_regression(*zip(*late, strict=True)).slope


class Watch:
    """Samples processes, by name, from ``begin`` to ``end``.

    Each is taken together with its children, but this process alone: what it started has names of its own.
    Memory is resident memory; of a process with children it is each one's share of what they have in common.
    """

    def __init__(self, pids: Mapping[str, int], every_s: float = EVERY_S) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._memory: dict[str, list[tuple[float, int]]] = {name: [] for name in pids}
        self._begun: tuple[float, float, dict[str, float]] | None = None
        self.uses: dict[str, Use] = {}

    def begin(self) -> None:
        """Begin to watch; a second call changes nothing."""
        if self._begun is None:
            self._begun = time.monotonic(), _machine_s(), self._cpu()
            self._thread.start()

    def end(self) -> None:
        """Stop watching and sum up in ``uses``; a second call changes nothing."""
        if self._begun is None or self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        begun, machine, before = self._begun
        self._sample(begun)
        past, busy, after = time.monotonic() - begun, _machine_s() - machine, self._cpu()
        self.uses = {
            name: Use((after[name] - before[name]) / past, max(m for _, m in samples), samples)
            for name, samples in self._memory.items()
        }
        ours = sum(use.cores for use in self.uses.values())
        self.uses[OTHERS] = Use(max(0.0, busy / past - ours), 0, ())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _run(self) -> None:
        assert self._begun is not None
        while not self._ended.wait(self._every_s):
            self._sample(self._begun[0])

    def _sample(self, begun: float) -> None:
        for name, process in self._processes.items():
            self._memory[name].append((time.monotonic() - begun, _memory(process)))

    def _cpu(self) -> dict[str, float]:
        return {name: sum(map(_cpu_s, _family(process))) for name, process in self._processes.items()}


def _machine_s() -> float:
    """Seconds that all processors were busy, time that a host kept back included."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait - times.guest - times.guest_nice


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process] if _is_this(process) else [process, *process.children(recursive=True)]


def _is_this(process: psutil.Process) -> bool:
    return process.pid == os.getpid()


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        of_ended_children = 0.0 if _is_this(process) else times.children_user + times.children_system
        return times.user + times.system + of_ended_children
    return 0.0


def _memory(process: psutil.Process) -> int:
    family = _family(process)
    if len(family) == 1:
        return process.memory_info().rss
    total = 0
    for member in family:
        with suppress(psutil.NoSuchProcess):
            total += member.memory_full_info().pss
    return total
