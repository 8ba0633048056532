"""The batch transport on a real broker whose group, log or network is having a bad day.

The worker is the relay of ``tests.support``: our transport, positions and way out, and copying as its work.
Every record must come out, in order of first appearance, whatever came twice.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.link import Link
from tests.support.pipeline import quickly_rebalancing
from tests.support.relay import Relay, position
from tests.support.waiting import wait_for
from tests.support.wire import COPIES, SOURCE, Wire, numbered
from tierline.kit.errors import PositionOutsideLog
from tierline.kit.records import Record
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

PARTITIONS = range(4)
MANY = numbered(range(200))


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """Settings under which a member that goes is missed soon."""
    return quickly_rebalancing(settings)


@pytest.fixture
def wire(quick: Settings) -> Wire:
    """Both topics with four partitions, empty."""
    wire = Wire(quick.kafka)
    for topic in (SOURCE, COPIES):
        wire.create(topic, len(PARTITIONS))
    return wire


def publish_to_all(wire: Wire, *values: bytes) -> None:
    """The same values to each partition."""
    for partition in PARTITIONS:
        wire.publish(*values, partition=partition)


def wait_until_all_safe(settings: Settings, wire: Wire) -> None:
    """Until every position is at the end of its partition."""
    wait_for(
        lambda: all(position(settings, p) == wire.end(partition=p) for p in PARTITIONS),
        "the positions to reach the ends",
        120,
    )


def once(values: list[bytes]) -> list[bytes]:
    """``values`` without those that had come before."""
    return list(dict.fromkeys(values))


class Gate:
    """Stands in the way of one value until it is opened."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self.reached = threading.Event()
        self.open = threading.Event()

    async def __call__(self, record: Record) -> None:
        if record.value == self._value:
            self.reached.set()
            while not self.open.is_set():  # noqa: ASYNC110 - set by a thread
                await asyncio.sleep(0.01)


def test_a_rebalance_in_the_middle_of_a_batch_loses_nothing(quick: Settings, wire: Wire) -> None:
    """The rest of the batch is left to whoever has the partition then, in order."""
    publish_to_all(wire, *MANY)
    gate = Gate(MANY[100])
    first, second = Relay(quick, gate), Relay(quick)
    with first.running():
        wait_for(gate.reached.is_set, "the middle of a batch")
        with second.running():
            wait_for(lambda: (2, 2) == (first.partitions, second.partitions), "both to have partitions")
            gate.open.set()
            wait_until_all_safe(quick, wire)

    assert [MANY] * 4 == [once(wire.copies(p)) for p in PARTITIONS]
    assert ([], []) == (first.ended, second.ended)


def test_what_nobody_takes_is_paused_and_comes_in_its_order_later(quick: Settings, wire: Wire) -> None:
    """The memory is bounded, and the member stays in its group, however long the work stands still."""
    more = numbered(range(60_000))
    wire.publish(*more)
    gate = Gate(more[0])
    relay = Relay(quick, gate)
    with relay.running() as running:
        wait_for(gate.reached.is_set, "the first record")
        reader: Any = running.app.consumer
        wait_for(lambda: bool(reader._thread._held), "the partition to be paused")
        assert sum(len(waits.records) for waits in reader._thread._waiting.values()) < 10_000
        gate.open.set()
        wait_for(lambda: position(quick) == len(more), "all of it to be copied")

    assert more == wire.copies()


def test_late_answers_for_partitions_that_went_move_nothing(quick: Settings, wire: Wire) -> None:
    """Deliveries that were not acknowledged before the revocation are made again by the new owner."""
    publish_to_all(wire, *MANY)
    with Link(quick.kafka.bootstrap_servers, kafka=True) as link, ExitStack() as workers:
        mute = quick.kafka.model_copy(update={"bootstrap_servers": link.address})
        first, second = Relay(quick, way_out=mute), Relay(quick)
        link.slow_down(0.05)  # let the client connect; what it sends is answered late at first
        workers.enter_context(first.running())
        wait_for(lambda: len(first.taken) > 0, "the first fetch")
        link.hold(only_answers=True)
        wait_for(lambda: len(first.taken) >= 4 * len(MANY), "everything to be taken")
        before = [position(quick, p) for p in PARTITIONS]
        workers.enter_context(second.running())
        wait_for(lambda: (2, 2) == (first.partitions, second.partitions), "both to have partitions")
        link.restore()
        wait_until_all_safe(quick, wire)
        copies = [wire.copies(p) for p in PARTITIONS]

    assert any(place < len(MANY) for place in before), "nothing was unacknowledged: the run does not count"
    assert [MANY] * 4 == [once(values) for values in copies]
    assert ([], []) == (first.ended, second.ended)


