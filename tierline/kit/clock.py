"""The clock as a port: workers ask it for the time and for a pause, tests move it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Time in milliseconds since the epoch, UTC, and a pause in seconds."""

    def now_ms(self) -> int: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class FakeClock:
    """A clock that stands still until it is told; its pause moves it."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def sleep(self, seconds: float) -> None:
        self.advance(int(seconds * 1000))

    def advance(self, milliseconds: int) -> None:
        """Move the time on by ``milliseconds``."""
        self._now_ms += milliseconds
