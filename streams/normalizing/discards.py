"""Held records that a person takes out for good: stored with the reason, told to the channel, then gone."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from deadletter.held import HeldRecord, RecordPlace, Request, SkippedRow
from deadletter.holds import Holds, KeyHold
from deadletter.router import Router, SkippedIntent
from streams.answering.reply import discarded_reply
from tierline.domain.outcome import Skipped, SkipReason

_log = structlog.get_logger(__name__)


class Discards:
    """Takes held records out, one end each. Lives on the event loop."""

    def __init__(self, *, holds: Holds, router: Router, room_made: Callable[[], None]) -> None:
        self._holds = holds
        self._router = router
        self._room_made = room_made
        self._under_way: set[RecordPlace] = set()

    def __contains__(self, place: RecordPlace) -> bool:
        return place in self._under_way

    def given_up(self) -> None:
        """Every partition was given up."""
        self._under_way.clear()

    def begin(self, hold: KeyHold, held: HeldRecord, request: Request | None) -> None:
        """Let every intent of ``held`` go; with the stored reason the channel is told, then it leaves."""
        self._under_way.add(held.place)
        is_head = not hold.parked and hold.concluded_to < held.record.offset
        hold.waiting -= 1
        reason = "" if request is None else request.reason
        for index in () if held.discarded else held.intents:
            row = SkippedRow(held.place, index, held.intent_count, SkipReason.DISCARDED, reason)
            self._router.route(SkippedIntent(Skipped(row.reason, reason), row, _nothing))
        replies = [discarded_reply(held, index, self._holds.now_ms()) for index in held.intents]

        def told() -> None:
            self._under_way.discard(held.place)
            self._holds.remove(hold, held.place)
            if request is not None:
                self._holds.done(request.id, f"done: {len(replies)} intent(s) discarded")
            self._room_made()

        self._holds.after_commit(lambda: self._router.tell(replies, told))
        _log.warning(
            "held_record_discarded",
            channel=held.channel,
            topic=held.place[0],
            partition=held.place[1],
            offset=held.place[2],
            intents=len(held.intents),
        )
        if is_head and hold.waiting:
            self._holds.push(hold)


def _nothing() -> None:
    """What a discarded intent settles: its batch has passed long ago."""
