"""The circuit breaker of one channel in one partition: it keeps a fault of ours from burying a day's orders.

    closed     dead letters are written and counted in a window
       │  too many of them
    open       none is written; the record at the head is tried again and again (a probe), nothing passes it
       │  │  its probes failed for good: it is buried alone and the next one is the head; three times at most
       │  waiting     no more probes: somebody closes it, lets some pass, or runs another version
       │  a probe succeeds
    half_open  records flow; the next dead one stands and it is open again
       │  enough good records
    closed

Pure: the caller passes the time in, keeps the snapshot, and obeys the answers. Counted are records, not
intents: one record with a hundred bad intents is one bad record.
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


class BreakerState(StrEnum):
    """See the module's picture. ``waiting`` is open too, without probes."""

    CLOSED = "closed"
    OPEN = "open"
    WAITING = "waiting"
    HALF_OPEN = "half_open"


class Cause(StrEnum):
    """Why a breaker opened."""

    CONSECUTIVE = "consecutive"
    RATIO = "ratio"
    HOLDS_FULL = "holds_full"


class Lane(StrEnum):
    """Where an ending comes from: the records of the partition, or those held from it."""

    RECORDS = "records"
    HOLDS = "holds"


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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A breaker as it is stored. Instants in ms; ``seen_to`` is the offset after the last record counted.

    ``episode`` counts the openings. ``probes`` failed for good at this head, ``tries`` failed at all,
    ``alone`` heads were buried alone in this episode, ``passes`` may still pass, ``good`` is how far the way
    back to closed is.
    """

    state: BreakerState
    since: int
    app_version: str
    seen_to: int = 0
    episode: int = 0
    cause: Cause | None = None
    lane: Lane = Lane.RECORDS
    probes: int = 0
    tries: int = 0
    alone: int = 0
    passes: int = 0
    good: int = 0
    next_probe_at: int = 0
    entries: tuple[Entry, ...] = ()


class Breaker:
    """The breaker of one channel in one partition, for one process. Times are wall-clock ms.

    ``stored`` is how it was left: by the same version it stays as it is; for another version what is closed
    begins with an empty window, and what is not is probed again.
    """

    def __init__(
        self, rules: BreakerRules, *, app_version: str, now: int, stored: Snapshot | None = None
    ) -> None:
        self._rules = rules
        self._app_version = app_version
        kept = stored or Snapshot(BreakerState.CLOSED, now, app_version)
        other_version = kept.app_version != app_version
        self.state = kept.state
        self.since = kept.since
        self.seen_to = kept.seen_to
        self.episode = kept.episode
        self.cause = kept.cause
        self.lane = kept.lane
        self.passes = kept.passes
        self.next_probe_at = kept.next_probe_at
        self.probes, self.tries, self.alone, self.good_ones = kept.probes, kept.tries, kept.alone, kept.good
        self._window = Window(rules.window, () if other_version else kept.entries)
        if other_version and self.state is not BreakerState.CLOSED:
            self._probe_again(now)
            self.alone = 0

    @property
    def is_open(self) -> bool:
        """Whether dead letters are kept back and a record may stand."""
        return self.state in {BreakerState.OPEN, BreakerState.WAITING}

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is worth keeping: closed, and nothing dead in sight."""
        return self.state is BreakerState.CLOSED and not self._window.dead

    @property
    def is_pressing(self) -> bool:
        """Whether it must be stored before anything else happens: a crash must not give back its counts."""
        return (
            self.state is not BreakerState.CLOSED or self._window.consecutive * 4 >= self._rules.consecutive
        )

    def snapshot(self) -> Snapshot:
        """What to store."""
        return Snapshot(
            self.state,
            self.since,
            self._app_version,
            self.seen_to,
            self.episode,
            self.cause,
            self.lane,
            self.probes,
            self.tries,
            self.alone,
            self.passes,
            self.good_ones,
            self.next_probe_at,
            self._window.entries(),
        )

    # --- what the intake asks -----------------------------------------------------------------------------

    def may_try(self, offset: int, now: int) -> bool:
        """Whether the record at ``offset``, the next of the partition, may be tried.

        What was counted before may: it comes again after a crash, and what it became is decided.
        """
        if offset < self.seen_to:
            return True
        if self.state is BreakerState.WAITING:
            return False
        return self.state is not BreakerState.OPEN or self.passes > 0 or now >= self.next_probe_at

    def good(self, offset: int, source: str, now: int) -> None:
        """The record at ``offset`` did not die: it was accepted, is held, or asked for nothing."""
        if offset < self.seen_to:
            return
        self.seen_to = offset + 1
        if self.state is BreakerState.CLOSED:
            self._window.good(source)
        elif self.lane is Lane.RECORDS:
            self._recover(now)

    def dead(self, offset: int, record: DeadRecord, now: int) -> bool:
        """Whether the record at ``offset``, which is about to die, may. Otherwise it stands: nothing of it,
        and nothing behind it, may happen until ``may_try``.
        """
        if offset < self.seen_to:
            return True
        if not self._may_die(record, Lane.RECORDS, now):
            return False
        self.seen_to = offset + 1
        return True

    def released(self, source: str, now: int) -> None:
        """A held record was accepted."""
        if self.state is BreakerState.CLOSED:
            self._window.good(source)
        elif self.lane is Lane.HOLDS:
            self._recover(now)

    def spent(self, record: DeadRecord, now: int) -> bool:
        """Whether a held record that is about to die may. Otherwise it stays held."""
        return self._may_die(record, Lane.HOLDS, now)

    def full(self, now: int) -> None:
        """A record must be held and there is no more room for it: it stands."""
        match self.state:
            case BreakerState.CLOSED:
                self._open(Cause.HOLDS_FULL, Lane.RECORDS, now)
            case BreakerState.HALF_OPEN:
                self._stand(now)
            case _:
                self._failed(now)

    def room_made(self, now: int) -> None:
        """There may be room for a held record again: where that is what it waits for, it is tried."""
        if self.cause is Cause.HOLDS_FULL and self.state is BreakerState.OPEN:
            self.next_probe_at = now

    # --- what a person asks -------------------------------------------------------------------------------

    def close(self, now: int) -> None:
        """Let everything flow and count anew."""
        if self.state is not BreakerState.CLOSED:
            self._close(now)

    def let_pass(self, count: int, now: int) -> None:
        """Let the next ``count`` dead records die while it is not closed; then probe on."""
        if self.state is not BreakerState.CLOSED:
            self.passes += count
            self._probe_again(now)

    # --- the transitions ----------------------------------------------------------------------------------

    def _may_die(self, record: DeadRecord, lane: Lane, now: int) -> bool:
        if self.state is BreakerState.CLOSED:
            cause = self._window.tripped_by(record, self._rules)
            if cause is not None:
                self._open(cause, lane, now)
                return False
            self._window.add(record)
            return True
        if self.passes:
            self.passes -= 1
            return True
        if lane is Lane.HOLDS or self.state is BreakerState.WAITING:
            return False
        if self.state is BreakerState.HALF_OPEN:
            self._stand(now)
            return False
        return self._probe_failed(record, now)

    def _probe_failed(self, record: DeadRecord, now: int) -> bool:
        """Whether the head may be buried alone."""
        if not record.heals:
            self.probes += 1
        if self.probes < self._rules.probes:
            self._failed(now)
            return False
        if self.alone >= self._rules.alone:
            self._turn(BreakerState.WAITING, now)
            return False
        self.alone += 1
        self._next_head(now)
        return True

    def _open(self, cause: Cause, lane: Lane, now: int) -> None:
        self.cause, self.lane = cause, lane
        self.episode += 1
        self.alone = self.good_ones = 0
        self._stand(now)

    def _stand(self, now: int) -> None:
        self._turn(BreakerState.OPEN, now)
        self.probes = self.tries = 0
        self.next_probe_at = now + self._rules.probe_first_ms

    def _failed(self, now: int) -> None:
        self.tries += 1
        pause = self._rules.probe_first_ms << min(self.tries, 20)
        self.next_probe_at = now + min(pause, self._rules.probe_limit_ms)

    def _next_head(self, now: int) -> None:
        self.probes = self.tries = 0
        self.next_probe_at = now

    def _probe_again(self, now: int) -> None:
        if self.state is BreakerState.WAITING:
            self._turn(BreakerState.OPEN, now)
        self._next_head(now)

    def _recover(self, now: int) -> None:
        if self.state is not BreakerState.HALF_OPEN:
            self._turn(BreakerState.HALF_OPEN, now)
            self._next_head(now)
        self.good_ones += 1
        if self.good_ones >= self._rules.half_open:
            self._close(now)

    def _close(self, now: int) -> None:
        self._turn(BreakerState.CLOSED, now)
        self.passes = self.alone = self.good_ones = 0
        self.cause = None
        self._next_head(now)
        self._window = Window(self._rules.window)

    def _turn(self, state: BreakerState, now: int) -> None:
        if state is not self.state:
            self.state, self.since = state, now
