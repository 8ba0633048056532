"""Held records in PostgreSQL: byte for byte, in order, and only by whoever has the lease."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from deadletter.held import Attempt, HeldRecord, HoldChanges, HoldKey, SkippedRow
from deadletter.hold_store import hold_id, open_requests
from schemas.topics import NORMALIZER
from streams.normalizing.intake_store import IntakeStore, Taken
from tierline.domain.outcome import Dead, DeadLetterClass, SkipReason
from tierline.kit.database import connect
from tierline.kit.leases import LeaseLost
from tierline.kit.records import Record
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

PORTAL = "orders.portal.v1"
CAUSE = Dead(DeadLetterClass.UNKNOWN_ACCOUNT, "UNKNOWN_REFERENCE", "subscription_id", "Nobody knows it.")
NOW_MS = 1_700_000_000_123


def held(
    offset: int, key: bytes | str = b"k", value: bytes | None = b"bytes", partition: int = 0
) -> HeldRecord:
    """A record that waits for sub_9."""
    own = key if isinstance(key, bytes) else None
    headers = (("source", b"\x00\xff"), ("source", b"twice"))
    return HeldRecord(
        record=Record(PORTAL, partition, offset, NOW_MS - 7, own, value, headers),
        hold_key=(PORTAL, partition, key),
        channel="portal",
        source="main",
        reference="r-1",
        intents=(0, 2),
        intent_count=3,
        cause=CAUSE,
        waits_for=("sub_9",),
        held_at=NOW_MS,
        next_attempt_at=NOW_MS + 30_000,
        decide_by=NOW_MS + 8_000 if offset == 1 else None,
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[IntakeStore]:
    """A store that has the leases of partitions 0 and 1."""
    store = new_store(settings)
    take(store)
    yield store
    store.close()


@pytest.fixture
def successor(settings: Settings) -> Iterator[IntakeStore]:
    """Another process, which has taken nothing yet."""
    successor = new_store(settings)
    yield successor
    successor.close()


def new_store(settings: Settings) -> IntakeStore:
    return IntakeStore(NORMALIZER, partial(connect, settings.database_url, "test"))


def take(store: IntakeStore) -> Taken:
    return store.take({(PORTAL, partition): 0 for partition in (0, 1)})


def keys_stored(settings: Settings) -> int:
    with connect(settings.database_url, "test") as connection:
        return len(connection.execute("SELECT FROM deadletter.key_hold").fetchall())


def test_a_held_record_comes_back_byte_for_byte(store: IntakeStore) -> None:
    """Null and binary keys and values, doubled headers, instants to the millisecond, references as keys."""
    records = [
        held(1, b"\x00\xfe"),
        held(2, "sub_9", value=None),
        held(3, "lone \ud800 half", value=b""),
        held(4, b"", value=b"\x00" * 3),
    ]
    store.save({(PORTAL, 0): 5}, HoldChanges(held=records))

    assert records == store.wave({record.hold_key: -1 for record in records})


def test_position_and_hold_are_one_transaction(store: IntakeStore, successor: IntakeStore) -> None:
    """Where the lease is gone neither is written."""
    take(successor)

    with pytest.raises(LeaseLost):
        store.save({(PORTAL, 0): 5}, HoldChanges(held=[held(1)]))
    taken = take(successor)
    assert ({(PORTAL, 0): 0, (PORTAL, 1): 0}, []) == (taken.positions, taken.holds)


@pytest.mark.parametrize(
    "step", ["hold", "remove", "attempt", "skip", "park", "tell", "wave", "begin", "look up"]
)
def test_a_stale_worker_changes_nothing_and_learns_nothing(
    store: IntakeStore, successor: IntakeStore, step: str
) -> None:
    """Every write, and every look-up that something is sent for, checks the lease."""
    store.save({}, HoldChanges(held=[held(1)]))
    before = take(successor)
    key: HoldKey = (PORTAL, 0, b"k")
    place = (PORTAL, 0, 1)
    attempt, skipped = Attempt(place, 1, NOW_MS), SkippedRow(place, 0, 1, SkipReason.DISCARDED, "")
    steps: dict[str, Callable[[], object]] = {
        "hold": lambda: store.save({}, HoldChanges(held=[held(2)])),
        "remove": lambda: store.save({}, HoldChanges(removed=[place])),
        "attempt": lambda: store.save({}, HoldChanges(attempts=[attempt])),
        "skip": lambda: store.save({}, HoldChanges(skipped=[skipped])),
        "park": lambda: store.save({}, HoldChanges(parked={key: 0})),
        "tell": lambda: store.save({}, HoldChanges(told=[place])),
        "wave": lambda: store.wave({key: -1}),
        "begin": lambda: store.begin([place]),
        "look up": lambda: store.look_up([("portal", "main", "sub_9")]),
    }

    with pytest.raises(LeaseLost):
        steps[step]()
    after = take(successor)
    assert (before.holds, before.untold, before.skipped_again) == (
        after.holds,
        after.untold,
        after.skipped_again,
    )


def test_writing_the_same_again_changes_nothing(store: IntakeStore, settings: Settings) -> None:
    """A commit whose answer never came is repeated."""
    changes = HoldChanges(
        held=[held(1), held(2)], skipped=[SkippedRow((PORTAL, 0, 7), 0, 1, SkipReason.DISCARDED, "")]
    )
    store.save({(PORTAL, 0): 3}, changes)
    store.save({(PORTAL, 0): 3}, changes)
    store.save({}, HoldChanges(removed=[(PORTAL, 0, 1), (PORTAL, 0, 2)]))
    store.save({}, HoldChanges(removed=[(PORTAL, 0, 1), (PORTAL, 0, 2)]))

    assert 0 == keys_stored(settings)


def test_whoever_takes_over_finds_keys_heads_and_who_is_not_told(
    store: IntakeStore, successor: IntakeStore
) -> None:
    """The head is the lowest offset; parked and begun ones say so; positions that lag show what is held."""
    store.save(
        {(PORTAL, 0): 2},
        HoldChanges(
            held=[held(3), held(1), held(2, b"other"), held(5, "sub_9", partition=1)], told=[(PORTAL, 0, 2)]
        ),
    )
    store.save({}, HoldChanges(parked={(PORTAL, 0, b"other"): 0}, told=[(PORTAL, 0, 2)]))
    store.begin([(PORTAL, 1, 5)])

    taken = take(successor)
    found = {
        hold.key[2]: (hold.parked, hold.records, hold.head and hold.head.record.offset, hold.begun)
        for hold in taken.holds
    }
    assert {b"k": (False, 2, 1, False), b"other": (True, 1, 2, False), "sub_9": (False, 1, 5, True)} == found
    assert {1, 3, 5} == {record.record.offset for record in taken.untold}
    assert {(PORTAL, 0, 2), (PORTAL, 0, 3), (PORTAL, 1, 5)} == taken.held_again


def test_a_wave_takes_what_has_room_in_order_and_one_that_is_larger_alone(store: IntakeStore) -> None:
    """Memory stays bounded; nothing is passed over."""
    large = b"x" * (5 * 1024 * 1024)
    store.save(
        {}, HoldChanges(held=[held(1, value=large), held(2, b"other"), *(held(n) for n in range(3, 6))])
    )
    keys: dict[HoldKey, int] = {(PORTAL, 0, b"k"): -1, (PORTAL, 0, b"other"): -1}

    assert [1] == [record.record.offset for record in store.wave(keys)]
    keys[PORTAL, 0, b"k"] = 1
    assert [3, 4, 5, 2] == [record.record.offset for record in store.wave(keys)]


def test_attempts_are_stored_and_a_discarded_record_says_so(store: IntakeStore) -> None:
    """Until the channel is told it stays, and nobody may send it. An intent that asks nothing is not that."""
    store.save({}, HoldChanges(held=[held(1), held(2)]))
    store.save({}, HoldChanges(attempts=[Attempt((PORTAL, 0, 1), 2, NOW_MS + 5)]))
    store.save({}, HoldChanges(skipped=[SkippedRow((PORTAL, 0, 2), 0, 3, SkipReason.DISCARDED, "INC-1")]))

    nothing = SkippedRow((PORTAL, 0, 1), 2, 3, SkipReason.ACTION_ASKS_NOTHING, "action Subscribe")
    store.save({}, HoldChanges(skipped=[nothing]))

    first, second = store.wave({(PORTAL, 0, b"k"): -1})
    assert replace(held(1), attempts=2, next_attempt_at=NOW_MS + 5) == first
    assert (False, True) == (first.discarded, second.discarded)


def test_requests_are_seen_by_whoever_has_the_partition_until_they_are_done(
    store: IntakeStore, settings: Settings
) -> None:
    """Also where the hold has gone meanwhile."""
    store.save({}, HoldChanges(held=[held(1)]))
    key: HoldKey = (PORTAL, 0, b"k")
    request = "11111111-1111-4111-8111-111111111111"
    with connect(settings.database_url, "test") as connection:
        connection.execute(
            "INSERT INTO deadletter.hold_request"
            " (request_id, hold_id, consumer, topic, partition, action, reason, requested_by)"
            " VALUES (%s, %s, %s, %s, 0, 'release', 'INC-1', 'ana')",
            (request, hold_id(NORMALIZER, key), NORMALIZER, PORTAL),
        )
        connection.commit()
        [found] = store.requests()
        assert (request, key, "release", "INC-1") == (found.id, found.key, found.action, found.reason)
        assert [] == open_requests(connection, NORMALIZER, [(PORTAL, 1)])
        connection.rollback()
        store.save({}, HoldChanges(removed=[(PORTAL, 0, 1)]))
        [found] = store.requests()
        assert None is found.key
        store.save({}, HoldChanges(done=[(request, "gone")]))
        assert [] == store.requests()
