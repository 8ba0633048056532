"""Which records continue a lease: nothing twice, nothing left out, nothing dropped between two turns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierline.kit.records import Record


@dataclass(frozen=True, slots=True)
class Taken:
    """The records of a turn by partition, and the partitions that must be read again because of a hole."""

    batch: dict[int, list[Record]]
    read_again: tuple[int, ...]


class Continuity:
    """Per partition: records that were read and not yet processed, and the last hole that was seen."""

    def __init__(self) -> None:
        self._kept: dict[int, list[Record]] = {}
        self._hole: dict[int, int] = {}

    def take(self, records: Sequence[Record], next_offsets: Mapping[int, int]) -> Taken:
        """Sort ``records`` by partition and join them to what was kept.

        Records of partitions without a next offset are not ours any more. Those before it were read twice. A
        hole is read again once: the log may have holes of its own (markers of transactional producers), and
        only those are still there at the second look.
        """
        found: dict[int, list[Record]] = defaultdict(list)
        for record in records:
            if record.partition in next_offsets:
                found[record.partition].append(record)
        batch: dict[int, list[Record]] = {}
        read_again: list[int] = []
        for partition, read in found.items():
            kept = self._kept.pop(partition, [])
            expected = kept[-1].offset + 1 if kept else next_offsets[partition]
            fresh = [r for r in read if r.offset >= expected]
            if fresh and self._is_new_hole(partition, expected, fresh[0].offset):
                read_again.append(partition)
            elif fresh:
                batch[partition] = kept + fresh
            elif kept:
                self._kept[partition] = kept
        return Taken(batch, tuple(read_again))

    def keep(self, partition: int, records: Sequence[Record], next_offset: int) -> None:
        """Hold back what a turn left: those at or after ``next_offset`` come first in the next one."""
        if records[-1].offset >= next_offset:
            self._kept[partition] = [r for r in records if r.offset >= next_offset]

    def forget(self, partition: int) -> None:
        """The partition will be read again from its lease, or belongs to somebody else."""
        self._kept.pop(partition, None)

    def _is_new_hole(self, partition: int, expected: int, offset: int) -> bool:
        if offset == expected or self._hole.get(partition) == offset:
            self._hole.pop(partition, None)
            return False
        self._hole[partition] = offset
        return True
