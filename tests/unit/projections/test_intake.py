"""Nothing missing, changed or doubled gets past the intake, and only whole decisions do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from projections.intake import Intake, LogBroken, continues, take_in, take_in_blocks
from tests.support.event_log import EventLog, read_event
from tests.support.order_stories import opening, rejection, upgrade
from tierline.kit.leases import Progress
from tierline.kit.records import Record

START = Progress(next_offset=0)


def take(
    records: Sequence[Record], start: Progress = START, known: Mapping[int, bytes] | None = None
) -> Intake:
    """Take records in, with the hashes that the audit trail would know."""

    def hashes_at(positions: Collection[int]) -> Mapping[int, bytes]:
        return {p: link for p, link in (known or {}).items() if p in positions}

    return take_in(records, start, read_event, hashes_at)


@pytest.fixture
def log() -> EventLog:
    """A subscription and one upgrade: two decisions, nine events."""
    log = EventLog()
    opening(log)
    upgrade(log)
    return log


def with_header(record: Record, name: str, value: bytes) -> Record:
    """The record with one header changed."""
    return replace(record, headers=tuple((n, value if n == name else v) for n, v in record.headers))


def test_an_unbroken_log_is_taken_in_whole(log: EventLog) -> None:
    """Every event comes out, with its link of the chain, and the progress stands after the last."""
    intake = take(log.records)

    assert log.events == list(intake.events)
    assert Progress(9, 9, log.events[-1]["hash"]) == intake.progress


def test_a_stretch_continues_where_the_last_one_ended(log: EventLog) -> None:
    """Two stretches give what one gives."""
    first = take(log.records[:2])
    second = take(log.records[2:], first.progress)

    assert take(log.records).progress == second.progress
    assert log.events == [*first.events, *second.events]


@pytest.mark.parametrize("size", [1, 2, 4, 9, 50])
def test_blocks_give_what_one_stretch_gives(log: EventLog, size: int) -> None:
    """Whatever their size: a decision that lies across blocks comes out with its last event."""
    blocks = list(take_in_blocks(log.records, START, read_event, lambda _: {}, size))

    assert log.events == [event for block in blocks for event in block.events]
    assert take(log.records).progress == blocks[-1].progress


def test_records_continue_until_one_is_a_repeat(log: EventLog) -> None:
    """Wherever it stands, and whatever it repeats."""
    assert continues(log.records, START)
    assert continues(log.records[2:], take(log.records[:2]).progress)
    log.repeat([8])
    assert not continues(log.records, START)
    log.repeat([0])
    assert not continues(log.records, START)


@pytest.mark.parametrize("cut", range(3, 9))
def test_an_unfinished_decision_is_left_for_later(log: EventLog, cut: int) -> None:
    """Whatever the cut, the progress stays at the end of the first decision."""
    intake = take(log.records[:cut])

    assert 2 == len(intake.events)
    assert Progress(2, 2, log.events[1]["hash"]) == intake.progress


def test_a_repeat_inside_the_stretch_is_skipped(log: EventLog) -> None:
    """The same position with the same bytes counts once; the progress passes the repeat."""
    log.repeat([7, 8])

    intake = take(log.records)

    assert 9 == len(intake.events)
    assert 2 == intake.repeats
    assert 11 == intake.progress.next_offset


def test_a_repeat_of_what_was_read_before_is_compared_with_the_audit_trail(log: EventLog) -> None:
    """The first events again, after a whole turn: skipped because the known hashes agree."""
    before = take(log.records)
    log.repeat([0, 1])
    upgrade(log, order=2)

    intake = take(log.records[9:], before.progress, {e["position"]: e["hash"] for e in log.events})

    assert 2 == intake.repeats
    assert list(range(9, 16)) == [event["position"] for event in intake.events]


def test_repeats_in_the_middle_of_a_decision_do_not_tear_it() -> None:
    """A publisher that died half way sends the decision from its start again."""
    log = EventLog()
    opening(log)
    whole = EventLog()
    opening(whole)
    log.records = [log.records[0], *(replace(r, offset=r.offset + 1) for r in log.records)]

    assert whole.events == list(take(log.records).events)


@pytest.mark.parametrize("position", [0, 1])
def test_a_repeat_with_other_bytes_stops_the_partition(log: EventLog, position: int) -> None:
    """Two stories about one position: the log is broken."""
    other = EventLog()
    opening(other, number=2)
    log.records.append(replace(other.records[position], offset=9))

    with pytest.raises(LogBroken, match=f"position {position} comes again with other bytes"):
        take(log.records)


def test_a_repeat_with_another_hash_stops_the_partition(log: EventLog) -> None:
    """The bytes agree but the chain that they claim does not."""
    log.repeat([1])
    log.records[-1] = with_header(log.records[-1], "hash", bytes(32))

    with pytest.raises(LogBroken, match="offset 9: position 1 comes again"):
        take(log.records)


def test_a_repeat_that_claims_the_hash_of_other_bytes_stops_the_partition(log: EventLog) -> None:
    """A header proves nothing by itself."""
    log.repeat([1])
    log.records[-1] = replace(log.records[-1], value=log.records[2].value)

    with pytest.raises(LogBroken, match="position 1 comes again with other bytes"):
        take(log.records)


def test_a_repeat_that_nobody_remembers_stops_the_partition(log: EventLog) -> None:
    """Without the hash from then, nothing proves that it is a repeat."""
    start = Progress(9, 9, log.events[-1]["hash"])
    log.repeat([4])

    with pytest.raises(LogBroken, match="its hash is not known any more"):
        take(log.records[9:], start, {4: log.events[4]["hash"]})


def test_a_missing_position_stops_the_partition(log: EventLog) -> None:
    """A hole is named with what is due."""
    del log.records[4]

    with pytest.raises(LogBroken, match=r"oms.events.v1 partition 0 offset 5: position 5 where 4 is due"):
        take(log.records)


def test_changed_bytes_break_the_chain(log: EventLog) -> None:
    """One flipped bit in a value is found at its position."""
    value = log.records[3].value or b""
    log.records[3] = replace(log.records[3], value=value[:-1] + bytes([value[-1] ^ 1]))

    with pytest.raises(LogBroken, match="position 3 does not continue the hash chain"):
        take(log.records)


def test_a_rewritten_chain_is_found_at_its_first_link() -> None:
    """Other events with a chain of their own do not continue what was read."""
    log, other = EventLog(), EventLog()
    opening(log)
    opening(other, number=2)
    rejection(other, number=2)

    with pytest.raises(LogBroken, match="position 2 does not continue the hash chain"):
        take(other.records[2:], take(log.records).progress)


def test_an_event_of_another_partition_stops_the_partition() -> None:
    """Envelope and place must agree, however well the chain holds."""
    log = EventLog(partition=3)
    opening(log)
    moved = [replace(record, partition=0) for record in log.records]

    with pytest.raises(LogBroken, match="position 0 holds the event of partition 3, position 0"):
        take(moved)


@pytest.mark.parametrize("headers", [(), (("position", b"x"),)])
def test_a_record_without_a_position_stops_the_partition(log: EventLog, headers: Any) -> None:
    """Somebody else wrote to the topic."""
    log.records[2] = replace(log.records[2], headers=headers)

    with pytest.raises(LogBroken, match="no position in its headers"):
        take(log.records)


def test_a_torn_decision_stops_the_partition() -> None:
    """Indexes of a decision run from 0 to its count."""
    log = EventLog()
    log.decide(("AccountOpened", {}), decision_count=2)
    log.decide(("AccountOpened", {}))

    with pytest.raises(LogBroken, match="position 1: index 0 of a decision where 1 is due"):
        take(log.records)
