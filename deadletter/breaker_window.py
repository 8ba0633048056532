"""What a breaker looks back on: the last records of a channel in one partition, and when they are too many.

One sender's fault is not ours: dead records of class decode or contract count only where they strike several
keys and sources.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from tierline.domain.outcome import DeadLetterClass

SPREAD = frozenset({DeadLetterClass.DECODE, DeadLetterClass.CONTRACT})
"""What one sender can cause alone: it counts only when several keys and sources are struck."""


class Cause(StrEnum):
    """Why a breaker opened."""

    CONSECUTIVE = "consecutive"
    RATIO = "ratio"
    HOLDS_FULL = "holds_full"


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """Every number of a breaker; times in ms.

    ``window`` records are looked back on. It opens where over ``ratio_percent`` of them are dead, once there
    are ``at_least``, or where ``consecutive`` in a row are. Dead ones of class decode or contract count only
    across ``keys`` keys, and across ``sources`` sources where the window holds several. A head is buried
    alone after ``probes`` failed probes, ``alone`` heads at most. ``half_open`` good records close it.
    """

    window: int = 500
    ratio_percent: int = 20
    at_least: int = 50
    consecutive: int = 20
    keys: int = 5
    sources: int = 2
    probes: int = 3
    alone: int = 3
    half_open: int = 20
    probe_first_ms: int = 2_000
    probe_limit_ms: int = 60_000


class DeadRecord(NamedTuple):
    """A record with a dead intent: a number that stands for its key, who sent it, and of what kind it is.

    ``spread``: every class among its intents is one of SPREAD. ``heals``: every class is one of PARKING: it
    may be over by itself, so such a head is probed for as long as it takes.
    """

    key: int
    source: str
    spread: bool
    heals: bool = False


Entry = str | DeadRecord
"""A record in the window: the source of a good one, or a dead one."""


class Window:
    """The last ``size`` records, oldest first."""

    __slots__ = ("_entries", "consecutive", "dead")

    def __init__(self, size: int, entries: Iterable[Entry] = ()) -> None:
        self._entries: deque[Entry] = deque(entries, size)
        self.dead = sum(isinstance(entry, DeadRecord) for entry in self._entries)
        self.consecutive = 0
        for entry in reversed(self._entries):
            if isinstance(entry, str):
                break
            self.consecutive += 1

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> tuple[Entry, ...]:
        """What it holds now."""
        return tuple(self._entries)

    def good(self, source: str) -> None:
        """Count a record that ended well or waits."""
        self._make_room()
        self._entries.append(source)
        self.consecutive = 0

    def add(self, record: DeadRecord) -> None:
        """Count a dead one."""
        self._make_room()
        self._entries.append(record)
        self.dead += 1
        self.consecutive += 1

    def tripped_by(self, record: DeadRecord, rules: BreakerRules) -> Cause | None:
        """Whether it would be too much with ``record``, and in which way."""
        seen = min(len(self) + 1, rules.window)
        run = self.consecutive + 1 >= rules.consecutive
        share = seen >= rules.at_least and (self.dead + 1) * 100 > rules.ratio_percent * seen
        if not run and not share:
            return None
        held = [*islice(self._entries, len(self) + 1 - seen, None), record]
        sources = {entry if isinstance(entry, str) else entry.source for entry in held}
        if run:
            last = [entry for entry in held[-self.consecutive - 1 :] if isinstance(entry, DeadRecord)]
            if _counted(last, len(sources), rules) >= rules.consecutive:
                return Cause.CONSECUTIVE
        dead = [entry for entry in held if isinstance(entry, DeadRecord)]
        if share and _counted(dead, len(sources), rules) * 100 > rules.ratio_percent * seen:
            return Cause.RATIO
        return None

    def _make_room(self) -> None:
        if len(self._entries) == self._entries.maxlen and isinstance(self._entries[0], DeadRecord):
            self.dead -= 1
            self.consecutive = min(self.consecutive, len(self._entries) - 1)


def _counted(dead: Sequence[DeadRecord], sources: int, rules: BreakerRules) -> int:
    """How many of ``dead`` speak of a fault of ours, in a window of ``sources`` senders."""
    spread = [record for record in dead if record.spread]
    struck = len({record.source for record in spread})
    keys = len({record.key for record in spread})
    widely = keys >= rules.keys and struck >= min(sources, rules.sources)
    return len(dead) if widely else len(dead) - len(spread)
