"""The decider on real servers: exactly-once effect whatever happens to its process, store or topic."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.topics import COMMANDS, EVENTS, ORDERS
from tests.support.order_values import an_opening, an_order, from_elsewhere
from tests.support.orders_bench import DEAD_COMMANDS, Claimed, OrdersBench, types_of
from tests.support.waiting import wait_for
from tierline.domain.commands import Command, ExternalRef
from tierline.kit.crash_points import CRASH_POINTS
from tierline.kit.partitioner import partition_of
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

DECIDER_CRASH_POINTS = sorted(p for p in CRASH_POINTS if p.startswith(("orders.", "worker.")))


@pytest.fixture
def bench(settings: Settings) -> OrdersBench:
    return OrdersBench(settings)


def opening(number: int, **changed: object) -> Command:
    """The opening of ``sub_<number>`` of ``acc_<number>``, with a reference of its own."""
    refs = (ExternalRef("partner", "main", f"PROD-{number}"),)
    return an_opening(
        account_id=f"acc_{number}",
        subscription_id=f"sub_{number}",
        offset=number,
        **{"external_refs": refs, **changed},
    )


def order(number: int, reference: str = "PO-1", **changed: object) -> Command:
    """An upgrade order of ``sub_<number>``."""
    return an_order(
        f"{reference}-{number}",
        account_id=f"acc_{number}",
        subscription_id=f"sub_{number}",
        **{"offset": number, **changed},  # type: ignore[arg-type]
    )


def test_commands_become_events_claims_and_context(bench: OrdersBench, tmp_path: Path) -> None:
    """Openings, orders, a redelivery and a duplicate: decided once each, published as they were stored."""
    numbers = range(40)
    again, elsewhere = order(3), from_elsewhere(order(4))
    bench.publish(*map(opening, numbers), *map(order, numbers), again, elsewhere)

    with bench.running(tmp_path):
        bench.wait_until_read()
        bench.assert_in_step()

    assert {"opened": 40, "completed": 40} == bench.outcomes()
    assert 1 == types_of(bench.stored()).count("DuplicateOrderIgnored")
    assert 3 * 40 == bench.query("SELECT count(*) FROM oms.external_ref")[0][0]
    assert [("acc_7", "sub_7")] == bench.query(
        "SELECT account_id, subscription_id FROM oms.external_ref WHERE ref = 'PROD-7'"
    )
    first = next(row for row in bench.stored() if row.type == "OrderReceived")
    event = bench.codec.read(first.value)
    assert (first.partition, first.position) == (event["partition"], event["position"])


def test_poison_is_dead_with_its_bytes_while_the_partition_keeps_moving(
    bench: OrdersBench, tmp_path: Path
) -> None:
    """Unreadable, misplaced and unknown commands become dead letters with class, code and origin."""
    good = bench.message(order(1))
    partition = good.partition
    assert partition is not None
    assert good.value is not None
    elsewhere = (partition + 1) % bench.partitions
    poison = {
        "BAD_MAGIC": replace(good, value=b"\x01" + good.value[1:]),
        "UNKNOWN_SCHEMA_ID": replace(good, value=b"\x00\x00\x98\x96\x7f" + good.value[5:]),
        "TRUNCATED": replace(good, value=good.value[:-3]),
        "NO_VALUE": replace(good, value=None),
        "MISSING_KEY": replace(good, key=None),
        "WRONG_PARTITION": replace(good, partition=elsewhere),
        "ACCOUNT_UNKNOWN": bench.message(order(99)),
    }
    stranger = replace(order(1, "PO-2"), account_id="acc_2")
    bench.publish(opening(1), opening(2), *poison.values(), bench.message(stranger), good)

    with bench.running(tmp_path):
        bench.wait_until_read()
        bench.assert_in_step()

    dead = {}
    for record in bench.records(DEAD_COMMANDS):
        headers = {name: value.decode() for name, value in record.headers}
        dead[headers["oms.dlq.code"]] = (record, headers)
    assert {*poison, "SUBSCRIPTION_UNKNOWN"} == set(dead)
    for code, message in poison.items():
        record, headers = dead[code]
        assert (message.key, message.value, message.partition) == (record.key, record.value, record.partition)
        assert COMMANDS.name == headers["__dlq.errors.topic"]
    origin = {name: dead["SUBSCRIPTION_UNKNOWN"][1][f"oms.dlq.origin.{name}"] for name in ("topic", "offset")}
    assert {"topic": "orders.portal.v1", "offset": "1"} == origin
    assert "unknown_account" == dead["SUBSCRIPTION_UNKNOWN"][1]["oms.dlq.class"]
    assert len(dead) == bench.query("SELECT count(*) FROM deadletter.verdict")[0][0]
    assert [Claimed("completed", ())] == bench.claims(order(1))
    answered = {record.key for record in bench.records("orders.portal.replies.v1")}
    assert {b"PO-1-99", b"PO-2-1"} <= answered


def test_a_crash_between_any_two_steps_changes_nothing(bench: OrdersBench, tmp_path: Path) -> None:
    """Killed at each named place in turn with commands in flight, every command is decided once."""
    sent: list[Command] = []
    with bench.unkept(tmp_path, "orders") as decider:
        for number, point in enumerate(DECIDER_CRASH_POINTS):
            account = 10 * number
            poison = replace(bench.message(order(account)), key=None)
            new = [opening(account + i) for i in range(3)] + [order(account + i) for i in range(3)]
            bench.publish(*new, poison)
            sent += new
            decider.start(environment={"TIERLINE_CRASH_POINT": point})
            wait_for(lambda: not decider.is_running(), f"the crash at {point}")
        decider.start()
        bench.wait_until_read()
        bench.assert_in_step()

    assert {"opened": len(sent) // 2, "completed": len(sent) // 2} == bench.outcomes()
    letters = Counter(
        (r.header("__dlq.errors.partition"), r.header("__dlq.errors.offset"))
        for r in bench.records(DEAD_COMMANDS)
    )
    assert len(DECIDER_CRASH_POINTS) == len(letters)


def test_a_frozen_decider_that_wakes_up_changes_nothing(bench: OrdersBench, tmp_path: Path) -> None:
    """Stopped past its session timeout, succeeded, then continued: the guard keeps it from writing."""
    numbers = range(10)
    with bench.running(tmp_path / "first") as first:
        bench.publish(*map(opening, numbers))
        bench.wait_until_read()
        pid = first["orders"].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        bench.publish(*map(order, numbers))
        with bench.running(tmp_path / "second"):
            bench.wait_until_read()
            os.kill(pid, signal.SIGCONT)
            bench.publish(
                *(order(n, "PO-2", plan="business-year", seats=30, offset=100 + n) for n in numbers)
            )
            bench.wait_until_read()
            bench.assert_in_step()

    assert {"opened": 10, "completed": 20} == bench.outcomes()


def test_two_deciders_share_the_partitions(bench: OrdersBench, tmp_path: Path) -> None:
    """A second process joins and leaves while commands flow; nobody decides what the other has."""
    with bench.running(tmp_path / "first"):
        bench.publish(*(opening(n) for n in range(30)))
        with bench.running(tmp_path / "second"):
            bench.publish(*(order(n) for n in range(30)))
            bench.wait_until_read()
        bench.publish(*(order(n, "PO-2", seats=30, offset=100 + n) for n in range(30)))
        bench.wait_until_read()
        bench.assert_in_step()

    assert {"opened": 30, "completed": 60} == bench.outcomes()


def test_a_database_that_went_back_in_time_stays_closed(bench: OrdersBench, tmp_path: Path) -> None:
    """The topic has events that the store lost: that partition stays closed and pages, others go on."""
    numbers = range(12)
    with bench.running(tmp_path / "before"):
        bench.publish(*map(opening, numbers))
        bench.wait_until_read()
        bench.assert_in_step()
    lost = partition_of("acc_0", bench.partitions)
    bench.execute("DELETE FROM oms.event WHERE partition = %s AND position > 0", lost)
    bench.execute("DELETE FROM oms.snapshot")
    bench.execute(
        "UPDATE oms.lease SET next_position = 1, published_offset = 0, chain_hash ="
        " (SELECT hash FROM oms.event WHERE partition = %s AND position = 0) WHERE partition = %s",
        lost,
        lost,
    )
    bench.publish(*map(order, numbers))
    log = tmp_path / "after" / "orders.log"

    with bench.running(tmp_path / "after"):
        others = [n for n in numbers if partition_of(f"acc_{n}", bench.partitions) != lost]
        wait_for(lambda: bench.outcomes()["completed"] == len(others), "the other partitions")
        wait_for(lambda: "partition_closed" in log.read_text(), "the page")

    assert f'"partition": {lost}' in next(
        line for line in log.read_text().splitlines() if "partition_closed" in line
    )
    stored = Counter(row.partition for row in bench.stored())
    assert 1 == stored[lost]


def test_dropping_every_snapshot_changes_no_decision(bench: OrdersBench, tmp_path: Path) -> None:
    """States folded anew from the stored bytes lead to the same events as states kept in memory."""
    rounds = [[order(n, f"PO-{r}", seats=15 + r, offset=10 * r + n) for n in range(3)] for r in range(1, 5)]
    with bench.running(tmp_path) as workers:
        bench.publish(*(opening(n) for n in range(3)))
        for sent in rounds:
            bench.publish(*sent)
            bench.wait_until_read()
            workers["orders"].kill9()
            bench.execute("DELETE FROM oms.snapshot")
            workers["orders"].start()
        bench.wait_until_read()
        bench.assert_in_step()

    assert {"opened": 3, "completed": 12} == bench.outcomes()


def test_a_reference_that_another_partition_takes_first_is_decided_again(
    bench: OrdersBench, tmp_path: Path
) -> None:
    """Two accounts in different partitions want one reference, decided by two processes: one gets it."""
    ref = (ExternalRef("partner", "main", "PROD-X"),)
    rivals = [opening(n, external_refs=ref) for n in range(20)]
    with bench.running(tmp_path / "first"), bench.running(tmp_path / "second"):
        bench.publish(*rivals)
        bench.wait_until_read()
        bench.assert_in_step()

    assert {"opened": 1, "rejected": 19} == bench.outcomes()
    assert {("EXTERNAL_REF_TAKEN",)} == {c.reasons for c in bench.claims(*rivals) if c.outcome == "rejected"}


def test_what_was_stored_and_not_published_is_published_by_the_next(
    bench: OrdersBench, tmp_path: Path
) -> None:
    """Killed right after a commit, the next holder compares topic and store and sends the rest."""
    with bench.running(tmp_path, TIERLINE_CRASH_POINT="worker.after_commit") as workers:
        bench.publish(opening(1))
        wait_for(lambda: workers["orders"].restarts > 0, "the crash")
        workers["orders"].kill9()
        assert {"opened": 1} == bench.outcomes()
        assert [] == bench.records(EVENTS.name)

        workers["orders"].start(environment={"TIERLINE_CRASH_POINT": ""})
        bench.assert_in_step()

    assert ORDERS in {row[0] for row in bench.query("SELECT consumer FROM oms.lease")}
