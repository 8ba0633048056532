"""One server of the stack: start, ask whether it is ready, stop, kill."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from tierline.local.errors import StackError
from tierline.local.process import Command, tail
from tierline.local.supervised import STOP_TIMEOUT_S, Supervised

StopMode = Literal["fast", "immediate"]
POLL_S = 0.05
READY_TIMEOUT_S = 180.0


class Part(Protocol):
    """What a technology must say about itself to be run as a server."""

    name: str
    title: str
    port: int
    marker: str
    stop_signals: Mapping[StopMode, signal.Signals]

    @property
    def address(self) -> str:
        """Where it is, to be shown to people: no secrets."""

    @property
    def client_address(self) -> str:
        """What clients connect to, secrets included."""

    def set_up(self) -> None:
        """Make what must exist before the first start. May take seconds; safe to call again."""

    def command(self) -> Command:
        """What to run."""

    def is_ready(self) -> bool:
        """Ask the server itself whether it serves. Returns within about two seconds."""

    def settle(self) -> None:
        """Do what is left once the server answers for the first time in this run. Safe to call again."""


class Server(Supervised):
    """A part as a running process."""

    def __init__(self, part: Part, logs: Path) -> None:
        super().__init__(part.name, logs / f"{part.name}.log")
        self.part = part
        self.seconds_to_ready = 0.0
        self._answered = False
        self._started = 0.0

    @property
    def ready(self) -> bool:
        """Tell whether it runs and has answered since it was started."""
        return self._answered and self.is_running()

    def spawn(self) -> None:
        """Start the process without waiting for it to serve."""
        self._answered = False
        self._started = time.monotonic()
        self.spawn_command(self.part.command(), self.part.marker)

    def start(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Start it and wait until it serves; it must have been set up. Raises StackError when it does not."""
        self.spawn()
        deadline = time.monotonic() + timeout_s
        while not self.check_ready():
            if time.monotonic() > deadline:
                raise self.failed(f"was not ready after {timeout_s:.0f} s")
            time.sleep(POLL_S)

    def check_ready(self) -> bool:
        """Ask once; the first yes settles the part. Raises StackError when the process has ended."""
        with self.guard:
            if not self.is_running():
                raise self.failed(f"ended while starting (exit code {self.exit_code})")
            if not self.ready and self.part.is_ready():
                self.part.settle()
                self._answered = self.wanted = True
                self.seconds_to_ready = time.monotonic() - self._started
            return self.ready

    def stop(self, mode: StopMode = "fast", timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop it and wait: ``fast`` in good order, ``immediate`` as after a crash. It stays down."""
        self.signal_stop(mode)
        self.wait_stopped(timeout_s)

    def signal_stop(self, mode: StopMode = "fast") -> None:
        """Ask it to stop, without waiting."""
        self.send_stop(self.part.stop_signals[mode])

    def failed(self, what: str) -> StackError:
        """The error that says what happened to this server, with the end of its log."""
        return StackError(
            f"{self.part.title} {what}.", f"Its last words, from {self.log}:\n{tail(self.log)}".rstrip()
        )

    def describe(self) -> Mapping[str, Any]:
        """What ``stack.json`` keeps about it."""
        return {
            **super().describe(),
            "title": self.part.title,
            "address": self.part.address,
            "port": self.part.port,
            "ready": self.ready,
            "seconds_to_ready": round(self.seconds_to_ready, 2),
        }
