"""Where each partition stands: batch after batch, without a gap.

A batch is what came of one partition in one turn. Its outcomes become safe in any order; the position of
the partition moves past a batch only when the batch and every one before it have no open outcome left. Holes
that the log has of its own (markers of transactions) lie in batches: each begins where the one before ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

Place = tuple[str, int]
"""Topic (without prefix) and partition."""


class Settling(Protocol):
    """Something whose outcomes are counted until the last one is safe."""

    @property
    def given_up(self) -> bool:
        """Whether its outcomes are somebody else's now."""

    def expect(self, more: int) -> None:
        """``more`` further outcomes belong to it."""

    def settle(self) -> None:
        """One outcome is safe."""


class OpenBatch:
    """The outcomes of one fetch that are not safe yet.

    ``open`` counts them; ``given_up`` is set when the partition was taken away: the records will be delivered
    again, to whoever reads it then, so nothing more should be done about them here. ``since_ms``: when the
    broker took its first record.
    """

    __slots__ = ("given_up", "next_offset", "open", "place", "since_ms")

    def __init__(self, place: Place, next_offset: int, outcomes: int, since_ms: int) -> None:
        self.place = place
        self.since_ms = since_ms
        self.next_offset = next_offset
        self.open = outcomes
        self.given_up = False

    def expect(self, more: int) -> None:
        """``more`` further outcomes belong to this batch."""
        self.open += more

    def settle(self) -> None:
        """One outcome is safe."""
        self.open -= 1
        if self.open < 0:
            raise RuntimeError(f"{self.place}: more outcomes settled before {self.next_offset} than expected")


class RecordsPassedOver(Exception):
    """Records got lost between the log and the intake. The worker ends, and begins again at its lease."""

    def __init__(self, place: Place, due: int, start: int) -> None:
        super().__init__(f"{place[0]} partition {place[1]}: a batch begins at {start} where {due} is due")


class _Partition:
    __slots__ = ("batches", "last_since_ms", "read_to", "saved", "settled_to")

    def __init__(self, position: int) -> None:
        self.batches: deque[OpenBatch] = deque()
        self.read_to = position
        self.settled_to = position
        self.saved = position
        self.last_since_ms = 0

    def contiguous(self) -> int:
        while self.batches and self.batches[0].open == 0:
            self.settled_to = self.batches.popleft().next_offset
        return self.settled_to


class Progress:
    """The positions of every open partition. Not safe for threads: it lives on the event loop.

    ``openings``: how often partitions were opened.
    """

    def __init__(self) -> None:
        self._partitions: dict[Place, _Partition] = {}
        self.openings = 0

    def open(self, positions: Mapping[Place, int]) -> None:
        """Begin (again) at ``positions``: the offset of the next record, by place."""
        self.give_up(positions)
        self.openings += 1
        self._partitions.update({place: _Partition(offset) for place, offset in positions.items()})

    def give_up(self, places: Collection[Place]) -> None:
        """Forget ``places``; their unsafe outcomes are somebody else's now."""
        for place in places:
            partition = self._partitions.pop(place, None)
            for batch in partition.batches if partition else ():
                batch.given_up = True

    def places(self) -> tuple[Place, ...]:
        """The open partitions."""
        return tuple(self._partitions)

    def begin(
        self, place: Place, start: int, next_offset: int, outcomes: int, since_ms: int = 0
    ) -> OpenBatch | None:
        """Take in a batch of ``outcomes`` records, all that the log has from ``start`` to ``next_offset``.

        None: the partition is not open, or the batch is from before its position: leave it alone. Raises
        RecordsPassedOver.
        """
        partition = self._partitions.get(place)
        if partition is None or start < partition.read_to:
            return None
        if start > partition.read_to:
            raise RecordsPassedOver(place, partition.read_to, start)
        batch = OpenBatch(place, next_offset, outcomes, since_ms)
        partition.batches.append(batch)
        partition.last_since_ms = since_ms
        partition.read_to = next_offset
        return batch

    def oldest_ms(self, place: Place) -> int | None:
        """When the broker took the oldest record that has no safe outcome; the last fetch, if all have one.

        None: nothing of ``place`` was read.
        """
        partition = self._partitions.get(place)
        if partition is None or not partition.last_since_ms:
            return None
        return next((b.since_ms for b in partition.batches if b.open), partition.last_since_ms)

    def moved(self) -> dict[Place, int]:
        """The positions that are further than what was saved."""
        return {
            place: position
            for place, partition in self._partitions.items()
            if (position := partition.contiguous()) > partition.saved
        }

    def saved(self, positions: Mapping[Place, int]) -> None:
        """``positions`` are durable."""
        for place, position in positions.items():
            partition = self._partitions.get(place)
            if partition is not None:
                partition.saved = position

    def unsettled(self) -> Iterator[OpenBatch]:
        """The batches with open outcomes."""
        for partition in self._partitions.values():
            yield from (batch for batch in partition.batches if batch.open)
