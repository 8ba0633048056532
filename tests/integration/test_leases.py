"""Leases under two sessions of PostgreSQL: a frozen owner neither blocks nor survives its successor."""

from __future__ import annotations

import threading

import psycopg
import pytest

from tierline.kit import leases
from tierline.kit.database import connect, is_outage
from tierline.kit.leases import LeaseLost, Progress
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

CONSUMER, TOPIC = "tierline-test", "oms.commands.v1"


def test_an_owner_frozen_in_its_transaction_is_ended_by_the_server(settings: Settings) -> None:
    """The successor waits for the frozen transaction at most until the server ends it, then goes on."""
    with connect(settings.database_url, "frozen") as frozen, connect(settings.database_url, "next") as next_:
        held = leases.acquire(frozen, CONSUMER, TOPIC, 0, 0)
        frozen.commit()
        leases.advance(frozen, {0: held}, {0: Progress(5)})

        taken = leases.acquire(next_, CONSUMER, TOPIC, 0, 0)
        next_.commit()

        assert (2, 0) == (taken.epoch, taken.next_offset)
        with pytest.raises(psycopg.Error) as ended:
            frozen.commit()
        assert is_outage(ended.value, frozen)


def test_of_two_owners_that_commit_at_once_one_wins(settings: Settings) -> None:
    """The move of a former owner finds no row, however closely it follows."""
    with connect(settings.database_url, "former") as former, connect(settings.database_url, "new") as new:
        stale = leases.acquire(former, CONSUMER, TOPIC, 0, 0)
        former.commit()
        fresh = leases.acquire(new, CONSUMER, TOPIC, 0, 0)
        new.commit()
        lost: list[LeaseLost] = []

        def late() -> None:
            try:
                leases.advance(former, {0: stale}, {0: Progress(1)})
            except LeaseLost as error:
                lost.append(error)
            former.rollback()

        thread = threading.Thread(target=late)
        leases.advance(new, {0: fresh}, {0: Progress(2)})
        thread.start()
        new.commit()
        thread.join()

        assert 1 == len(lost)
        assert 2 == leases.acquire(new, CONSUMER, TOPIC, 0, 0).next_offset
        new.rollback()


def test_leases_of_several_topics_move_in_one_statement(settings: Settings) -> None:
    """Each goes to its own offset; one that was taken by another process keeps all of them."""
    places = [
        (topic, partition) for topic in ("orders.portal.v1", "orders.partner.v1") for partition in (0, 1)
    ]
    with connect(settings.database_url, "former") as former, connect(settings.database_url, "new") as new:
        held = {place: leases.acquire(former, CONSUMER, *place, 0) for place in places}
        former.commit()
        held = leases.advance(former, held, {place: Progress(5 + n) for n, place in enumerate(places)})
        former.commit()
        taken = {place: leases.acquire(new, CONSUMER, *place, 0) for place in places[2:3]}
        new.commit()

        with pytest.raises(LeaseLost, match=r"1 of 4 leases on orders\.partner\.v1, orders\.portal\.v1"):
            leases.advance(former, held, {place: Progress(9) for place in places})
        former.rollback()
        assert [7] == [lease.next_offset for lease in taken.values()]
        assert [5, 6, 7, 8] == [leases.acquire(new, CONSUMER, *place, 0).next_offset for place in places]
        new.rollback()
