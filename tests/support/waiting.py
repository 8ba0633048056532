"""Waiting for an outcome with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

POLL_S = 0.02
Outcome = TypeVar("Outcome")


def wait_for(outcome: Callable[[], Outcome], what: str, limit_s: float = 60.0) -> Outcome:
    """Poll until ``outcome`` holds (is true) and return it; fails with ``what`` after ``limit_s`` seconds."""
    deadline = time.monotonic() + limit_s
    while not (found := outcome()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {limit_s:.0f} s still not: {what}")
        time.sleep(POLL_S)
    return found
