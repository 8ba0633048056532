"""What stock Faust loses on a real broker, row by row, and that our transport does not.

Each row has two halves. The first runs stock Faust as its manual shows it and expects the loss; where an
upgrade mends it, it fails and says so. The second does the same to our transport and expects every record.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import faust
import pytest

from tests.support.link import Link
from tests.support.pipeline import quickly_rebalancing
from tests.support.relay import Relay, Withhold, position, run_until_killed
from tests.support.stock_faust import Body, mended, own_process, run_stock_until_killed, stock_app
from tests.support.waiting import wait_for
from tests.support.wire import COPIES, GROUP, SOURCE, Wire, numbered
from tierline.kit.records import Record
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

TEN = numbered(range(10))
FIVE = b"5"


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """Settings under which a killed member is missed soon."""
    return quickly_rebalancing(settings)


@pytest.fixture
def source(quick: Settings) -> Wire:
    """The source with ten records, and nowhere to write yet."""
    wire = Wire(quick.kafka)
    wire.create(SOURCE)
    wire.publish(*TEN)
    return wire


@pytest.fixture
def wire(source: Wire) -> Wire:
    """Both topics, the source with ten records."""
    source.create(COPIES)
    return source


class Bug(Exception):
    """Leaves an agent."""


async def for_ever() -> None:
    """What a handler does that hangs."""
    await asyncio.Event().wait()


def copies_of(app: faust.App) -> Any:
    """The topic to write to."""
    return app.topic(app.conf.id.removesuffix(GROUP) + COPIES, value_serializer="raw")


def copy_slowly(at: bytes, wait: Callable[[], Awaitable[None]], done: list[bytes]) -> Body:
    """An agent that takes its time with the record ``at``."""

    async def body(_app: faust.App, stream: Any) -> None:
        async for value in stream:
            if value == at:
                await wait()
            done.append(value)

    return body


def delivered_again(wire: Wire, folder: Path) -> set[bytes]:
    """What stock Faust is given when it starts again, until the end of the log."""
    seen: list[bytes] = []
    last = b"last"

    async def nothing() -> None: ...

    wire.publish(last)
    with stock_app(wire, folder, copy_slowly(b"", nothing, seen)):
        wait_for(lambda: last in seen, "the second start to reach the end")
    return set(seen) - {last}


def copied_at_the_next_start(settings: Settings, wire: Wire) -> set[bytes]:
    """Everything that our transport has copied once it has started again and reached the end."""
    with Relay(settings).running():
        wait_for(lambda: position(settings) == wire.end(), "the next start to reach the end")
    return set(wire.copies())


# --- an agent that raises ---------------------------------------------------------------------------------


def test_stock_faust_loses_the_record_whose_agent_raised(wire: Wire, tmp_path: Path) -> None:
    """It is acknowledged in a ``finally``, committed, and never delivered again."""
    done: list[bytes] = []

    async def body(_app: faust.App, stream: Any) -> None:
        async for value in stream:
            if value == FIVE:
                raise Bug
            done.append(value)

    with stock_app(wire, tmp_path, body):
        wait_for(lambda: TEN[-1] in done and wire.committed() == 10, "all ten to be committed")

    lost = {*TEN} - {*done} - delivered_again(wire, tmp_path)
    assert {FIVE} == lost, mended("an agent that raises")


def test_our_transport_keeps_the_record_whose_agent_raised(quick: Settings, wire: Wire) -> None:
    """Its batch is never safe, so the position stays before it and the next start reads it again."""

    async def raise_at_five(record: Record) -> None:
        if record.value == FIVE:
            raise Bug

    relay = Relay(quick, raise_at_five)
    with relay.running():
        wait_for(lambda: len(relay.taken) >= 6, "the bug to be met")

    assert {*TEN} == copied_at_the_next_start(quick, wire)


# --- a batch that raises ----------------------------------------------------------------------------------


def test_stock_faust_loses_the_whole_batch_that_raised(wire: Wire, tmp_path: Path) -> None:
    """``take`` acknowledges every record of it; what waits behind it may go too."""
    done: list[bytes] = []

    async def body(_app: faust.App, stream: Any) -> None:
        async for values in stream.take(4, within=0.5):
            if FIVE in values:
                raise Bug
            done.extend(values)

    with stock_app(wire, tmp_path, body):
        wait_for(lambda: wire.committed() == 10, "all ten to be committed")

    lost = {*TEN} - {*done} - delivered_again(wire, tmp_path)
    assert {*TEN[4:8]} <= lost, mended("take() over a batch that raises")


def test_our_transport_keeps_the_batch_that_raised_and_those_behind_it(quick: Settings, wire: Wire) -> None:
    """The position stays before it although what came later is done."""
    bad, later = numbered([10, 11, 12, 13]), numbered([14, 15])

    async def raise_at_eleven(record: Record) -> None:
        if record.value == bad[1]:
            raise Bug

    relay = Relay(quick, raise_at_eleven)
    with relay.running():
        wait_for(lambda: position(quick) == 10, "the first ten to be safe")
        wire.publish(*bad)
        wait_for(lambda: bad[1] in [r.value for r in relay.taken], "the bug to be met")
        wire.publish(*later)
        wait_for(lambda: later[-1] in wire.copies(), "later batches to be copied")
    assert 10 == position(quick)

    assert {*TEN, *bad, *later} == copied_at_the_next_start(quick, wire)


# --- acknowledged by hand ---------------------------------------------------------------------------------


def test_stock_faust_loses_the_record_that_was_not_acknowledged_by_hand(wire: Wire, tmp_path: Path) -> None:
    """``noack()`` does not help: one open record at the head is taken for done (an off-by-one)."""
    done: list[bytes] = []

    async def body(_app: faust.App, stream: Any) -> None:
        async for event in stream.noack().events():
            if event.value == FIVE:
                raise Bug
            done.append(event.value)
            event.ack()

    with stock_app(wire, tmp_path, body, stream_wait_empty=False):  # else it waits for it for ever
        wait_for(lambda: TEN[-1] in done and wire.committed() == 10, "all ten to be committed")

    lost = {*TEN} - {*done} - delivered_again(wire, tmp_path)
    assert {FIVE} == lost, mended("noack() and a record that is not acknowledged")


def test_our_transport_keeps_the_record_that_was_not_acknowledged(quick: Settings, wire: Wire) -> None:
    """Whatever is acknowledged after it: the position does not pass an open record."""

    async def withhold_five(record: Record) -> None:
        if record.value == FIVE:
            raise Withhold

    with Relay(quick, withhold_five).running():
        wait_for(lambda: len(wire.copies()) == 9, "the others to be copied")
    assert 0 == position(quick)

    assert {*TEN} == copied_at_the_next_start(quick, wire)


# --- holes in the log -------------------------------------------------------------------------------------


def with_a_hole(wire: Wire) -> tuple[bytes, bytes]:
    """A transaction whose mark takes an offset; returns the two records that are to follow it."""
    wire.publish_in_transaction(*numbered([10, 11, 12, 13]))
    return b"15", b"16"


def test_stock_faust_loses_an_open_record_behind_a_hole_of_the_log(wire: Wire, tmp_path: Path) -> None:
    """It counts the record after the hole as part of it; with two actors the next one is done first."""
    open_one, next_one = with_a_hole(wire)
    done: list[bytes] = []

    body = copy_slowly(open_one, for_ever, done)
    with stock_app(wire, tmp_path, body, concurrency=2, stream_wait_empty=False):
        wait_for(lambda: wire.committed() == 14, "everything before the hole to be committed")
        wire.publish(open_one, next_one)
        wait_for(lambda: next_one in done, "the record behind the open one")
        wait_for(lambda: wire.committed() == 17, mended("an open record behind a hole of the log"))

    assert open_one not in {*done} | delivered_again(wire, tmp_path)


def test_our_transport_keeps_an_open_record_behind_a_hole_of_the_log(quick: Settings, wire: Wire) -> None:
    """Positions know batches, not offsets; holes need no care."""
    open_one, next_one = with_a_hole(wire)

    async def withhold(record: Record) -> None:
        if record.value == open_one:
            raise Withhold

    relay = Relay(quick, withhold)
    with relay.running():
        wire.publish(open_one)
        wait_for(lambda: open_one in [r.value for r in relay.taken], "the open record")
        wire.publish(next_one)
        wait_for(lambda: next_one in wire.copies(), "the record behind the open one")
    assert position(quick) <= 15

    assert {*TEN, *numbered([10, 11, 12, 13]), open_one, next_one} == copied_at_the_next_start(quick, wire)


# --- a value that cannot be decoded -----------------------------------------------------------------------


def test_stock_faust_loses_the_value_that_it_cannot_decode(wire: Wire, tmp_path: Path) -> None:
    """It is acknowledged before anybody hears of the error."""
    broken, after = b"{broken", b"11"
    wire.publish(broken, after)
    done: set[bytes] = set()

    async def body(_app: faust.App, stream: Any) -> None:
        async for value in stream:
            done.add(b"%d" % value)

    with stock_app(wire, tmp_path, body, value_serializer="json"):
        wait_for(lambda: after in done and wire.committed() == 12, "all twelve to be committed")

    assert broken not in delivered_again(wire, tmp_path), mended("a value that cannot be decoded")


def test_our_transport_hands_on_the_value_that_cannot_be_decoded(quick: Settings, wire: Wire) -> None:
    """As the bytes it is, at its place; what it means is not the transport's business."""
    broken = b"{broken\xff"
    wire.publish(broken, b"11")

    copied_at_the_next_start(quick, wire)
    assert [*TEN, broken, b"11"] == wire.copies()


