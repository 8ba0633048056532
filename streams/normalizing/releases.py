"""Held records on their way out: head first, through the handler that every record goes through.

    due      a reference appeared, the time of a head has come, or a person asked
    load     the first records of the due keys, while the leases are held
    begin    from this commit on they may be sent, and nobody may discard them any more
    conclude commands, or dead letters where the wait is over; the first record that still waits stops its key
    remove   with the next positions, when everything that became of a record is acknowledged

A crash between any two of these repeats the rest: commands have the same ids, verdicts are stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from deadletter.held import HeldRecord, HoldKey, RecordPlace, Request
from deadletter.hold_policy import OnDead
from deadletter.holds import Holds, KeyHold
from deadletter.router import Router
from streams.answering.reply import held_reply
from streams.normalizing.concluding import Concluder, Understood, waiting_intents
from streams.normalizing.context import AccountContext, Asked
from streams.normalizing.discards import Discards
from streams.normalizing.intake_metrics import IntakeMetrics
from streams.normalizing.look_up import look_up
from streams.normalizing.resolve import Rows, Unknown, references, resolve_record
from streams.reading.intent import Intent, Reading
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.kit.crash_points import reached

_WAVE_KEYS = 200
_REFS_AT_ONCE = 500
_PAUSE_S = 0.005
_LOOK_S = 0.5

_log = structlog.get_logger(__name__)


class HoldDesk(Protocol):
    """The store, as far as releases need it. Every call checks the leases, and waits while it is away."""

    async def wave(self, wanted: Mapping[HoldKey, int]) -> list[HeldRecord]:
        """The first records after the given offset of each key, as many as fit in memory."""

    async def begin(self, places: Sequence[RecordPlace]) -> None:
        """From now on commands of these records may be sent."""

    async def requests(self) -> list[Request]:
        """What people asked of holds of our partitions."""


class Pressure(Protocol):
    """The way out: whether it is full."""

    @property
    def crowded(self) -> bool: ...


class _Release:
    """The outcomes of one held record that are not safe yet (see ``progress.Settling``)."""

    __slots__ = ("_done", "_open")

    given_up = False

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._open = 1

    def expect(self, more: int) -> None:
        self._open += more

    def settle(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._done()


@dataclass(frozen=True, slots=True)
class _Going:
    """A record that goes. ``spent``: because its wait is over; ``given_up``: what its intents die of then."""

    hold: KeyHold
    held: HeldRecord
    understood: Understood
    spent: bool
    given_up: Dead | None


class Releases:
    """Lets held records go; ``run`` does so until cancelled. Lives on the event loop."""

    def __init__(
        self,
        *,
        holds: Holds,
        concluder: Concluder,
        context: AccountContext,
        router: Router,
        desk: HoldDesk,
        outlet: Pressure,
        metrics: IntakeMetrics,
        room_made: Callable[[], None],
    ) -> None:
        self._holds = holds
        self._concluder = concluder
        self._context = context
        self._router = router
        self._desk = desk
        self._outlet = outlet
        self._metrics = metrics
        self._room_made = room_made
        self._woken = asyncio.Event()
        self._asked_for = False
        self._doubtful: list[KeyHold] = []
        self._discards = Discards(holds=holds, router=router, room_made=room_made)

    # --- what is told -------------------------------------------------------------------------------------

    def references_changed(self, refs: Collection[str]) -> None:
        """These references may be known now."""
        if self._holds.appeared(refs):
            self._woken.set()

    def anything_changed(self) -> None:
        """Changes may have been missed: ask about every head, and for what people want."""
        self._doubtful = list(self._holds.heads())
        self._asked_for = True
        self._woken.set()

    def people_asked(self) -> None:
        """Somebody asked something of a hold."""
        self._asked_for = True
        self._woken.set()

    def tell_held(self, held: Iterable[HeldRecord]) -> None:
        """These records wait, and that is stored: tell their channels, and see whether they still have to.

        What was missing may have come between the last look and the commit, when nobody here listened for it.
        """
        for one in held:
            replies = [held_reply(one, index, self._holds.now_ms()) for index in one.intents]
            self._router.tell(replies, lambda place=one.place: self._told(place))  # type: ignore[misc] # bound on purpose
            hold = self._holds.get(one.hold_key)
            if hold is not None and hold.asked and hold.timer == one.next_attempt_at:
                self._doubtful.append(hold)
        if self._doubtful:
            self._woken.set()

    def _told(self, place: RecordPlace) -> None:
        reached("normalizer.after_held_reply")
        self._holds.told(place)

    def given_up(self) -> None:
        """Every partition was given up."""
        self._doubtful.clear()
        self._discards.given_up()
        self._holds.drop()

    # --- the loop -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Release what is due until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._until_due_s()):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            await self.step()

    def _until_due_s(self) -> float:
        due = self._holds.next_due_ms()
        return _LOOK_S if due is None else min(_LOOK_S, max(0.0, (due - self._holds.now_ms()) / 1000))

    async def step(self) -> None:
        """Do everything that is to be done now."""
        if self._asked_for:
            self._asked_for = False
            for request in await self._desk.requests():
                await self._serve(request)
        while self._doubtful:
            await self._ask_again()
        while due := self._holds.take_due(self._holds.now_ms(), _WAVE_KEYS):
            while self._outlet.crowded:  # noqa: ASYNC110 - it announces nothing
                await asyncio.sleep(_PAUSE_S)
            await self._try(due)
            self._metrics.publish()
        self._metrics.holds(self._holds.keys, self._holds.records)

    async def _ask_again(self) -> None:
        asked: dict[Asked, list[KeyHold]] = {}
        while self._doubtful and len(asked) < _REFS_AT_ONCE:
            hold = self._doubtful.pop()
            for one in hold.asked:
                asked.setdefault(one, []).append(hold)
        rows, _ = await look_up(
            self._context,
            asked.keys(),
            lambda: {one: (one,) for one in asked},
            self._metrics.retried,
            doubt_unknown=True,
        )
        for (_, _, ref), waiting in asked.items():
            if rows.get(ref):
                for hold in waiting:
                    if self._is_ours(hold):
                        self._holds.push(hold)

    def _is_ours(self, hold: KeyHold) -> bool:
        return self._holds.get(hold.key) is hold

    # --- one wave -----------------------------------------------------------------------------------------

    async def _try(self, due: Sequence[KeyHold]) -> None:
        now = self._holds.now_ms()
        in_time = {hold: hold.timer is not None and hold.timer <= now for hold in due}
        for hold in due:
            hold.pushed = False
        records: dict[KeyHold, list[HeldRecord]] = {hold: [] for hold in due}
        for held in await self._desk.wave({hold.key: hold.concluded_to for hold in due}):
            known = self._holds.get(held.hold_key)
            if known is not None and known in records and held.place not in self._discards:
                records[known].append(held)
        reached("normalizer.after_hold_load")
        for hold in [hold for hold, some in records.items() if not some]:
            del records[hold]
            if self._is_ours(hold):
                self._holds.set_head(hold, None)  # what waits is not stored yet; its commit tries again
        understood = {
            held.place: self._concluder.understand(held.record)
            for some in records.values()
            for held in some
            if not held.discarded
        }
        rows, failed = await self._rows(records, understood)
        going = [
            one
            for hold, some in records.items()
            if self._is_ours(hold)
            for one in self._that_go(hold, some, understood, rows, failed, in_time=in_time[hold])
        ]
        if going:
            await self._desk.begin([one.held.place for one in going])
        reached("normalizer.after_release_begun")
        for one in going:
            if self._is_ours(one.hold):
                self._let_go(one, rows)
        reached("normalizer.after_release_sent")
        for hold, some in records.items():
            if self._is_ours(hold) and not hold.parked:
                gone = [one for one in going if one.hold is hold]
                self._next_head(hold, some, len(gone), in_time=in_time[hold])

    async def _rows(
        self,
        records: Mapping[KeyHold, Sequence[HeldRecord]],
        understood: Mapping[RecordPlace, Understood],
    ) -> tuple[Rows, frozenset[RecordPlace]]:
        asked = {
            held.place: {(i.channel, i.source, ref) for i in intents for ref in references(i)}
            for some in records.values()
            for held in some
            if (intents := _intents(understood.get(held.place), held))
        }
        everything = {one for some in asked.values() for one in some}
        return await look_up(
            self._context, everything, lambda: asked, self._metrics.retried, doubt_unknown=True
        )

    def _that_go(
        self,
        hold: KeyHold,
        records: Sequence[HeldRecord],
        understood: Mapping[RecordPlace, Understood],
        rows: Rows,
        failed: Collection[RecordPlace],
        *,
        in_time: bool,
    ) -> Iterable[_Going]:
        """The records at the head of ``hold`` that need not wait any longer."""
        policy = self._holds.policy.of(hold.channel)
        for number, held in enumerate(records):
            if held.discarded:
                self._discards.begin(hold, held, None)
                continue
            read = understood[held.place]
            waits = held.place in failed or _waits(_intents(read, held), rows)
            given_up = self._concluder.was_given_up(held)
            age = self._holds.now_ms() - held.held_at
            spent = waits and number == 0 and in_time and policy.is_spent(held.attempts + 1, age)
            if waits and not spent and not given_up:
                return
            spent = spent or given_up
            cause = held.cause if held.cause.dead_letter_class is DeadLetterClass.DEPENDENCY else None
            going = _Going(hold, held, read, spent, cause if spent else None)
            if not given_up and not self._concluder.may_go(held, read, rows, going.given_up):
                return
            yield going
            if spent and policy.on_dead is OnDead.PARK:
                return

    def _let_go(self, going: _Going, rows: Rows) -> None:
        hold, held = going.hold, going.held
        self._holds.concluded(hold, held.record.offset)
        if going.spent and self._holds.policy.of(hold.channel).on_dead is OnDead.PARK:
            self._holds.park(hold, parked=True)
        release = _Release(lambda: self._gone(hold, held.place))
        work = self._concluder.work(held.record, going.understood, release, held)
        if work is None:
            return
        self._concluder.let_go(work, rows, going.given_up)

    def _gone(self, hold: KeyHold, place: RecordPlace) -> None:
        reached("normalizer.after_release_settled")
        self._holds.remove(hold, place)
        self._room_made()

    def _next_head(self, hold: KeyHold, loaded: Sequence[HeldRecord], gone: int, *, in_time: bool) -> None:
        left = [held for held in loaded if not held.discarded][gone:]
        if left:
            if gone or hold.timer is None:
                self._holds.set_head(hold, left[0])
            self._holds.again(hold, left[0], counted=in_time and not gone)
        elif hold.waiting:
            self._holds.set_head(hold, None)
            self._holds.push(hold)

    # --- what people ask ----------------------------------------------------------------------------------

    async def _serve(self, request: Request) -> None:
        hold = None if request.key is None else self._holds.get(request.key)
        if hold is None:
            self._holds.done(request.id, "gone: nothing is held under this id any more")
        elif request.action == "release":
            if hold.parked:
                self._holds.park(hold, parked=False)
            if self._is_ours(hold):
                self._holds.push(hold)
            self._holds.done(request.id, "tried: the head goes if what it waits for is known")
        else:
            await self._serve_discard(request, hold)

    async def _serve_discard(self, request: Request, hold: KeyHold) -> None:
        after = hold.concluded_to if request.offset is None else request.offset - 1
        held = next(iter(await self._desk.wave({hold.key: after})), None)
        if held is not None and request.offset not in (None, held.record.offset):
            held = None
        if held is None and hold.parked and hold.stored == 0:
            self._holds.park(hold, parked=False)
            self._holds.done(request.id, "done: nothing waited; later records of the key pass again")
        elif held is None:
            self._holds.done(request.id, "refused: no such record waits")
        elif held.begun and not held.discarded:
            self._holds.done(request.id, "refused: the record is on its way already")
        elif held.place not in self._discards:
            self._discards.begin(hold, held, request)


def _intents(understood: Understood | None, held: HeldRecord) -> tuple[Intent, ...]:
    return waiting_intents(understood, held) if isinstance(understood, Reading) else ()


def _waits(intents: Sequence[Intent], rows: Rows) -> bool:
    """Whether an account of these intents is not known. What cannot even be asked goes, and ends dead."""
    try:
        return any(isinstance(resolution, Unknown) for resolution in resolve_record(intents, rows))
    except Exception:  # noqa: BLE001 - the bug is met, told and called dead when the record is concluded
        return False
