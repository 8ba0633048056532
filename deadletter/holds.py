"""Which keys are held, in memory: what the head of each waits for, when it is tried again, what must be
stored.

The bytes of held records are in PostgreSQL; a key costs less than a kilobyte here, however much waits behind
it. Lives on the event loop. Everything that changes is collected and written in one transaction with the
positions (``take_changes``), by the process that has the leases; whoever takes a partition over loads what
is stored.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from deadletter.held import (
    Attempt,
    HeldRecord,
    HoldChanges,
    HoldKey,
    RecordPlace,
    SkippedRow,
    StoredHold,
)
from deadletter.hold_policy import HoldPolicy

_UNSAVED = 5_000


class KeyHold:
    """One held key. ``waiting`` records are not on their way yet; ``stored`` ones are still in the store.

    The head is the first that waits: what it ``asked`` for, how often it was tried, since when it is held and
    when it is tried next (``timer``, None while nobody has read it yet). ``pushed``: try it now. ``begun``:
    its head may be on its way already. ``concluded_to``: the last record that was let go.
    """

    __slots__ = (
        "asked",
        "attempts",
        "begun",
        "channel",
        "concluded_to",
        "held_at",
        "key",
        "parked",
        "pushed",
        "stored",
        "timer",
        "waiting",
    )

    def __init__(self, key: HoldKey, channel: str, *, parked: bool = False) -> None:
        self.key = key
        self.channel = channel
        self.parked = parked
        self.stored = 0
        self.waiting = 0
        self.concluded_to = -1
        self.asked: tuple[tuple[str, str, str], ...] = ()
        self.attempts = 0
        self.held_at = 0
        self.timer: int | None = None
        self.pushed = False
        self.begun = False


@dataclass(slots=True)
class _Collected:
    changes: HoldChanges = field(default_factory=HoldChanges)
    settles: list[Callable[[], None]] = field(default_factory=list)


class Holds:
    """The held keys of every open partition. ``now_ms``: the wall clock."""

    def __init__(self, policy: HoldPolicy, now_ms: Callable[[], int]) -> None:
        self.policy = policy
        self.now_ms = now_ms
        self._holds: dict[HoldKey, KeyHold] = {}
        self._by_ref: dict[str, dict[HoldKey, None]] = {}
        self._due: list[tuple[int, int, HoldKey]] = []
        self._entries = 0
        self._collected = _Collected()
        self._last_kept: HeldRecord | None = None
        self.keys: Counter[str] = Counter()
        self.records: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._holds)

    def get(self, key: HoldKey) -> KeyHold | None:
        """The hold of ``key``."""
        return self._holds.get(key)

    def blocks(self, key: HoldKey) -> bool:
        """Whether a record of ``key`` that comes now has to wait behind others."""
        hold = self._holds.get(key)
        return hold is not None and (hold.parked or hold.waiting > 0)

    @property
    def crowded(self) -> bool:
        """Whether much is collected that was not written yet."""
        changes = self._collected.changes
        return len(changes.held) + len(changes.skipped) > _UNSAVED

    def has_room(self, key: HoldKey, channel: str, *, parked_records: int, parked_keys: int) -> bool:
        """Whether the policy lets one more record of ``key`` wait, beside those that are parked in memory."""
        hold = self._holds.get(key)
        if hold is None and not parked_records:
            return self.keys[channel] + parked_keys < self.policy.most_keys
        return (hold.stored if hold else 0) + parked_records < self.policy.most_records

    def heads(self) -> Iterator[KeyHold]:
        """The holds whose head waits for references."""
        return (hold for hold in self._holds.values() if hold.asked and not hold.parked)

    # --- what comes in ------------------------------------------------------------------------------------

    def keep(self, held: HeldRecord, settled: Callable[[], None]) -> None:
        """An intent of ``held`` waits; ``settled`` is called when its record is part of the next changes."""
        self._collected.settles.append(settled)
        if held is self._last_kept:
            return
        self._last_kept = held
        self._collected.changes.held.append(held)
        hold = self._holds.get(held.hold_key)
        if hold is None:
            hold = self._add(KeyHold(held.hold_key, held.channel))
        hold.stored += 1
        hold.waiting += 1
        self.records[held.channel] += 1
        if hold.waiting == 1 and not hold.parked:
            self.set_head(hold, held)

    def skip(self, row: SkippedRow, settled: Callable[[], None]) -> None:
        """An intent is let go on purpose; ``settled`` as in ``keep``."""
        self._collected.settles.append(settled)
        self._collected.changes.skipped.append(row)

    def load(self, stored: Iterable[StoredHold]) -> None:
        """Holds of partitions that were taken over."""
        for row in stored:
            hold = self._add(KeyHold(row.key, row.channel, parked=row.parked))
            hold.stored = hold.waiting = row.records
            self.records[row.channel] += row.records
            if row.head is not None and not row.parked:
                self.set_head(hold, row.head)
            if row.begun:
                hold.begun = True
                self.push(hold)

    def drop(self) -> None:
        """Every partition was given up: forget all, also what is not stored."""
        for collection in (self._holds, self._by_ref, self._due, self.keys, self.records):
            collection.clear()
        self._collected = _Collected()
        self._last_kept = None

    # --- time and references ------------------------------------------------------------------------------

    def next_due_ms(self) -> int | None:
        """When the next head is to be tried; None when none is."""
        while self._due and not self._is_due(self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def take_due(self, now: int, most: int) -> list[KeyHold]:
        """Up to ``most`` holds whose head is to be tried now; each must be given a new time afterwards."""
        taken: list[KeyHold] = []
        while len(taken) < most and (due := self.next_due_ms()) is not None and due <= now:
            hold = self._holds[heapq.heappop(self._due)[2]]
            if hold not in taken:
                taken.append(hold)
        return taken

    def appeared(self, refs: Collection[str]) -> int:
        """These references may be known now; returns how many heads are to be tried for it."""
        keys = dict.fromkeys(key for ref in refs for key in self._by_ref.get(ref, ()))
        for key in keys:
            self.push(self._holds[key])
        return len(keys)

    def push(self, hold: KeyHold) -> None:
        """Try the head of ``hold`` at once."""
        hold.pushed = True
        self._schedule(hold, 0)

    def set_head(self, hold: KeyHold, head: HeldRecord | None) -> None:
        """``head`` is the first that waits now; None: nobody has read it yet."""
        for _, _, ref in hold.asked:
            self._unindex(ref, hold.key)
        hold.begun = False
        if head is None:
            hold.asked, hold.timer = (), None
            return
        hold.asked = tuple((head.channel, head.source, ref) for ref in head.waits_for)
        for ref in head.waits_for:
            self._by_ref.setdefault(ref, {})[hold.key] = None
        hold.attempts, hold.held_at, hold.timer = head.attempts, head.held_at, head.next_attempt_at
        self._schedule(hold, head.next_attempt_at)

    def again(self, hold: KeyHold, head: HeldRecord, *, counted: bool) -> None:
        """The head was tried and waits on; ``counted``: because its time had come."""
        attempts, at = head.attempts, head.next_attempt_at
        if counted:
            attempts += 1
            at = self.now_ms() + self.policy.of(hold.channel).wait_ms(attempts)
            self._collected.changes.attempts.append(Attempt(head.place, attempts, at))
        hold.attempts, hold.timer = attempts, at
        self._schedule(hold, at)

    # --- what goes ----------------------------------------------------------------------------------------

    def concluded(self, hold: KeyHold, offset: int) -> None:
        """The record at ``offset`` is on its way and waits no more."""
        hold.waiting -= 1
        hold.concluded_to = offset

    def remove(self, hold: KeyHold, place: RecordPlace) -> None:
        """Everything that became of the record is safe: it leaves the store with the next changes."""
        if self._holds.get(hold.key) is not hold:
            return
        self._collected.changes.removed.append(place)
        if hold.parked and place[2] == hold.concluded_to:
            self._collected.changes.parked[hold.key] = hold.concluded_to
        hold.stored -= 1
        self.records[hold.channel] -= 1
        self._drop_if_empty(hold)

    def park(self, hold: KeyHold, *, parked: bool) -> None:
        """Make the rest of the key wait for a person, or no more.

        It is stored when the dead head leaves: until then a restart has to call that one dead again.
        """
        hold.parked = parked
        if parked:
            self.set_head(hold, None)
        else:
            self._collected.changes.parked[hold.key] = None
            self._drop_if_empty(hold)

    def told(self, place: RecordPlace) -> None:
        """The channel has been told that the record waits."""
        self._collected.changes.told.append(place)

    def after_commit(self, then: Callable[[], None]) -> None:
        """Call ``then`` when what was collected so far is durable."""
        self._collected.changes.then.append(then)

    def committed(self, changes: HoldChanges) -> None:
        """``changes`` are durable: followers that came while their hold was emptied can be tried."""
        for held in changes.held:
            hold = self._holds.get(held.hold_key)
            if hold is not None and hold.timer is None and not hold.parked and hold.waiting:
                self.push(hold)
        for then in changes.then:
            then()

    def done(self, request_id: str, result: str) -> None:
        """A person's request was carried out, or refused."""
        self._collected.changes.done.append((request_id, result))

    def take_changes(self) -> HoldChanges:
        """What is to be stored, with the positions, in one transaction. What it holds counts as settled."""
        collected, self._collected = self._collected, _Collected()
        for settled in collected.settles:
            settled()
        return collected.changes

    # --- books --------------------------------------------------------------------------------------------

    def _add(self, hold: KeyHold) -> KeyHold:
        self._holds[hold.key] = hold
        self.keys[hold.channel] += 1
        return hold

    def _drop_if_empty(self, hold: KeyHold) -> None:
        if hold.stored == 0 and not hold.parked:
            self.set_head(hold, None)
            del self._holds[hold.key]
            self.keys[hold.channel] -= 1

    def _unindex(self, ref: str, key: HoldKey) -> None:
        keys = self._by_ref.get(ref)
        if keys is not None:
            keys.pop(key, None)
            if not keys:
                del self._by_ref[ref]

    def _schedule(self, hold: KeyHold, due: int) -> None:
        self._entries += 1
        heapq.heappush(self._due, (due, self._entries, hold.key))

    def _is_due(self, entry: tuple[int, int, HoldKey]) -> bool:
        due, _, key = entry
        hold = self._holds.get(key)
        if hold is None or hold.parked:
            return False
        return (hold.pushed and due == 0) or due == hold.timer
