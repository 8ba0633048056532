"""The breakers of the partitions that this process reads: asked about every record, stored with positions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from deadletter.breaker import Breaker, BreakerState, Lane
from deadletter.breaker_file import BreakerPolicy
from deadletter.breaker_store import Action, ActionOutcome, Head, Place, StoredBreaker, Verb
from deadletter.breaker_window import SPREAD, Cause, DeadRecord
from deadletter.classify import PARKING
from deadletter.router import DeadIntent
from tierline.domain.outcome import Dead
from tierline.kit.records import Record
from tierline.kit.telemetry import Metrics

SAVE_EVERY_MS = 1_000

_log = structlog.get_logger(__name__)

_FREE = "tierline breaker close|pass --channel {channel} --partition {partition} --reason TEXT"
_ACTIONS = {
    Cause.HOLDS_FULL: "see `tierline holds list`: import what is missing, or release or discard what waits",
    Cause.RATIO: "see `tierline breaker list`: mend and deploy, or " + _FREE,
    Cause.CONSECUTIVE: "see `tierline breaker list`: mend and deploy, or " + _FREE,
}


@dataclass(frozen=True, slots=True)
class BreakerChanges:
    """What one transaction writes about breakers."""

    breakers: list[StoredBreaker] = field(default_factory=list)
    taken: list[tuple[Action, ActionOutcome]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.breakers or self.taken)

    def places(self) -> set[Place]:
        """The partitions whose leases must be held for it."""
        asked = {(action.topic, action.partition) for action, _ in self.taken}
        return {(kept.topic, kept.partition) for kept in self.breakers} | asked


class Watch(Protocol):
    """Who tells people how the partitions are."""

    def breaker(self, place: Place, cause: str | None) -> None:
        """The breaker of ``place`` is open because of ``cause``; None: not any more."""


class Breakers:
    """The breakers by partition. ``now_ms``: the wall clock. Lives on the event loop."""

    def __init__(
        self,
        policy: BreakerPolicy,
        *,
        app_version: str,
        now_ms: Callable[[], int],
        metrics: Metrics,
        watch: Watch,
    ) -> None:
        self._watch = watch
        self._policy = policy
        self._app_version = app_version
        self._now_ms = now_ms
        self._open = metrics.breaker_open
        self._breakers: dict[Place, Breaker] = {}
        self._channels: dict[Place, str] = {}
        self._heads: dict[Place, Head] = {}
        self._changed: set[Place] = set()
        self._taken: list[tuple[Action, ActionOutcome]] = []
        self._not_closed: set[Place] = set()
        self._saved_at = 0

    # --- life ---------------------------------------------------------------------------------------------

    def load(self, stored: Iterable[StoredBreaker]) -> None:
        """Breakers of partitions that were taken over."""
        for kept in stored:
            place = (kept.topic, kept.partition)
            self._add(place, kept.channel, kept)
            if kept.head is not None:
                self._heads[place] = kept.head
            if self._breakers[place].state is not BreakerState.CLOSED:
                self._note(place)

    def drop(self) -> None:
        """Every partition was given up."""
        for place in self._breakers:
            self._open.labels(self._channels[place], str(place[1])).set(0)
        for collection in (self._breakers, self._channels, self._heads, self._not_closed, self._changed):
            collection.clear()
        self._taken.clear()

    # --- what the intake asks -----------------------------------------------------------------------------

    def may_try(self, record: Record) -> bool:
        """Whether ``record``, the next of its partition, may be tried now."""
        if not self._not_closed:
            return True
        place = (record.topic, record.partition)
        return place not in self._not_closed or self._breakers[place].may_try(record.offset, self._now_ms())

    def lived(self, record: Record, channel: str, source: str, lane: Lane) -> None:
        """``record`` did not die: it was accepted, waits, or asked for nothing."""
        place = (record.topic, record.partition)
        breaker = self._breakers.get(place) or self._add(place, channel)
        before = breaker.state
        now = 0 if before is BreakerState.CLOSED else self._now_ms()  # one that is closed does not look at it
        if lane is Lane.RECORDS:
            breaker.good(record.offset, source, now)
            self._passed(place, record)
        else:
            breaker.released(source, now)
        if not breaker.is_idle or before is not BreakerState.CLOSED:
            self._moved(place, before)

    def may_die(self, record: Record, channel: str, dead: Sequence[DeadIntent], lane: Lane) -> bool:
        """Whether ``record``, whose intents ``dead`` are about to die, may; otherwise it is left alone."""
        place = (record.topic, record.partition)
        breaker = self._breakers.get(place) or self._add(place, channel)
        before, alone = breaker.state, breaker.alone
        dying = _dead_record(record, dead)
        if lane is Lane.RECORDS:
            may = breaker.dead(record.offset, dying, self._now_ms())
            if may:
                self._passed(place, record)
            else:
                self._stands(place, record, dead[0].outcome)
        else:
            may = breaker.spent(dying, self._now_ms())
        self._moved(place, before)
        if breaker.alone > alone:
            self._told("head_buried_alone", place, offset=record.offset, alone=breaker.alone)
        return may

    def full(self, record: Record, channel: str) -> None:
        """``record`` has to be held and there is no room for it: it stands."""
        place = (record.topic, record.partition)
        breaker = self._breakers.get(place) or self._add(place, channel)
        before = breaker.state
        breaker.full(self._now_ms())
        self._heads[place] = Head(record.offset, "hold", "NO_ROOM", None)
        self._moved(place, before)

    def room_made(self) -> None:
        """Something that was held has gone."""
        for place in self._not_closed:
            self._breakers[place].room_made(self._now_ms())

    # --- what people ask ----------------------------------------------------------------------------------

    def do(self, actions: Iterable[Action]) -> None:
        """Do what people asked, each once; the next changes say what became of it."""
        known = {action.action_id for action, _ in self._taken}
        for action in actions:
            place = (action.topic, action.partition)
            breaker = self._breakers.get(place)
            if breaker is None or action.action_id in known:
                continue
            before = breaker.state
            meant = breaker.episode == action.episode and before is not BreakerState.CLOSED
            if meant and action.verb is Verb.CLOSE:
                breaker.close(self._now_ms())
            elif meant:
                breaker.let_pass(action.count, self._now_ms())
            self._taken.append((action, ActionOutcome.DONE if meant else ActionOutcome.OUTDATED))
            self._told(
                "breaker_asked",
                place,
                action=str(action.verb),
                count=action.count,
                actor=action.actor,
                reason=action.reason,
                done=meant,
            )
            self._moved(place, before)

    # --- what is stored -----------------------------------------------------------------------------------

    @property
    def pressing(self) -> bool:
        """Whether something must be stored before a dead letter is written."""
        return any(self._breakers[place].is_pressing for place in self._changed)

    def take_changes(self) -> BreakerChanges:
        """What is to be stored with the positions, in one transaction; now and then unless it presses."""
        now = self._now_ms()
        if not self._taken and not self.pressing and now - self._saved_at < SAVE_EVERY_MS:
            return BreakerChanges()
        if self._changed:
            self._saved_at = now
        changed, self._changed = self._changed, set()
        taken, self._taken = self._taken, []
        return BreakerChanges([self._stored(place) for place in sorted(changed)], taken)

    def _stored(self, place: Place) -> StoredBreaker:
        snapshot = self._breakers[place].snapshot()
        return StoredBreaker(*place, self._channels[place], snapshot, self._heads.get(place))

    # --- books --------------------------------------------------------------------------------------------

    def _add(self, place: Place, channel: str, kept: StoredBreaker | None = None) -> Breaker:
        breaker = Breaker(
            self._policy.rules(channel),
            app_version=self._app_version,
            now=self._now_ms(),
            stored=None if kept is None else kept.snapshot,
        )
        self._breakers[place] = breaker
        self._channels[place] = channel
        return breaker

    def _passed(self, place: Place, record: Record) -> None:
        head = self._heads.get(place)
        if head is not None and head.offset <= record.offset:
            del self._heads[place]

    def _stands(self, place: Place, record: Record, why: Dead) -> None:
        self._heads[place] = Head(record.offset, str(why.dead_letter_class), why.code, why.field)

    def _moved(self, place: Place, before: BreakerState) -> None:
        self._changed.add(place)
        breaker = self._breakers[place]
        if breaker.state is before:
            return
        if breaker.state is BreakerState.CLOSED:
            self._heads.pop(place, None)
        self._note(place)
        self._tell(place, breaker, before)

    def _note(self, place: Place) -> None:
        """Keep the gauge, and the set of those that are not closed, as the breaker is."""
        breaker = self._breakers[place]
        self._open.labels(self._channels[place], str(place[1])).set(breaker.is_open)
        self._watch.breaker(place, str(breaker.cause) if breaker.is_open else None)
        if breaker.state is BreakerState.CLOSED:
            self._not_closed.discard(place)
        else:
            self._not_closed.add(place)

    def _tell(self, place: Place, breaker: Breaker, before: BreakerState) -> None:
        head = self._heads.get(place)
        match breaker.state:
            case BreakerState.OPEN if before is BreakerState.CLOSED and breaker.cause is not None:
                action = _ACTIONS[breaker.cause].format(channel=self._channels[place], partition=place[1])
                self._told(
                    "breaker_opened",
                    place,
                    error=True,
                    cause=str(breaker.cause),
                    lane=str(breaker.lane),
                    head=None if head is None else head.offset,
                    dead_letter_class=None if head is None else head.dead_letter_class,
                    code=None if head is None else head.code,
                    action=action,
                )
            case BreakerState.WAITING:
                action = _FREE.format(channel=self._channels[place], partition=place[1])
                self._told("breaker_waits", place, error=True, action=f"mend and deploy, or {action}")
            case BreakerState.CLOSED:
                self._told("breaker_closed", place)
            case _:
                self._told("breaker_half_open" if not breaker.is_open else "breaker_open_again", place)

    def _told(self, event: str, place: Place, *, error: bool = False, **facts: object) -> None:
        log = _log.error if error else _log.warning
        log(event, channel=self._channels[place], topic=place[0], partition=place[1], **facts)


def _dead_record(record: Record, dead: Sequence[DeadIntent]) -> DeadRecord:
    classes = {intent.outcome.dead_letter_class for intent in dead}
    first = dead[0]
    key = record.key
    if key is None:
        named = first.reference
        key = (f"{record.topic}/{record.partition}/{record.offset}" if named is None else named).encode(
            "utf-8", "surrogatepass"
        )
    digest = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
    return DeadRecord(digest, first.source, classes <= SPREAD, classes <= PARKING)
