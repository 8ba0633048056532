"""The stored holds of a normalizer without servers: what PostgreSQL does, in a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from deadletter.held import HeldRecord, HoldChanges, HoldKey, RecordPlace, Request, SkippedRow, StoredHold
from deadletter.hold_store import hold_id
from schemas.topics import NORMALIZER
from tierline.domain.outcome import SkipReason


class MemoryDesk:
    """See ``streams.normalizing.releases.HoldDesk``; ``write`` is the transaction."""

    def __init__(self) -> None:
        self.records: dict[RecordPlace, HeldRecord] = {}
        self.parked: dict[HoldKey, int | None] = {}
        self.skipped: list[SkippedRow] = []
        self.told: list[RecordPlace] = []
        self.asked: list[Request] = []
        self.done: dict[str, str] = {}

    async def wave(self, wanted: Mapping[HoldKey, int]) -> list[HeldRecord]:
        discarded = {row.place for row in self.skipped if row.reason is SkipReason.DISCARDED}
        return [
            replace(held, discarded=held.place in discarded)
            for key, after in wanted.items()
            for held in self._of(key)
            if held.record.offset > after
        ]

    async def begin(self, places: Sequence[RecordPlace]) -> None:
        for place in places:
            self.records[place] = replace(self.records[place], begun=True)

    async def requests(self) -> list[Request]:
        return [request for request in self.asked if request.id not in self.done]

    def write(self, changes: HoldChanges) -> None:
        """Everything of ``changes``, at once."""
        self.skipped += changes.skipped
        self.records.update({held.place: held for held in changes.held})
        self.told += changes.told
        for attempt in changes.attempts:
            held = self.records[attempt.place]
            self.records[attempt.place] = replace(
                held, attempts=attempt.attempts, next_attempt_at=attempt.next_attempt_at
            )
        for place in changes.removed:
            del self.records[place]
        self.parked.update(changes.parked)
        self.done.update(changes.done)

    def stored(self) -> list[StoredHold]:
        """What a worker loads that takes the partitions over."""
        keys = {held.hold_key: held.channel for held in self.records.values()}
        keys |= {
            key: "portal" for key, behind in self.parked.items() if behind is not None and key not in keys
        }
        holds = []
        for key, channel in keys.items():
            records = self._of(key)
            head = records[0] if records else None
            begun = head is not None and head.begun
            parked = self.parked.get(key) is not None
            holds.append(StoredHold(key, channel, parked, len(records), head, begun))
        return holds

    def ask(self, key: HoldKey, action: str, offset: int | None = None, reason: str = "INC-1") -> str:
        """A request of a person; returns its id."""
        request_id = f"request-{len(self.asked)}"
        self.asked.append(Request(request_id, key, hold_id(NORMALIZER, key), action, offset, reason))
        return request_id

    def _of(self, key: HoldKey) -> list[HeldRecord]:
        return sorted((h for h in self.records.values() if h.hold_key == key), key=lambda h: h.place)