# --- stops and kills --------------------------------------------------------------------------------------


def test_stock_faust_waits_for_a_record_in_hand_however_long_and_loses_nothing(
    wire: Wire, tmp_path: Path
) -> None:
    """Its normal stop has no limit of its own; the record is done in the end and not delivered again."""
    done: list[bytes] = []
    may_go_on = threading.Event()
    rounds: list[float] = []

    async def until_released() -> None:
        while not may_go_on.is_set():  # noqa: ASYNC110 - set by a thread
            await asyncio.sleep(0.01)

    with stock_app(wire, tmp_path, copy_slowly(FIVE, until_released, done)) as running:
        wait_for(lambda: len(done) == 5, "the record before the one in hand")
        consumer: Any = running.app.consumer
        wait_a_round = consumer._wait_for_ack

        async def counted(timeout: float) -> None:  # noqa: ASYNC109 - Faust's signature
            rounds.append(timeout)
            await wait_a_round(timeout)

        consumer._wait_for_ack = counted
        running.ask_to_stop()
        wait_for(lambda: len(rounds) > 3, "the stop to wait, and to wait again")
        assert running.running, mended("a stop without a limit")
        may_go_on.set()
        running.join()

    again = delivered_again(wire, tmp_path)
    assert ({*TEN}, set()) == ({*done} | again, {*done} & again)


