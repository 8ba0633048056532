"""A server part without a server: some Python in place of Kafka or PostgreSQL."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping

from tierline.local.process import Command
from tierline.local.server import StopMode


class PretendPart:
    """Runs ``program``; it is ready when ``ready`` is set."""

    name = "pretender"
    title = "Pretender"
    port = 1
    stop_signals: Mapping[StopMode, signal.Signals] = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}
    address = "127.0.0.1:1"
    client_address = "127.0.0.1:1"

    def __init__(self, program: str, *, ready: bool = False, name: str = "pretender") -> None:
        self._program = program
        self.ready = ready
        self.name = name
        self.marker = name
        self.calls: list[str] = []

    def set_up(self) -> None:
        """Note the call."""
        self.calls.append("set up")

    def command(self) -> Command:
        """The program."""
        return Command((sys.executable, "-S", "-c", self._program, self.marker))

    def is_ready(self) -> bool:
        """What the test decided."""
        self.calls.append("asked")
        return self.ready

    def settle(self) -> None:
        """Note the call."""
        self.calls.append("settled")