def test_a_fetch_across_a_compaction_hole_goes_on_behind_it(quick: Settings) -> None:
    """Within a fetch, and where the position itself points at a record that is gone."""
    wire = Wire(quick.kafka)
    wire.create(COPIES)
    wire.create(
        SOURCE,
        config={
            "cleanup.policy": "compact",
            "min.cleanable.dirty.ratio": "0.01",
            "segment.ms": "100",
            "max.compaction.lag.ms": "100",
        },
    )
    before, gone, kept = numbered([0, 1, 2, 3]), numbered([4, 5, 6]), numbered([7, 8, 9])
    for value in before:
        wire.publish(value, key=value)
    with Relay(quick).running():
        wait_for(lambda: position(quick) == 4, "the position to stand where the hole will be")
    wire.publish(*gone, key=b"same")
    for value in kept:
        wire.publish(value, key=b"same" if value == kept[0] else value)
    wire.publish(b"10", b"11", key=b"other")
    new_segments = 0

    def cleaned() -> bool:
        nonlocal new_segments
        new_segments += 1
        wire.publish(b"more", key=b"segment %d" % new_segments)  # a segment is closed by the next record
        return not {*gone} & {record.value for record in wire.records(SOURCE)}

    wait_for(cleaned, "the records to be compacted away")
    left = [record.value for record in wire.records(SOURCE)]
    assert wire.records(SOURCE)[4].offset == 7

    with Relay(quick).running():
        wait_for(lambda: position(quick) == wire.end(), "the position to reach the end")

    assert left == wire.copies()


FAULTS: dict[str, Callable[[Link], None]] = {
    "slow": lambda link: link.slow_down(0.4),
    "silent": Link.hold,
    "without answers": lambda link: link.hold(only_answers=True),
    "cut": Link.cut,
    "reset": Link.reset,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_link_to_the_broker_loses_nothing(quick: Settings, wire: Wire, fault: str) -> None:
    """Consumer and producer meet it in the middle of their work; order is kept and all comes out."""
    half = len(MANY) // 2
    with Link(quick.kafka.bootstrap_servers, kafka=True) as link:
        kafka = quick.kafka.model_copy(update={"bootstrap_servers": link.address})
        relay = Relay(quick.model_copy(update={"kafka": kafka}))
        with relay.running():
            publish_to_all(wire, *MANY[:half])
            wait_for(lambda: len(relay.taken) > half, "the work to be under way")
            FAULTS[fault](link)
            publish_to_all(wire, *MANY[half:])
            if fault in {"silent", "without answers", "cut"}:
                wait_for(lambda: not wire.members(), "the group to miss its member")
                link.restore()
            wait_until_all_safe(quick, wire)

    assert [MANY] * 4 == [once(wire.copies(p)) for p in PARTITIONS]
    assert [] == relay.ended


def test_only_the_message_that_is_too_large_is_refused(quick: Settings) -> None:
    """Its neighbours are sent at the same time and arrive, in order."""
    wire = Wire(quick.kafka)
    wire.create(SOURCE)
    wire.create(COPIES, config={"max.message.bytes": "700000"})
    large = random.Random(1).randbytes(800_000)
    wire.publish(*MANY[:100], large, *MANY[100:])
    relay = Relay(quick)
    with relay.running():
        wait_for(lambda: len(wire.copies()) == len(MANY), "the neighbours to arrive")
        wait_for(lambda: bool(relay.refusals), "the refusal")

    assert ([True], MANY) == ([r.too_large for r in relay.refusals], wire.copies())
    assert position(quick) <= 100


def test_a_deleted_topic_on_the_way_out_holds_the_position(quick: Settings, wire: Wire) -> None:
    """Its messages are refused after a while, which ends a worker; with the topic back they are sent."""
    relay = Relay(quick)
    with relay.running():
        publish_to_all(wire, *MANY[:10])
        wait_until_all_safe(quick, wire)
        wire.delete(COPIES)
        publish_to_all(wire, *MANY[10:])
        wait_for(lambda: bool(relay.refusals), "the refusal", 90)
    assert [10] * 4 == [position(quick, p) for p in PARTITIONS]
    assert not any(refusal.too_large for refusal in relay.refusals)

    wire.create(COPIES, len(PARTITIONS))
    with Relay(quick).running():
        wait_until_all_safe(quick, wire)
    assert [MANY[10:]] * 4 == [wire.copies(p) for p in PARTITIONS]


def test_a_source_that_was_deleted_and_made_again_is_refused(quick: Settings, wire: Wire) -> None:
    """Another log stands behind the same name: no position of the old one means anything there."""
    publish_to_all(wire, *MANY)
    with Relay(quick).running():
        wait_until_all_safe(quick, wire)
    wire.delete(SOURCE)
    wire.create(SOURCE, len(PARTITIONS))
    publish_to_all(wire, b"new")

    with pytest.raises(PositionOutsideLog, match="Restore the topic"), Relay(quick).running() as running:
        wait_for(lambda: not running.running, "the worker to end")
    assert [MANY] * 4 == [wire.copies(p) for p in PARTITIONS]


def test_a_source_that_is_deleted_under_a_running_worker_ends_it(quick: Settings, wire: Wire) -> None:
    """It neither jumps to the new log nor stands still in silence."""
    publish_to_all(wire, *MANY)

    def work_on_a_source_that_goes() -> None:
        with Relay(quick).running() as running:
            wait_until_all_safe(quick, wire)
            wire.delete(SOURCE)
            wire.create(SOURCE, len(PARTITIONS))
            publish_to_all(wire, b"new")
            wait_for(lambda: not running.running, "the worker to end")

    with pytest.raises(PositionOutsideLog):
        work_on_a_source_that_goes()
