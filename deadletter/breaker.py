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

from dataclasses import dataclass
from enum import StrEnum

from deadletter.breaker_window import BreakerRules, Cause, DeadRecord, Entry, Window


class BreakerState(StrEnum):
    """See the module's picture. ``waiting`` is open too, without probes."""

    CLOSED = "closed"
    OPEN = "open"
    WAITING = "waiting"
    HALF_OPEN = "half_open"


class Lane(StrEnum):
    """Where an ending comes from: the records of the partition, or those held from it."""

    RECORDS = "records"
    HOLDS = "holds"


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
