"""Proves, on the way in, that nothing is missing, changed or doubled in a partition of events.

Positions are contiguous and each event's hash covers the one before it. An event that was published twice
is a *repeat*: the same position with the same bytes; it is skipped. Anything else that does not continue
the chain is a broken log: the partition stops, nothing is skipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from projections.read_model import Event
from tierline.kit.leases import GENESIS, Progress
from tierline.kit.records import Record

ReadEvent = Callable[[bytes], dict[str, Any]]
HashesAt = Callable[[Collection[int]], Mapping[int, bytes]]


class LogBroken(Exception):
    """A partition of events does not continue what was read before.

    The partition stays where it is. Compare topic and event store (``tierline verify`` names the first
    difference); ``oms.event`` holds the bytes that were decided.
    """


@dataclass(frozen=True, slots=True)
class Intake:
    """What a stretch of records holds: events of whole decisions, how many repeats, and how far it reaches.

    Records from ``progress.next_offset`` on belong to a decision that is not complete yet.
    """

    events: Sequence[Event]
    repeats: int
    progress: Progress


def take_in(records: Sequence[Record], start: Progress, read: ReadEvent, hashes_at: HashesAt) -> Intake:
    """Verify ``records``, which continue at ``start``, and read their events.

    ``hashes_at(positions)`` knows the hashes of events before ``start``; it is asked when there are repeats.
    Raises LogBroken, naming partition, offset and position.
    """
    chain = _Chain(start)
    for record in records:
        chain.add(record, read)
    chain.check_repeats(hashes_at)
    return Intake(chain.events, len(chain.repeats), chain.progress)


def take_in_blocks(
    records: Iterable[Record], start: Progress, read: ReadEvent, hashes_at: HashesAt, size: int
) -> Iterator[Intake]:
    """``take_in`` for ``size`` records at a time; what a block does not complete is part of the next one.

    Each block must be stored before the next one is asked for, unless ``continues`` says that none repeats.
    """
    rest = iter(records)
    unfinished: list[Record] = []
    while read_now := list(islice(rest, size)):
        block = unfinished + read_now
        intake = take_in(block, start, read, hashes_at)
        start = intake.progress
        unfinished = [record for record in block if record.offset >= start.next_offset]
        yield intake


def continues(records: Sequence[Record], start: Progress) -> bool:
    """Whether no event in ``records`` comes a second time. Raises LogBroken for a record that is no event.

    A log with a repeat that reaches as far would have a hole, which ``take_in`` refuses.
    """
    return _position(records[-1]) == start.next_position + len(records) - 1


@dataclass(slots=True)
class _Chain:
    """The chain as far as it was followed; ``progress`` stands after the last whole decision."""

    progress: Progress
    events: list[Event] = field(init=False, default_factory=list)
    repeats: list[tuple[int, Record]] = field(init=False, default_factory=list)
    _open: list[Event] = field(init=False, default_factory=list)
    _hashes: dict[int, bytes] = field(init=False, default_factory=dict)
    _next: int = field(init=False)
    _last_hash: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._next, self._last_hash = self.progress.next_position, self.progress.chain_hash

    def add(self, record: Record, read: ReadEvent) -> None:
        """Continue with ``record``, or note it as a repeat."""
        position = _position(record)
        if position > self._next:
            raise _broken(record, f"position {position} where {self._next} is due: events are missing")
        if position < self._next:
            self.repeats.append((position, record))
        else:
            self._continue(record, read)
        if not self._open:
            self.progress = Progress(record.offset + 1, self._next, self._last_hash)

    def _continue(self, record: Record, read: ReadEvent) -> None:
        value = record.value or b""
        link = hashlib.sha256(self._last_hash + value).digest()
        if record.header("hash") != link:
            raise _broken(record, f"position {self._next} does not continue the hash chain")
        event = read(value)
        if (event["partition"], event["position"]) != (record.partition, self._next):
            place = f"partition {event['partition']}, position {event['position']}"
            raise _broken(record, f"position {self._next} holds the event of {place}")
        if event["decision_index"] != len(self._open):
            due, found = len(self._open), event["decision_index"]
            raise _broken(record, f"position {self._next}: index {found} of a decision where {due} is due")
        event["hash"] = self._hashes[self._next] = self._last_hash = link
        self._next += 1
        self._open.append(event)
        if len(self._open) == event["decision_count"]:
            self.events += self._open
            self._open = []

    def check_repeats(self, hashes_at: HashesAt) -> None:
        """Raise unless each repeat is what stood at its position before."""
        if not self.repeats:
            return
        wanted = {p for position, _ in self.repeats for p in (position, position - 1) if p >= 0}
        known = {-1: GENESIS, **hashes_at(wanted - self._hashes.keys()), **self._hashes}
        for position, record in self.repeats:
            before, hash_then = known.get(position - 1), known.get(position)
            if before is None or hash_then is None:
                raise _broken(record, f"position {position} comes again and its hash is not known any more")
            found = hashlib.sha256(before + (record.value or b"")).digest()
            if (found, record.header("hash")) != (hash_then, hash_then):
                raise _broken(record, f"position {position} comes again with other bytes or another hash")


def _position(record: Record) -> int:
    try:
        return int(record.header("position") or b"")
    except ValueError:
        raise _broken(record, "no position in its headers: not an event of ours") from None


def _broken(record: Record, what: str) -> LogBroken:
    return LogBroken(f"{record.topic} partition {record.partition} offset {record.offset}: {what}")
