"""The workers of Tierline as child processes: ``tierline run NAME``, one process each."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tierline.local.keeper import Keeper
from tierline.local.ports import LOOPBACK
from tierline.local.process import Command
from tierline.local.supervised import Supervised

WORKERS = ("normalizer", "orders", "payments", "replies", "projector", "triage")
HEALTH_PORTS = {name: 18091 + number for number, name in enumerate(WORKERS)}
"""Where the workers of a local stack answer about their health, where these ports are free."""
RUN = (sys.executable, "-m", "tierline.cli", "run")
WORKER_STOP_TIMEOUT_S = 15.0


class Worker(Supervised):
    """One worker. ``environment`` is added to this process's own, e.g. ``TIERLINE_DATA``.

    ``number`` tells workers of the same kind apart: the second ``orders`` is called ``orders-2``.
    ``health_port``: where it answers about its health; 0 leaves the choice to it.
    """

    health_port = 0

    def __init__(self, kind: str, logs: Path, environment: Mapping[str, str], number: int = 1) -> None:
        name = kind if number == 1 else f"{kind}-{number}"
        super().__init__(name, logs / f"{name}.log")
        self.kind = kind
        self._environment = environment

    def spawn(self) -> None:
        """Start the process."""
        self.start()

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it; ``environment`` holds for this one start (a crash point, say), not for later ones."""
        port = {"TIERLINE_HEALTH_ADDRESS": LOOPBACK, "TIERLINE_HEALTH_PORT": str(self.health_port)}
        command = Command((*RUN, self.kind), {**self._environment, **port, **(environment or {})})
        with self.guard:
            self.spawn_command(command, f"tierline.cli run {self.kind}")
            self.wanted = True

    def describe(self) -> Mapping[str, Any]:
        """What ``stack.json`` keeps about it."""
        return {**super().describe(), "health_port": self.health_port}

    def restart(self, environment: Mapping[str, str] | None = None) -> None:
        """Kill it if it runs, and start it at once."""
        self.kill9()
        self.start(environment)

    def stop(self, timeout_s: float = WORKER_STOP_TIMEOUT_S) -> None:
        """Let it finish what it has in hand and end. It stays down."""
        self.send_stop(signal.SIGTERM)
        self.wait_stopped(timeout_s)


class WorkerGroup:
    """Some workers, kept running as a context manager. Used by the stack, and alone in tests of faults.

    A kind that is named twice has two workers, which share its partitions: ``orders`` and ``orders-2``.
    """

    def __init__(self, kinds: Sequence[str], logs: Path, environment: Mapping[str, str]) -> None:
        self._workers: dict[str, Worker] = {}
        number: Counter[str] = Counter()
        for kind in kinds:
            number[kind] += 1
            worker = Worker(kind, logs, environment, number[kind])
            self._workers[worker.name] = worker
        self._kept = ExitStack()

    def __getitem__(self, name: str) -> Worker:
        return self._workers[name]

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    def start(self) -> None:
        """Start every worker."""
        for worker in self:
            worker.start()

    def stop(self) -> None:
        """Stop every worker side by side, each within its time."""
        for worker in self:
            worker.send_stop(signal.SIGTERM)
        for worker in self:
            worker.wait_stopped(WORKER_STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        self.start()
        keeper = Keeper((), tuple(self))
        keeper.start()
        self._kept.callback(keeper.stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._kept.close()
