"""How often a busy worker begins a turn.

Each turn costs a commit and a request to Kafka for every partition that it touched, however few records it
carries. So a worker that has records all the time begins its turns ``every`` so often at most, and one that
was idle begins at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Says how long the turn that is about to begin gathers records.

    ``every_ms``: between the beginnings of two turns. ``least_ms``: gathered in any case, for what was sent
    together and arrives a moment later. ``now_s``: a clock that never goes back, in seconds.
    """

    def __init__(
        self, every_ms: int = 0, least_ms: int = 0, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_s = every_ms / 1000
        self._least_s = least_ms / 1000
        self._now_s = now_s
        self._begun_s = now_s() - self._every_s

    def gather_s(self) -> float:
        """Seconds to gather, now that there is a first record; the turn begins after them."""
        now = self._now_s()
        gather_s = max(self._least_s, self._begun_s + self._every_s - now)
        self._begun_s = now + gather_s
        return gather_s
