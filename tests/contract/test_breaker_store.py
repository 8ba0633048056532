"""What the tables of the breakers promise, on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from deadletter.breaker import BreakerState, Lane, Snapshot
from deadletter.breaker_desk import ask, read_asked, read_breakers
from deadletter.breaker_store import (
    ActionOutcome,
    Head,
    StoredBreaker,
    Verb,
    asked_of,
    load_breakers,
    mark_taken,
    save_breakers,
)
from deadletter.breaker_window import Cause, DeadRecord
from tierline.kit.database import Connection, connect
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

CONSUMER, TOPIC = "tierline-test", "orders.portal.v1"
ENTRIES = ("main", DeadRecord(2**64 - 1, "other", spread=True), DeadRecord(0, "?", spread=False, heals=True))
OPEN = Snapshot(
    state=BreakerState.OPEN,
    since=1_700_000_000_123,
    app_version="0.4.1",
    seen_to=17,
    episode=3,
    cause=Cause.RATIO,
    lane=Lane.HOLDS,
    probes=1,
    tries=2,
    alone=3,
    passes=4,
    good=5,
    next_probe_at=1_700_000_000_999,
    entries=ENTRIES,
)
HEAD = Head(17, "contract", "MISSING_FIELD", "target.plan")


def stored(partition: int, snapshot: Snapshot = OPEN, head: Head | None = HEAD) -> StoredBreaker:
    """A breaker of the portal."""
    return StoredBreaker(TOPIC, partition, "portal", snapshot, head)


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """A session on empty tables."""
    with connect(settings.database_url, "test") as connection:
        yield connection


def test_a_breaker_comes_back_as_it_was_stored(connection: Connection) -> None:
    """Every number, instant and entry; only of the places that are asked for."""
    closed = Snapshot(BreakerState.CLOSED, 1_700_000_000_000, "0.4.1")
    save_breakers(connection, CONSUMER, [stored(0), stored(1, closed, None), stored(2)])
    found = load_breakers(connection, CONSUMER, [(TOPIC, 0), (TOPIC, 1), (TOPIC, 9)])
    assert [stored(0), stored(1, closed, None)] == sorted(found, key=lambda kept: kept.partition)
    assert [] == load_breakers(connection, "another", [(TOPIC, 0)])


def test_the_last_write_counts(connection: Connection) -> None:
    """One row for each place."""
    save_breakers(connection, CONSUMER, [stored(0)])
    later = replace(OPEN, state=BreakerState.WAITING, seen_to=18, entries=())
    save_breakers(connection, CONSUMER, [stored(0, later, None)])
    assert [stored(0, later, None)] == load_breakers(connection, CONSUMER, [(TOPIC, 0)])


def test_people_see_what_is_not_closed(connection: Connection) -> None:
    """With counts of the window; closed ones only when they ask."""
    closed = replace(OPEN, state=BreakerState.CLOSED)
    save_breakers(connection, CONSUMER, [stored(0), stored(1, closed, None)])
    [shown] = read_breakers(connection)
    assert (0, "open", 3, 2, 2, 17) == (
        shown.partition,
        shown.state,
        shown.seen,
        shown.dead,
        shown.consecutive,
        shown.head_offset,
    )
    assert [0, 1] == [view.partition for view in read_breakers(connection, closed_too=True)]


def test_what_is_asked_is_taken_once(connection: Connection) -> None:
    """By the holder of the place; who asked, why and what became of it stay."""
    save_breakers(connection, CONSUMER, [stored(0), stored(1)])
    ids = ask(connection, read_breakers(connection), Verb.PASS, count=5, actor="ada", reason="INC-1")
    assert [1, 1] == [view.asked for view in read_breakers(connection)]

    [action] = asked_of(connection, CONSUMER, [(TOPIC, 0)])
    assert (0, 3, Verb.PASS, 5, "ada", "INC-1") == (
        action.partition,
        action.episode,
        action.verb,
        action.count,
        action.actor,
        action.reason,
    )
    mark_taken(connection, [(action, ActionOutcome.DONE)])

    assert [] == asked_of(connection, CONSUMER, [(TOPIC, 0)])
    assert ["done", None] == [asked.outcome for asked in read_asked(connection, ids)]
    assert [0, 1] == [view.asked for view in read_breakers(connection)]
