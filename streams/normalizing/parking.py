"""Records that wait for a moment, in memory and in order, for an account that nobody knows yet.

A record is parked under its key (the record's own, or what stands for it). Every later record of that key is
parked behind it, so they leave in the order they came. Each one has its own deadline, counted from when it
came. A parked record is not acknowledged: a restart reads it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Parked(Generic[Item]):
    """One waiting record: its ``size`` in bytes, and until when (ms) it waits."""

    item: Item
    size: int
    deadline_ms: int


class Parking(Generic[Item]):
    """Queues of parked records by key, bounded by count and bytes."""

    def __init__(self, *, most_records: int, most_bytes: int) -> None:
        self._queues: dict[Hashable, deque[Parked[Item]]] = {}
        self._most_records = most_records
        self._most_bytes = most_bytes
        self._records = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._records

    def __contains__(self, key: Hashable) -> bool:
        return key in self._queues

    @property
    def keys(self) -> int:
        """How many keys have parked records."""
        return len(self._queues)

    def records_of(self, key: Hashable) -> int:
        """How many records of ``key`` are parked."""
        return len(self._queues.get(key, ()))

    @property
    def full(self) -> bool:
        """Whether no further key should be parked until some have left."""
        return self._records >= self._most_records or self._bytes >= self._most_bytes

    def park(self, key: Hashable, parked: Parked[Item]) -> None:
        """Put a record behind those of its key."""
        self._queues.setdefault(key, deque()).append(parked)
        self._records += 1
        self._bytes += parked.size

    def items(self) -> Iterator[Item]:
        """Every parked record, key by key, in order."""
        for queue in self._queues.values():
            yield from (parked.item for parked in queue)

    def next_deadline_ms(self) -> int | None:
        """When the wait of the next record in line is over; None when nothing is parked."""
        return min((queue[0].deadline_ms for queue in self._queues.values()), default=None)

    def look_again(self, leaves: Callable[[Parked[Item]], bool]) -> None:
        """Show each key's records to ``leaves``, head first, until one stays; take out those that left."""
        for key in list(self._queues):
            queue = self._queues[key]
            while queue and leaves(queue[0]):
                self._gone(queue.popleft())
            if not queue:
                del self._queues[key]

    def drop(self, unwanted: Callable[[Item], bool]) -> None:
        """Forget the records that ``unwanted`` names."""
        for key in list(self._queues):
            kept: deque[Parked[Item]] = deque()
            for parked in self._queues[key]:
                if unwanted(parked.item):
                    self._gone(parked)
                else:
                    kept.append(parked)
            if kept:
                self._queues[key] = kept
            else:
                del self._queues[key]

    def _gone(self, parked: Parked[Item]) -> None:
        self._records -= 1
        self._bytes -= parked.size
