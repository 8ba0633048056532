"""What every lease store promises: one owner at a time, moves that start where the row stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest

from tierline.kit import leases as database_leases
from tierline.kit.database import connect
from tierline.kit.leases import GENESIS, Lease, LeaseLost, Progress
from tierline.kit.memory_leases import MemoryLeases, MemorySession

CONSUMER, TOPIC = "tierline-test", "oms.commands.v1"


class Store:
    """A lease store with its sessions; ``take`` and ``move`` commit."""

    def __init__(self, leases: MemoryLeases | ModuleType, open_session: Callable[[], Any]) -> None:
        self.leases = leases
        self.open_session = open_session
        self.session = open_session()

    def take(self, partition: int = 0, log_start: int = 0) -> Lease:
        lease: Lease = self.leases.acquire(self.session, CONSUMER, TOPIC, partition, log_start)
        self.session.commit()
        return lease

    def move(self, held: dict[int, Lease], moves: dict[int, Progress]) -> dict[int, Lease]:
        try:
            moved: dict[int, Lease] = self.leases.advance(self.session, held, moves)
        except LeaseLost:
            self.session.rollback()
            raise
        self.session.commit()
        return moved


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each lease store there is."""
    if request.param == "memory":
        yield Store(MemoryLeases(), MemorySession)
        return
    settings = request.getfixturevalue("settings")
    store = Store(database_leases, partial(connect, settings.database_url, "test"))
    yield store
    store.session.close()


def test_a_first_lease_starts_at_the_start_of_the_log(store: Store) -> None:
    """Nothing was read, nothing decided, nothing published."""
    lease = store.take(partition=3, log_start=17)

    assert Lease(CONSUMER, TOPIC, 3, 1, lease.owner, 17, 0, GENESIS, 0) == lease


def test_taking_a_lease_again_keeps_where_it_stands(store: Store) -> None:
    """Another owner, the next epoch, the same position."""
    first = store.take()
    progress = Progress(5, 9, b"h" * 32, 4)
    moved = store.move({0: first}, {0: progress})[0]

    second = store.take(log_start=99)

    assert (2, 5, 9, b"h" * 32, 4) == (
        second.epoch,
        second.next_offset,
        second.next_position,
        second.chain_hash,
        second.published_offset,
    )
    assert second.owner != first.owner
    assert replace(moved, epoch=2, owner=second.owner) == second


def test_a_former_owner_moves_nothing(store: Store) -> None:
    """Who took the lease last is the only one who can commit."""
    former = store.take()
    current = store.take()

    with pytest.raises(LeaseLost):
        store.move({0: former}, {0: Progress(1)})
    assert 1 == store.move({0: current}, {0: Progress(1)})[0].next_offset


def test_a_lease_is_held_until_somebody_takes_it(store: Store) -> None:
    """However far its holder moves it."""
    former = store.take()
    assert store.leases.is_held(store.session, former)
    moved = store.move({0: former}, {0: Progress(5)})[0]
    assert store.leases.is_held(store.session, moved)

    current = store.take()

    assert not store.leases.is_held(store.session, moved)
    assert store.leases.is_held(store.session, current)


@pytest.mark.parametrize(
    "forged",
    [
        lambda lease: replace(lease, epoch=lease.epoch + 1),
        lambda lease: replace(lease, owner=uuid4()),
        lambda lease: replace(lease, next_offset=lease.next_offset + 1),
        lambda lease: replace(lease, partition=1),
        lambda lease: replace(lease, consumer="another"),
    ],
)
def test_epoch_owner_and_expected_offset_are_all_guarded(
    store: Store, forged: Callable[[Lease], Lease]
) -> None:
    """A row that is not as its owner left it is not moved."""
    wrong = forged(store.take())

    with pytest.raises(LeaseLost):
        store.move({wrong.partition: wrong}, {wrong.partition: Progress(10)})


def test_one_lost_lease_moves_none(store: Store) -> None:
    """The leases of a turn move together or not at all."""
    held = {0: store.take(0), 1: store.take(1)}
    store.take(1)

    with pytest.raises(LeaseLost):
        store.move(held, {0: Progress(1), 1: Progress(1)})
    assert 0 == store.take(0).next_offset


def test_what_was_published_stays_when_a_turn_says_nothing_about_it(store: Store) -> None:
    """Consumers that publish nothing need not carry the offset around."""
    held = store.move({0: store.take()}, {0: Progress(1, published_offset=7)})

    assert 7 == store.move(held, {0: Progress(2)})[0].published_offset


def test_no_moves_are_no_moves(store: Store) -> None:
    """A turn in which every partition waits for more commits nothing."""
    assert {} == store.move({0: store.take()}, {})


def test_a_move_that_is_not_committed_did_not_happen(store: Store) -> None:
    """The guard and the work share one transaction."""
    held = {0: store.take()}
    store.leases.advance(store.session, held, {0: Progress(5)})
    store.session.rollback()

    assert 0 == store.take().next_offset
