"""How a worker is, computed from the facts that it reports: no I/O, and a clock that is passed in.

Three answers, for three decisions of whoever runs the worker:

    started  may the other two be asked yet?        every step of the start is done
    live     would a restart help?                  the loop turns, and no partition stands still unexplained
    ready    may a rollout go on? page somebody?    nothing is in the way of the work

``live`` never looks at a dependency: a restart brings no server back. A partition that is behind and does
not move is alive as long as something explains it, which is then what ``ready`` names.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MIGRATIONS, TOPICS, SCHEMAS = "migrations", "topics", "schemas"
STEPS = (MIGRATIONS, TOPICS, SCHEMAS)
"""The steps of every worker's start; each of its readers adds that its partitions are taken over."""

LOOP_MS = 30_000
"""A loop that has not come round for this long is stuck."""
STANDSTILL_READY_MS = 60_000
"""A partition that was behind and did not move for this long is not ready: something is wrong."""
STANDSTILL_LIVE_MS = 600_000
"""The same for this long, with nothing to explain it: a restart is worth trying."""
UNANSWERED_MS = 5_000
"""A server that was asked this long ago and has not answered is away."""

Place = tuple[str, int]
"""Topic (without prefix) and partition."""


class Reason(StrEnum):
    """Why a worker is as ready as it is; of several the first one is named."""

    STARTING = "starting"
    DRAINING = "draining"
    BREAKER_OPEN = "breaker_open"
    DEPENDENCY = "dependency"
    STALLED = "stalled"
    SERVING = "serving"


class Standstill(StrEnum):
    """What explains that a partition does not move."""

    OPENING = "opening"
    BREAKER_OPEN = "breaker_open"
    DEPENDENCY = "dependency"
    CLOSED = "closed"
    STALLED = "stalled"


_STOPPED = (Standstill.CLOSED, Standstill.STALLED)


@dataclass(frozen=True, slots=True)
class Answer:
    """``ok``: the probe passes. ``reason``: one word. ``detail``: what a person should know, may be empty."""

    ok: bool
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


@dataclass(slots=True)
class _Partition:
    since_ms: int
    standstill: Standstill | None = Standstill.OPENING
    cause: str = ""
    behind: int = 0


@dataclass(slots=True)
class _Server:
    asked_ms: int | None = None
    problem: str = ""

    def trouble(self, now_ms: int) -> str:
        if self.problem:
            return self.problem
        if self.asked_ms is not None and now_ms - self.asked_ms > UNANSWERED_MS:
            return f"no answer for {(now_ms - self.asked_ms) // 1000} s"
        return ""


def monotonic_ms() -> int:
    """Milliseconds of a clock that nobody sets."""
    return time.monotonic_ns() // 1_000_000


