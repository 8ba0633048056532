"""Brings back what ends by itself.

A server is started again on the same port. One that does so too often is given up: the stack cannot be
trusted then, so its owner is told and stops everything. A worker is started again for ever, with a growing
pause: its work waits in Kafka and is not lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tierline.local.artifacts import Notice
from tierline.local.errors import StackError
from tierline.local.server import Server
from tierline.local.supervised import Supervised

LOOK_EVERY_S = 0.2
SHORTEST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0
SERVER_RESTARTS_IN_A_ROW = 5


@dataclass(slots=True)
class Pause:
    """How long to wait before the next start: doubles with each end, starts over after a steady minute."""

    in_a_row: int = 0
    last_start: float = 0.0
    due: float | None = None

    def ended(self, now: float) -> None:
        """Note that the process was found dead at ``now`` (seconds, monotonic)."""
        if now - self.last_start > STEADY_AFTER_S:
            self.in_a_row = 0
        self.in_a_row += 1
        self.due = now + min(SHORTEST_PAUSE_S * 2 ** (self.in_a_row - 1), LONGEST_PAUSE_S)

    def started(self, now: float) -> None:
        """Note that it was started again."""
        self.last_start, self.due = now, None


class Keeper:
    """Looks after servers and workers in a thread of its own until stopped.

    Stop the children before the keeper: the kernel ends those that its thread started when the thread ends.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        workers: Sequence[Supervised],
        on_change: Notice = lambda _: None,
        on_failure: Callable[[StackError], None] = lambda _: None,
    ) -> None:
        self._servers = servers
        self._workers = workers
        self._on_change = on_change
        self._on_failure = on_failure
        self._pauses = {child.name: Pause() for child in (*servers, *workers)}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking and wait for the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            for child in (*self._servers, *self._workers):
                if changed := self._look_after(child):
                    self._on_change(changed)

    def _look_after(self, child: Supervised) -> str:
        """Do what the child needs now; return what changed, in words, or nothing."""
        with child.guard:
            if not child.wanted:
                return ""
            if not child.is_running():
                return self._bring_back(child, self._pauses[child.name])
            if isinstance(child, Server) and not child.ready and self._is_ready(child):
                return f"{child.name} serves again"
            return ""

    def _bring_back(self, child: Supervised, pause: Pause) -> str:
        now = time.monotonic()
        if pause.due is None:
            pause.ended(now)
            if isinstance(child, Server) and pause.in_a_row > SERVER_RESTARTS_IN_A_ROW:
                child.wanted = False
                self._on_failure(child.failed(f"ended {pause.in_a_row} times in a row"))
                return f"{child.name} is given up"
            return f"{child.name} ended (exit code {child.exit_code}), see {child.log}"
        if now < pause.due:
            return ""
        child.spawn()
        child.restarts += 1
        pause.started(now)
        return f"{child.name} started again"

    def _is_ready(self, server: Server) -> bool:
        try:
            return server.check_ready()
        except StackError:
            return False  # it ended while it was asked; the next look brings it back