def test_stock_faust_loses_the_record_in_hand_at_a_stop_that_does_not_wait(
    wire: Wire, tmp_path: Path
) -> None:
    """``stream_wait_empty=False``: the cancelled record is acknowledged in a ``finally`` and committed."""
    done: list[bytes] = []
    body = copy_slowly(FIVE, for_ever, done)
    with stock_app(wire, tmp_path, body, stream_wait_empty=False):
        wait_for(lambda: len(done) == 5, "the record before the one in hand")

    lost = {*TEN} - {*done} - delivered_again(wire, tmp_path)
    assert {FIVE} == lost, mended("a stop that does not wait for what is in hand")


@pytest.mark.parametrize("waits", [True, False])
def test_our_transport_stops_in_bounded_time_and_delivers_the_record_in_hand_again(
    quick: Settings, wire: Wire, waits: bool
) -> None:
    """A handler that hangs for ever keeps nobody, whatever Faust is told about waiting."""

    async def hang_at_five(record: Record) -> None:
        if record.value == FIVE:
            await for_ever()

    relay = Relay(quick, hang_at_five)
    with relay.running() as running:
        running.app.conf.stream_wait_empty = waits
        wait_for(lambda: len(relay.taken) == 6, "the record that hangs")
        running.ask_to_stop()
        running.join()

    assert {*TEN} == copied_at_the_next_start(quick, wire)


async def copy_until_five(app: faust.App, stream: Any) -> None:
    """An agent that writes to ``COPIES`` and hangs at the sixth record."""
    copies = copies_of(app)
    async for value in stream:
        if value == FIVE:
            await for_ever()
        await (await copies.send(value=value))


def test_stock_faust_delivers_again_what_a_killed_process_had_in_hand(wire: Wire, tmp_path: Path) -> None:
    """kill -9: the next start goes on at the last commit; nothing is lost."""
    with own_process(run_stock_until_killed, wire.kafka, tmp_path, copy_until_five, {}) as process:
        wait_for(lambda: len(wire.copies()) == 5 and wire.committed() == 5, "the first five")
        process.kill()

    assert {*TEN[5:]} == delivered_again(wire, tmp_path)


def test_our_transport_delivers_again_what_a_killed_process_had_in_hand(quick: Settings, wire: Wire) -> None:
    """kill -9: the next start goes on at the lease's position; nothing is lost."""
    with own_process(run_until_killed, quick, FIVE) as process:
        wait_for(lambda: len(wire.copies()) == 5, "the first five")
        process.kill()

    assert {*TEN} == copied_at_the_next_start(quick, wire)


# --- what is not taken on the way out ---------------------------------------------------------------------

