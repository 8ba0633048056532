"""The core must never ask the machine what time zone it is in."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def _a_machine_in_a_far_zone() -> Iterator[None]:
    """Fourteen hours ahead of UTC: whatever falls back to the machine's zone gives another answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        yield
    time.tzset()
