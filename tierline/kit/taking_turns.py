"""Several leased workers in one thread: each gets its turn after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from tierline.kit.garbage import collect_rarely
from tierline.kit.leased_worker import LeasedWorker


class TakingTurns:
    """Runs ``workers``, one topic each, until ``stop``. For topics on which little happens.

    ``each_round`` is called once when all have had their turn.
    """

    def __init__(self, workers: Sequence[LeasedWorker], each_round: Callable[[], None]) -> None:
        self._workers = workers
        self._each_round = each_round
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask the loop to end after the turn; safe from signal handlers and other threads."""
        self._stopping.set()

    def run(self) -> None:
        """Work until ``stop``. Raises PositionOutsideLog when a lease points outside its topic."""
        collect_rarely()
        for worker in self._workers:
            worker.join()
        try:
            while not self._stopping.is_set():
                for worker in self._workers:
                    worker.turn()
                self._each_round()
        finally:
            for worker in self._workers:
                worker.leave()