LARGEST = {"max.message.bytes": "600000"}
LARGE = random.Random(1).randbytes(800_000)


def test_stock_faust_loses_what_the_broker_refuses(source: Wire, tmp_path: Path) -> None:
    """The refusal is a line in the log; the flush before the commit cannot see it."""
    wire = source
    wire.create(COPIES, config=LARGEST)
    wire.publish(LARGE, b"11")

    async def body(app: faust.App, stream: Any) -> None:
        copies = copies_of(app)
        async for value in stream:
            await copies.send(value=value)

    with stock_app(wire, tmp_path, body):
        wait_for(lambda: wire.committed() == 12 and b"11" in wire.copies(), "all twelve to be committed")

    lost = {*TEN, LARGE, b"11"} - {*wire.copies()} - delivered_again(wire, tmp_path)
    assert {LARGE} == lost, mended("a refusal of the broker that nobody awaits")


def test_our_transport_keeps_what_the_broker_refuses(quick: Settings, source: Wire) -> None:
    """Whoever sent it is told, and the position stays before it until it is dealt with."""
    wire = source
    wire.create(COPIES, config=LARGEST)
    relay = Relay(quick)
    with relay.running():
        wait_for(lambda: position(quick) == 10, "the first ten to be safe")
        wire.publish(LARGE)
        wait_for(lambda: len(relay.refusals) == 1, "the refusal")
        wire.publish(b"11")
        wait_for(lambda: b"11" in wire.copies(), "the next record")
    assert (True, 10) == (relay.refusals[0].too_large, position(quick))

    again = Relay(quick)
    with again.running():
        wait_for(lambda: len(again.refusals) == 1, "the second delivery")
    assert 10 == position(quick)


async def copy_soon(app: faust.App, stream: Any) -> None:
    """An agent that leaves the sending to Faust's buffer."""
    copies = copies_of(app)
    async for value in stream:
        copies.send_soon(value=value)


def test_stock_faust_loses_what_waits_to_be_sent(source: Wire, tmp_path: Path) -> None:
    """``send_soon``: the flush before the commit gives up after 100 ms without progress, and commits."""
    wire = source
    with stock_app(wire, tmp_path, copy_soon):
        wait_for(lambda: wire.committed() == 10, mended("send_soon with a way out that stands still"), 30)
    wire.create(COPIES)

    assert (set(), set()) == ({*TEN} & delivered_again(wire, tmp_path), {*wire.copies()})


def test_our_transport_keeps_what_waits_to_be_sent(quick: Settings, source: Wire) -> None:
    """Nothing is safe before its answer, so nothing moves; the stop does not wait for it either."""
    wire = source
    relay = Relay(quick)
    with relay.running():
        wait_for(lambda: len(relay.taken) == 10, "all ten to be on their way")
    assert 0 == position(quick)
    wire.create(COPIES)

    assert {*TEN} == copied_at_the_next_start(quick, wire)


def test_stock_faust_loses_what_its_threaded_producer_has_not_sent(wire: Wire, tmp_path: Path) -> None:
    """``producer_threaded=True``: the flush before the commit never looks there."""
    more = numbered(range(10, 20))
    with Link(wire.kafka.bootstrap_servers, kafka=True) as link:
        options = {"producer_threaded": True, "broker_producer": f"kafka://{link.address}"}
        with own_process(run_stock_until_killed, wire.kafka, tmp_path, copy_soon, options) as process:
            wait_for(lambda: len(wire.copies()) == 10 and wire.committed() == 10, "the first ten")
            link.hold()
            wire.publish(*more)
            wait_for(lambda: wire.committed() == 20, mended("a threaded producer on a slow way out"), 30)
            process.kill()

    assert (set(), {*TEN}) == ({*more} & delivered_again(wire, tmp_path), {*wire.copies()})


def test_our_transport_keeps_what_its_producer_has_not_sent(quick: Settings, wire: Wire) -> None:
    """The producer's own thread tells what arrived; a way out that stands still moves no position."""
    more = numbered(range(10, 20))
    with Link(wire.kafka.bootstrap_servers, kafka=True) as link:
        slow = quick.kafka.model_copy(update={"bootstrap_servers": link.address})
        relay = Relay(quick, way_out=slow)
        with relay.running():
            wait_for(lambda: position(quick) == 10, "the first ten")
            link.hold()
            wire.publish(*more)
            wait_for(lambda: len(relay.taken) == 20, "all twenty to be on their way")
    assert 10 == position(quick)

    assert {*TEN, *more} == copied_at_the_next_start(quick, wire)
