"""Waiting for an outcome with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_S = 0.02


def wait_for(outcome: Callable[[], bool], what: str, limit_s: float = 60.0) -> None:
    """Poll until ``outcome`` holds; fails with ``what`` after ``limit_s`` seconds."""
    deadline = time.monotonic() + limit_s
    while not outcome():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {limit_s:.0f} s still not: {what}")
        time.sleep(POLL_S)
