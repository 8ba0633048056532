"""A child process that its owner wants to run or not; a keeper brings back one that ends by itself."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierline.local.process import Command, ProcessRef

STOP_TIMEOUT_S = 30.0


class Supervised:
    """The process behind a server or a worker.

    ``wanted`` is what the owner asked for last. Whoever holds ``guard`` may change whether it runs.
    """

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self.guard = threading.RLock()
        self.wanted = False
        self.restarts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._ref: ProcessRef | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self.is_running() else None

    @property
    def exit_code(self) -> int | None:
        """How the last process ended (negative: by that signal), None while it runs or before it started."""
        return self._process.poll() if self._process else None

    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def spawn_command(self, command: Command, marker: str) -> None:
        """Start the process; ``marker`` is a text in its command line by which it is known again."""
        with self.guard:
            self._process = command.start(self.log)
            self._ref = ProcessRef.to(self._process.pid, marker)

    def spawn(self) -> None:
        """Start the process without waiting for it to do anything."""
        raise NotImplementedError

    def send_signal(self, number: int) -> None:
        """Send it a signal without changing what is wanted of it: SIGKILL is a crash, SIGSTOP a freeze."""
        with self.guard:
            if self._process and self.is_running():
                self._process.send_signal(number)

    def send_stop(self, by: signal.Signals) -> None:
        """Ask it to end and to stay down, without waiting."""
        with self.guard:
            self.wanted = False
            self.send_signal(by)

    def wait_stopped(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Wait for the end of the process; SIGKILL after ``timeout_s``."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill9(self) -> None:
        """Kill it without warning; it stays down until it is started again."""
        self.send_stop(signal.SIGKILL)
        self.wait_stopped()

    def describe(self) -> Mapping[str, Any]:
        """What ``stack.json`` keeps about it."""
        return {
            "process": self._ref.to_json() if self._ref and self.is_running() else None,
            "wanted": self.wanted,
            "restarts": self.restarts,
            "exit_code": self.exit_code,
            "log": str(self.log),
        }
