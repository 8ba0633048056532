"""Reading ``oms.events.v1`` for its effects: nothing missing, nothing changed, nothing twice.

Positions are contiguous and every hash covers the one before, so a reader proves completeness as it goes. A
*repeat* (an earlier position with the bytes that the store has) is passed over; anything else that does not
continue the chain stops the partition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streams.deciding.recording import chained
from tierline.kit.leases import Lease, Progress
from tierline.kit.records import Record

HashAt = Callable[[int], bytes | None]


class EventsBroken(Exception):
    """Records of a partition of ``oms.events.v1`` do not continue what was read before.

    The partition stops and nothing is skipped. ``tierline verify`` names the first difference between topic
    and store; ``oms.event`` holds the bytes that were decided.
    """

    def __init__(self, record: Record, what: str) -> None:
        super().__init__(f"{record.topic} partition {record.partition} offset {record.offset}: {what}")


@dataclass(frozen=True, slots=True)
class Followed:
    """A record whose event is new, and where the reader stands after it."""

    record: Record
    progress: Progress


def type_of(record: Record) -> str:
    """The type of the event, from the headers."""
    return (record.header("type") or b"").decode()


def follow(records: Sequence[Record], lease: Lease, hash_at: HashAt) -> tuple[list[Followed], Progress]:
    """The new events of ``records``, which continue at ``lease``, and where the reader stands after all.

    ``hash_at`` gives the stored hash at a position of the partition; it is asked for repeats only. Raises
    EventsBroken.
    """
    position, link = lease.next_position, lease.chain_hash
    fresh: list[Followed] = []
    for record in records:
        found = _position(record)
        if found > position:
            raise EventsBroken(record, f"position {found} where {position} is due: events are missing")
        if found < position:
            _check_repeat(record, found, hash_at)
            continue
        link = chained(link, record.value or b"")
        if record.header("hash") != link:
            raise EventsBroken(record, f"position {position} does not continue the hash chain")
        position += 1
        fresh.append(Followed(record, Progress(record.offset + 1, position, link)))
    return fresh, Progress(records[-1].offset + 1, position, link)


def _position(record: Record) -> int:
    try:
        return int(record.header("position") or b"")
    except ValueError:
        raise EventsBroken(record, "no position in its headers: not an event of ours") from None


def _check_repeat(record: Record, position: int, hash_at: HashAt) -> None:
    before = hash_at(position - 1) if position else bytes(32)
    then = hash_at(position)
    if before is None or then is None:
        raise EventsBroken(record, f"position {position} comes again, but the store does not hold it")
    if chained(before, record.value or b"") != then or record.header("hash") != then:
        raise EventsBroken(record, f"position {position} comes again with other bytes or another hash")
