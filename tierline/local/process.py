"""Child processes of the stack, and how one is known again after its supervisor died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

from tierline.local import child

# The start time of a process is computed from the boot time, which moves a little when the clock is set.
CLOCK_SLACK_S = 2.0
LARGEST_LOG_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process that can be told from a later one with the same pid.

    ``created``: its start in seconds since 1970. ``marker``: a text that its command line contains.
    """

    pid: int
    created: float
    marker: str

    @classmethod
    def to(cls, pid: int, marker: str) -> Self:
        """Refer to the running process ``pid``; raises psutil.NoSuchProcess when it is gone."""
        return cls(pid, psutil.Process(pid).create_time(), marker)

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(int(written["pid"]), float(written["created"]), str(written["marker"]))

    def to_json(self) -> dict[str, Any]:
        """The form kept in ``stack.json``."""
        return {"pid": self.pid, "created": self.created, "marker": self.marker}

    def find(self) -> psutil.Process | None:
        """Return the process if it is still this one, else None (gone, a zombie, or a recycled pid)."""
        try:
            process = psutil.Process(self.pid)
            same_start = abs(process.create_time() - self.created) < CLOCK_SLACK_S
            if process.status() == psutil.STATUS_ZOMBIE or not same_start:
                return None
            return process if self.marker in " ".join(process.cmdline()) else None
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None

    def end(self, gently: signal.Signals, timeout_s: float) -> bool:
        """Stop the process if it is still this one: ``gently``, after ``timeout_s`` by SIGKILL.

        Returns whether there was anything to stop.
        """
        process = self.find()
        if process is None:
            return False
        try:
            process.send_signal(gently)
            try:
                process.wait(timeout_s)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(timeout_s)
        except psutil.NoSuchProcess:
            return True
        return True


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: the words, additions to the environment, and the user when it is not the current one."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    on_orphaned: signal.Signals = signal.SIGTERM

    def launcher(self) -> list[str]:
        """The command line that starts it through ``child.py``."""
        inner = [str(os.getpid()), str(int(self.on_orphaned)), self.user or "-", *self.words]
        return [sys.executable, "-S", "-E", child.__file__, *inner]

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        """Start it in a session of its own (Ctrl-C in the terminal reaches the supervisor alone).

        Output is appended to ``log``. The thread that calls this must outlive the child: the kernel takes
        the end of that thread for the death of the parent.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LARGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - our own command line
                self.launcher(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def run(self, log: Path, timeout_s: float) -> int:
        """Run it to its end and return its exit code; output is appended to ``log``."""
        process = self.start(log)
        try:
            return process.wait(timeout_s)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def tail(log: Path, lines: int = 5) -> str:
    """The last lines of a log that say something, for an error message."""
    if not log.exists():
        return ""
    written = log.read_text(errors="replace").splitlines()[-200:]
    telling = [line for line in written if line.strip() and not line.lstrip().startswith("at ")]
    return "\n".join(telling[-lines:])
