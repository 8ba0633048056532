"""The benchmark of stream processors believes no figure of a runner that did other work than it had to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.normalizer_hot_path import records_of, rows_of
from benchmarks.processors.outputs import Expected, expected_of
from benchmarks.processors.work import order_work
from streams.normalizing.normalize import TYPE
from tierline.kit.records import Record
from tierline.kit.settings import Settings

SCHEMA_ID = 7
ACCOUNTS = 6
ORDERS = [
    replace(order, partition=0, offset=offset) for offset, order in enumerate(records_of("portal", ACCOUNTS))
]
SETTINGS = Settings()
EXPECTED: Expected = expected_of(ORDERS, SETTINGS, SCHEMA_ID, ACCOUNTS)


def commands() -> list[Record]:
    """What the quick way makes of the orders, as it is read from the topic."""
    work = order_work(SETTINGS, SCHEMA_ID, rows_of(ACCOUNTS))
    made = [work(o.partition, o.offset, o.timestamp_ms, o.value) for o in ORDERS]
    return [
        Record("commands", framed.partition, number, 0, framed.key, framed.value, ((TYPE, framed.type),))
        for number, framed in enumerate(made)
    ]


def test_the_commands_of_all_orders_are_accepted() -> None:
    """Also where the process wrote some after the position that it stored."""
    assert 0 == EXPECTED.look_at(commands(), {0: ACCOUNTS})
    assert 0 == EXPECTED.look_at(commands(), {0: 2})


def test_a_command_that_comes_again_is_counted() -> None:
    assert 2 == EXPECTED.look_at([*commands(), *commands()[:2]], {0: ACCOUNTS})


def other_bytes(made: list[Record]) -> None:
    made[1] = replace(made[1], value=(made[1].value or b"")[:-1] + b"\x02")


def other_key(made: list[Record]) -> None:
    made[1] = replace(made[1], key=b"acc_other")


def other_partition(made: list[Record]) -> None:
    made[1] = replace(made[1], partition=made[1].partition + 1)


def no_type(made: list[Record]) -> None:
    made[1] = replace(made[1], headers=())


def lost(made: list[Record]) -> None:
    del made[1]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (other_bytes, "differs"),
        (other_key, "differs"),
        (other_partition, "differs"),
        (no_type, "header"),
        (lost, "have no command"),
    ],
)
def test_other_work_is_refused(spoil: Callable[[list[Record]], None], complaint: str) -> None:
    made = commands()
    spoil(made)
    with pytest.raises(AssertionError, match=complaint):
        EXPECTED.look_at(made, {0: ACCOUNTS})


def test_an_order_that_overtakes_another_is_refused() -> None:
    """Two orders of one account, the later one first."""
    later = replace(ORDERS[0], offset=ACCOUNTS)
    expected = expected_of([*ORDERS, later], SETTINGS, SCHEMA_ID, ACCOUNTS)
    framed = order_work(SETTINGS, SCHEMA_ID, rows_of(ACCOUNTS))(0, ACCOUNTS, later.timestamp_ms, later.value)
    last = Record("commands", framed.partition, 9, 0, framed.key, framed.value, ((TYPE, framed.type),))
    assert 0 == expected.look_at([*commands(), last], {0: ACCOUNTS + 1})
    with pytest.raises(AssertionError, match="overtaken"):
        expected.look_at([last, *commands()], {0: ACCOUNTS + 1})