class Health:
    """The facts of one process, and the answers. Safe for threads.

    ``steps``: what has to be done before the worker has started, by name.
    """

    def __init__(self, steps: Iterable[str] = STEPS, now_ms: Callable[[], int] = monotonic_ms) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._begun_ms = now_ms()
        self._steps = dict.fromkeys(steps, False)
        self._beat_ms: int | None = None
        self._draining = False
        self._servers: dict[str, _Server] = {}
        self._partitions: dict[Place, _Partition] = {}

    # --- facts: the process -------------------------------------------------------------------------------

    def todo(self, step: str) -> None:
        """One more step belongs to the start."""
        with self._lock:
            self._steps.setdefault(step, False)

    def done(self, step: str) -> None:
        """A step of the start is done, for good."""
        with self._lock:
            self._steps[step] = True

    def beat(self) -> None:
        """The loop came round. A long pause (the process was frozen) is held against no partition."""
        with self._lock:
            now = self._now_ms()
            if self._beat_ms is not None and now - self._beat_ms > LOOP_MS:
                self._begin_again(now)
            self._beat_ms = now

    def drain(self) -> None:
        """The process was asked to end."""
        with self._lock:
            self._draining = True

    def asked(self, server: str) -> None:
        """Somebody asked ``server`` for a sign of life."""
        with self._lock:
            self._servers.setdefault(server, _Server()).asked_ms = self._now_ms()

    def answered(self, server: str, problem: str = "") -> None:
        """``server`` answered, or could not: ``problem`` says why."""
        with self._lock:
            now = self._now_ms()
            known = self._servers.setdefault(server, _Server())
            if not problem and known.trouble(now):
                self._begin_again(now)
            known.asked_ms, known.problem = None, problem

    # --- facts: partitions --------------------------------------------------------------------------------

    def opening(self, places: Collection[Place]) -> None:
        """``places`` belong to this process and are being taken over."""
        self._stand_still(places, Standstill.OPENING, "")

    def waiting(self, places: Collection[Place], cause: str) -> None:
        """Work on ``places`` waits for something that is away: ``cause``."""
        self._stand_still(places, Standstill.DEPENDENCY, cause)

    def breaker_open(self, place: Place, cause: str) -> None:
        """Dead letters of ``place`` are kept back, because of ``cause``: it may stand."""
        self._stand_still([place], Standstill.BREAKER_OPEN, cause)

    def closed(self, place: Place) -> None:
        """``place`` is kept closed: store and topic disagree."""
        self._stand_still([place], Standstill.CLOSED, "store and topic disagree")

    def stalled(self, place: Place, cause: str) -> None:
        """``place`` was stopped by a bug."""
        self._stand_still([place], Standstill.STALLED, cause)

    def opened(self, places: Collection[Place]) -> None:
        """Work on ``places`` goes on."""
        with self._lock:
            now = self._now_ms()
            self._partitions.update({place: _Partition(now, None) for place in places})

    def gone(self, places: Collection[Place]) -> None:
        """``places`` belong to somebody else."""
        with self._lock:
            for place in places:
                self._partitions.pop(place, None)

    def moved(self, place: Place) -> None:
        """Records of ``place`` are done with."""
        with self._lock:
            if place in self._partitions:
                self._partitions[place].since_ms = self._now_ms()

    def behind(self, place: Place, records: int) -> None:
        """So many records of ``place`` are still to come; the first ones start its clock."""
        with self._lock:
            partition = self._partitions.get(place)
            if partition is None:
                return
            if records and not partition.behind:
                partition.since_ms = self._now_ms()
            partition.behind = records

    def _stand_still(self, places: Collection[Place], why: Standstill, cause: str) -> None:
        with self._lock:
            now = self._now_ms()
            for place in places:
                partition = self._partitions.setdefault(place, _Partition(now))
                partition.standstill, partition.cause = why, cause

    def _begin_again(self, now_ms: int) -> None:
        for partition in self._partitions.values():
            partition.since_ms = now_ms

    # --- answers ------------------------------------------------------------------------------------------

    def started(self) -> Answer:
        """Whether every step of the start is done."""
        with self._lock:
            return self._started()

    def live(self) -> Answer:
        """Whether the process should be left alone; if not, a restart is worth trying."""
        with self._lock:
            return self._live(self._now_ms())

    def ready(self) -> Answer:
        """Whether nothing is in the way of the work, else the most important reason."""
        with self._lock:
            return self._ready(self._now_ms())

    def to_json(self) -> dict[str, Any]:
        """All answers and the facts behind them."""
        with self._lock:
            now = self._now_ms()
            ready, live = self._ready(now), self._live(now)
            return {
                "up_seconds": (now - self._begun_ms) // 1000,
                "started": self._started().ok,
                "live": live.ok,
                "live_detail": live.detail,
                "ready": ready.ok,
                "reason": ready.reason,
                "detail": ready.detail,
                "heartbeat_age_seconds": None if self._beat_ms is None else (now - self._beat_ms) / 1000,
                "steps": dict(self._steps),
                "servers": {name: server.trouble(now) or "answers" for name, server in self._servers.items()},
                "partitions": [_described(place, p, now) for place, p in sorted(self._partitions.items())],
            }

    def _started(self) -> Answer:
        missing = [step for step, is_done in self._steps.items() if not is_done]
        if missing:
            return Answer(ok=False, reason=Reason.STARTING, detail=f"still to do: {', '.join(missing)}")
        return Answer(ok=True, reason="started")

    def _live(self, now: int) -> Answer:
        if self._beat_ms is None:
            return Answer(ok=True, reason="live", detail="the loop has not begun")
        if (age := now - self._beat_ms) >= LOOP_MS:
            return Answer(ok=False, reason="stuck", detail=f"the loop has not come round for {age // 1000} s")
        stuck = next(self._unexplained(now, STANDSTILL_LIVE_MS), None)
        if stuck:
            return Answer(ok=False, reason="stuck", detail=stuck)
        return Answer(ok=True, reason="live")

    def _ready(self, now: int) -> Answer:
        started = self._started()
        if not started.ok:
            return started
        if self._draining:
            return Answer(ok=False, reason=Reason.DRAINING, detail="asked to end")
        if broken := next(self._broken(), None):
            return Answer(ok=False, reason=Reason.BREAKER_OPEN, detail=broken)
        if away := next(self._away(now), None):
            return Answer(ok=False, reason=Reason.DEPENDENCY, detail=away)
        if stalled := next(self._stalled(now), None):
            return Answer(ok=False, reason=Reason.STALLED, detail=stalled)
        return Answer(ok=True, reason=Reason.SERVING)

    def _broken(self) -> Iterator[str]:
        for (topic, number), partition in self._partitions.items():
            if partition.standstill is Standstill.BREAKER_OPEN:
                yield f"{topic}[{number}] keeps dead letters back: {partition.cause}"

    def _away(self, now: int) -> Iterator[str]:
        for name, server in self._servers.items():
            if trouble := server.trouble(now):
                yield f"{name}: {trouble}"
        for (topic, number), partition in self._partitions.items():
            if partition.standstill is Standstill.DEPENDENCY:
                yield f"{topic}[{number}] waits: {partition.cause}"

    def _stalled(self, now: int) -> Iterator[str]:
        for (topic, number), partition in self._partitions.items():
            if partition.standstill in _STOPPED:
                yield f"{topic}[{number}] is {partition.standstill}: {partition.cause}"
        yield from self._unexplained(now, STANDSTILL_READY_MS)

    def _unexplained(self, now: int, limit_ms: int) -> Iterator[str]:
        if any(server.trouble(now) for server in self._servers.values()):
            return
        for (topic, number), partition in self._partitions.items():
            age = now - partition.since_ms
            if partition.standstill is None and partition.behind and age >= limit_ms:
                yield (
                    f"{topic}[{number}] has {partition.behind} records before it"
                    f" and has not moved for {age // 1000} s"
                )


def _described(place: Place, partition: _Partition, now_ms: int) -> dict[str, Any]:
    return {
        "topic": place[0],
        "partition": place[1],
        "behind": partition.behind,
        "seconds_since_progress": (now_ms - partition.since_ms) // 1000,
        "standstill": partition.standstill,
        "cause": partition.cause,
    }
