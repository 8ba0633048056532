"""Readers with effects prove that nothing is missing, changed or doubled before they act."""

from __future__ import annotations

from uuid import UUID

import pytest

from schemas.topics import EVENTS
from streams.deciding.recording import chained
from streams.event_following import EventsBroken, follow, type_of
from tierline.kit.leases import Lease, Progress
from tierline.kit.records import Record

VALUES = [b"zero", b"one", b"two", b"three"]
LINKS: list[bytes] = []
for _value in VALUES:
    LINKS.append(chained(LINKS[-1] if LINKS else bytes(32), _value))


def record(position: int, offset: int, value: bytes | None = None, link: bytes | None = None) -> Record:
    headers = (
        ("type", b"OrderReceived"),
        ("position", str(position).encode()),
        ("hash", link or LINKS[position]),
    )
    return Record(EVENTS.name, 0, offset, 0, b"acc", value or VALUES[position], headers)


def lease(next_position: int) -> Lease:
    link = LINKS[next_position - 1] if next_position else bytes(32)
    return Lease("c", EVENTS.name, 0, 1, UUID(int=0), next_position, next_position, link)


def stored(position: int) -> bytes | None:
    return LINKS[position]


def test_new_events_are_followed_in_order() -> None:
    """Each one says where a reader stands after it."""
    fresh, progress = follow([record(1, 11), record(2, 12)], lease(1), stored)

    assert [Progress(12, 2, LINKS[1]), Progress(13, 3, LINKS[2])] == [one.progress for one in fresh]
    assert Progress(13, 3, LINKS[2]) == progress
    assert "OrderReceived" == type_of(fresh[0].record)


def test_repeats_are_passed_over_and_the_offset_moves_on() -> None:
    """The same position with the same bytes has no second effect, within a batch or long after."""
    fresh, progress = follow([record(2, 20), record(0, 21), record(2, 22), record(3, 23)], lease(2), stored)

    assert [20, 23] == [one.record.offset for one in fresh]
    assert Progress(24, 4, LINKS[3]) == progress


def test_only_repeats_move_the_offset_alone() -> None:
    """A former holder that publishes again what everybody has read changes nothing else."""
    assert ([], Progress(31, 3, LINKS[2])) == follow([record(1, 30)], lease(3), stored)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (record(2, 12), "position 2 where 1 is due"),
        (record(1, 12, value=b"other"), "position 1 does not continue the hash chain"),
        (record(1, 12, link=b"x" * 32), "position 1 does not continue the hash chain"),
        (record(0, 12, value=b"other"), "position 0 comes again with other bytes"),
        (record(0, 12, link=b"x" * 32), "position 0 comes again with other bytes"),
        (Record(EVENTS.name, 0, 12, 0, None, b"v"), "not an event of ours"),
    ],
)
def test_whatever_does_not_continue_the_chain_stops_the_reader(broken: Record, what: str) -> None:
    """A gap, changed bytes, a changed hash, a changed repeat or a foreign record."""
    with pytest.raises(EventsBroken, match=what):
        follow([broken], lease(1), stored)


def test_a_repeat_that_the_store_does_not_have_stops_the_reader() -> None:
    """Nobody can say any more whether it is the same."""
    with pytest.raises(EventsBroken, match="the store does not hold it"):
        follow([record(0, 12)], lease(1), lambda _: None)
