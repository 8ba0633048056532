"""What the batch transport does differently from Faust's own: nothing read early, nothing lost, bounded ends.

The consumer service is Faust's, run without a broker: its thread is played by the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import pytest
from faust.types import TP

from schemas.topics import NORMALIZER
from streams.app import create_app
from streams.record_reader import Stretch
from streams.transport import Batch, BatchConsumer, Turn
from tierline.kit.errors import PositionOutsideLog, Unavailable
from tierline.kit.records import Record
from tierline.kit.settings import KafkaSettings

PREFIX = "t1."
PORTAL, PARTNER = "orders.portal.v1", "orders.partner.v1"
P0, P1, Q0 = TP(PREFIX + PORTAL, 0), TP(PREFIX + PORTAL, 1), TP(PREFIX + PARTNER, 0)


def fetched(tp: TP, *offsets: int) -> Stretch:
    """Records as the reader gives them."""
    topic = tp.topic.removeprefix(PREFIX)
    records = [Record(topic, tp.partition, o, 1_000 + o, b"k", b"v%d" % o, (("h", b"1"),)) for o in offsets]
    return Stretch(offsets[0], records)


class Reader:
    """The record reader: what is assigned, what the log holds, what the next fetches bring."""

    def __init__(self) -> None:
        self.assigned: set[TP] = set()
        self.first: dict[TP, int] = {}
        self.end: dict[TP, int] = {}
        self.fetches: list[dict[TP, Stretch]] = []
        self.asked: list[set[TP]] = []
        self.placed: dict[TP, int] = {}
        self.told: dict[TP, int] = {}
        self.settled: set[TP] = set()
        self.away = 0
        self.looked_again = 0
        self.missing: frozenset[str] = frozenset()
        self.on_fetch: Callable[[], None] = lambda: None

    def assignment(self) -> set[TP]:
        return set(self.assigned)

    async def log_ranges(self, tps: Collection[TP]) -> dict[TP, tuple[int, int]]:
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        return {tp: (self.first.get(tp, 0), self.end.get(tp, 100)) for tp in tps}

    async def missing_topics(self) -> frozenset[str]:
        return self.missing

    async def place(self, positions: Mapping[TP, int]) -> bool:
        if not set(positions) <= self.assigned:
            return False
        self.placed.update(positions)
        return True

    async def tell(self, positions: Mapping[TP, int], settled: Collection[TP]) -> Mapping[TP, int]:
        self.told.update(positions)
        self.settled = set(settled)
        return {tp: 100 - offset for tp, offset in positions.items()}

    def look_again(self) -> None:
        self.looked_again += 1

    async def getmany(self, active: set[TP], _timeout: float) -> dict[TP, Stretch]:
        self.asked.append(set(active))
        self.on_fetch()
        await asyncio.sleep(0)
        return self.fetches.pop(0) if self.fetches else {}

    async def commit(self, _offsets: object) -> bool:
        raise AssertionError("Faust committed from its own books")


class Owner:
    """Keeps the positions."""

    def __init__(self) -> None:
        self.positions: dict[tuple[str, int], int] = {}
        self.firsts: dict[tuple[str, int], int] = {}
        self.store_back = asyncio.Event()
        self.store_back.set()
        self.given_up_times = 0
        self.on_taken: Callable[[], None] = lambda: None

    async def taken(self, places: Mapping[tuple[str, int], int]) -> Mapping[tuple[str, int], int]:
        self.firsts.update(places)
        await self.store_back.wait()
        self.on_taken()
        return {place: self.positions.get(place, 0) for place in places}

    async def given_up(self) -> None:
        self.given_up_times += 1


class World:
    """A consumer service whose thread, owner and conductor are the test's."""

    def __init__(self) -> None:
        self.owner = Owner()
        self.handled: list[Batch] = []
        self.on_batch: Callable[[Batch], object] = lambda _: None

        async def handle(batch: Batch) -> None:
            self.handled.append(batch)
            self.on_batch(batch)

        self.app = create_app(
            KafkaSettings(topic_prefix=PREFIX),
            group=NORMALIZER,
            topics=[PORTAL, PARTNER],
            owner=self.owner,
            handle=handle,
        )
        consumer = self.app.consumer
        assert isinstance(consumer, BatchConsumer)
        self.consumer = consumer
        self.reader = Reader()
        consumer._thread = self.reader  # plays the part that is used
        self.messages: list[Any] = []
        consumer.callback = self._deliver
        self.app.consumer_generation_id = 1

    async def _deliver(self, message: Any) -> None:
        self.messages.append(message)

    def rebalanced(self) -> None:
        """Another assignment begins."""
        self.app.consumer_generation_id += 1

    async def assign(self, *tps: TP) -> None:
        """What Faust does with an assignment, as far as the consumer is asked."""
        self.reader.assigned = set(tps)
        self.consumer._set_active_tps(set(tps))
        self.consumer.pause_partitions(tps)
        self.consumer.resume_partitions(tps)
        await self.consumer.perform_seek()
        self.consumer.resume_flow()

    async def drain(self, times: int = 1) -> None:
        for _ in range(times):
            await self.consumer._drain_once()

    async def open_with(self, *tps: TP) -> None:
        await self.assign(*tps)
        await turn_until(lambda: set(tps) <= self.consumer._get_active_partitions())


async def turn_until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - services announce nothing to tests
            await asyncio.sleep(0.001)


def in_world(story: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        world = World()
        await story(world)
        world.consumer._stop_opening()

    asyncio.run(run())


def test_what_a_turn_brings_is_one_message_with_a_batch_for_each_partition() -> None:
    """In order, with the names without prefix."""

    async def story(world: World) -> None:
        await world.open_with(P0, Q0)
        world.reader.fetches = [{P0: fetched(P0, 4, 5, 7), Q0: fetched(Q0, 9)}]
        await world.drain()
        expected = (
            Batch(
                PORTAL,
                0,
                4,
                tuple(Record(PORTAL, 0, o, 1_000 + o, b"k", b"v%d" % o, (("h", b"1"),)) for o in (4, 5, 7)),
            ),
            Batch(PARTNER, 0, 9, (Record(PARTNER, 0, 9, 1_009, b"k", b"v9", (("h", b"1"),)),)),
        )
        assert [Turn(1, expected)] == [message.value for message in world.messages]
        assert [(P0, 7, 1)] == [(m.tp, m.offset, m.generation_id) for m in world.messages]

    in_world(story)


def test_nothing_is_read_before_the_owner_has_said_from_where() -> None:
    """The store may be away: the partitions stay closed, however long."""

    async def story(world: World) -> None:
        world.owner.store_back.clear()
        await world.assign(P0)
        await world.drain(3)
        assert ([], {}) == (world.reader.asked, world.reader.placed)
        world.owner.positions[PORTAL, 0] = 42
        world.owner.store_back.set()
        await turn_until(lambda: bool(world.consumer._get_active_partitions()))
        await world.drain()
        assert ([{P0}], {P0: 42}) == (world.reader.asked, world.reader.placed)

    in_world(story)


def test_the_owner_is_told_where_the_log_begins() -> None:
    """A first lease starts there."""

    async def story(world: World) -> None:
        world.reader.first = {P0: 5}
        world.owner.positions = {(PORTAL, 0): 5}
        await world.open_with(P0)
        assert {(PORTAL, 0): 5} == world.owner.firsts

    in_world(story)


def test_a_broker_that_is_away_while_opening_is_asked_again() -> None:
    """With backoff; nothing ends because of it."""

    async def story(world: World) -> None:
        world.reader.away = 2
        await world.open_with(P0)
        assert {P0: 0} == world.reader.placed

    in_world(story)


@pytest.mark.parametrize("position", [4, 18])
def test_a_position_outside_the_log_ends_the_service(position: int) -> None:
    """Clear error instead of a silent jump to either end of the log."""

    async def story(world: World) -> None:
        world.reader.first, world.reader.end = {P0: 5}, {P0: 17}
        world.owner.positions = {(PORTAL, 0): position}
        await world.assign(P0)
        await turn_until(lambda: world.consumer.crashed)
        assert isinstance(world.consumer.crash_reason, PositionOutsideLog)
        assert f"at offset {position}, but the log holds 5 to 17" in str(world.consumer.crash_reason)

    in_world(story)


def test_a_holder_that_goes_on_while_its_leases_are_taken_leaves_no_position_outside_the_log() -> None:
    """The log was looked at before the leases were taken; between the two a record came and was worked on."""

    async def story(world: World) -> None:
        world.reader.end = {P0: 17}
        world.owner.positions = {(PORTAL, 0): 18}
        world.owner.on_taken = lambda: world.reader.end.update({P0: 18})
        await world.open_with(P0)
        assert {P0: 18} == world.reader.placed

    in_world(story)


@pytest.mark.parametrize("assigned", [{P0}, set()], ids=["others assigned", "nothing assigned"])
def test_a_source_that_was_deleted_ends_the_service(assigned: set[TP]) -> None:
    """What is made again under its name is another log; a worker that starts finds that out."""

    async def story(world: World) -> None:
        world.reader.missing = frozenset({Q0.topic})
        world.reader.assigned = assigned
        await (world.assign(*assigned) if assigned else world.consumer.on_partitions_assigned(assigned))
        await turn_until(lambda: world.consumer.crashed)
        assert isinstance(world.consumer.crash_reason, PositionOutsideLog)
        assert Q0.topic in str(world.consumer.crash_reason)

    in_world(story)


def test_partitions_that_went_while_opening_stay_closed() -> None:
    """The next assignment opens what it brings."""

    async def story(world: World) -> None:
        world.owner.store_back.clear()
        await world.assign(P0)
        await asyncio.sleep(0)
        world.reader.assigned = set()
        world.owner.store_back.set()
        await turn_until(lambda: world.consumer._opening is not None and world.consumer._opening.done())
        assert (set(), {}) == (world.consumer._get_active_partitions(), world.reader.placed)

    in_world(story)


def test_a_new_assignment_takes_over_from_an_opening_that_waits() -> None:
    """Only the newest one places positions."""

    async def story(world: World) -> None:
        world.owner.store_back.clear()
        await world.assign(P0)
        await asyncio.sleep(0)
        world.owner.store_back = asyncio.Event()
        world.owner.store_back.set()
        await world.open_with(P1)
        assert {P1: 0} == world.reader.placed

    in_world(story)


def test_records_of_an_assignment_that_ends_meanwhile_are_dropped() -> None:
    """They are read again by whoever has the partition then."""

    async def story(world: World) -> None:
        await world.open_with(P0, P1)
        world.reader.fetches = [{P0: fetched(P0, 1), P1: fetched(P1, 1)}]

        async def rebalanced(message: object) -> None:
            world.messages.append(message)
            world.app.consumer_generation_id = 2

        world.consumer.callback = rebalanced
        await world.drain()
        assert [P0] == [message.tp for message in world.messages]

    in_world(story)


def test_what_comes_with_a_new_assignment_is_handed_on() -> None:
    """The call that waited for it began under the old one; dropped, nobody would read it again."""

    async def story(world: World) -> None:
        await world.open_with(P0)
        world.reader.fetches = [{P0: fetched(P0, 1)}]
        world.reader.on_fetch = world.rebalanced
        await world.drain()
        assert [(P0, 2)] == [(message.tp, message.generation_id) for message in world.messages]

    in_world(story)


def test_a_delivery_that_blocks_is_left_when_the_flow_stops() -> None:
    """A full queue must not hold up a rebalance."""

    async def story(world: World) -> None:
        await world.open_with(P0)

        async def blocks(_message: object) -> None:
            await asyncio.Event().wait()

        world.consumer.callback = blocks
        world.reader.fetches = [{P0: fetched(P0, 1)}]
        draining = asyncio.create_task(world.drain())
        await asyncio.sleep(0.01)
        world.consumer.stop_flow()
        async with asyncio.timeout(10):
            await draining

    in_world(story)


def test_nothing_is_read_while_the_flow_is_stopped() -> None:
    """During a rebalance the consumer stands still."""

    async def story(world: World) -> None:
        await world.open_with(P0)
        world.consumer.stop_flow()
        draining = asyncio.create_task(world.drain())
        await asyncio.sleep(0.01)
        assert [] == world.reader.asked
        world.consumer.resume_flow()
        await draining
        assert [{P0}] == world.reader.asked

    in_world(story)


def test_what_a_full_queue_paused_is_not_asked_for() -> None:
    """Flow control per partition; others are read on."""

    async def story(world: World) -> None:
        await world.open_with(P0, P1)
        world.consumer.on_buffer_full(P0)
        await world.drain()
        world.consumer.on_buffer_drop(P0)
        await world.drain()
        assert ([{P1}, {P0, P1}], 1) == (world.reader.asked, world.reader.looked_again)

    in_world(story)


def test_faust_commits_nothing_whatever_was_acknowledged() -> None:
    """Its streams acknowledge what raised or was cancelled; only the owner's positions are told to Kafka."""

    async def story(world: World) -> None:
        await world.open_with(P0)
        world.reader.fetches = [{P0: fetched(P0, 1, 2)}]
        await world.drain()
        [message] = world.messages
        world.app.topics.acking_topics.add(P0.topic)  # even if Faust were to keep books
        message.refcount = 1
        message.ack(world.consumer)
        assert (False, {}) == (await world.consumer.commit(), world.reader.told)
        assert {(PORTAL, 0): 88} == await world.consumer.tell_positions({(PORTAL, 0): 12})
        assert {P0: 12} == world.reader.told

    in_world(story)


def test_a_partition_is_settled_once_everything_fetched_is_done() -> None:
    """Until then records in hand count as waiting, from the position that is safe."""

    async def story(world: World) -> None:
        world.owner.positions = {(PORTAL, 0): 4}
        await world.open_with(P0)
        world.reader.fetches = [{P0: fetched(P0, 4, 5, 7)}]
        told = []
        for position in (4, 5, 8):
            await world.consumer.tell_positions({(PORTAL, 0): position})
            told.append(world.reader.settled)
            await world.drain()
        assert [{P0}, set(), {P0}] == told

    in_world(story)


@pytest.mark.parametrize("end", ["revoked", "lost", "stopping"])
def test_the_owner_settles_before_partitions_go(end: str) -> None:
    """In its own bounded time; Faust would wait for ever or not at all."""

    async def story(world: World) -> None:
        await world.open_with(P0)
        if end == "lost":
            world.reader.assigned = set()
        if end in {"revoked", "lost"}:
            world.app.on_rebalance_start()
            await world.consumer.on_partitions_revoked({P0})
        else:
            await world.consumer.wait_empty()
        assert world.owner.given_up_times >= 1

    in_world(story)


def test_the_agent_leaves_a_turn_of_an_assignment_that_ended() -> None:
    """Also in the middle of it: the rest is read again by whoever has the partitions."""

    async def story(world: World) -> None:
        batches = tuple(Batch(PORTAL, n, 0, ()) for n in range(3))

        def rebalanced_in_the_middle(batch: Batch) -> None:
            if batch is batches[1]:
                world.rebalanced()

        world.on_batch = rebalanced_in_the_middle
        [agent] = world.app.agents.values()
        async with agent.test_context() as tested:
            await tested.put(Turn(1, batches))
            await turn_until(lambda: batches[1] in world.handled)
            await tested.put(Turn(2, batches[2:]))
            await turn_until(lambda: batches[2] in world.handled)
        assert list(batches) == world.handled

    in_world(story)


def test_the_agent_hands_batches_on_and_acknowledges_nothing() -> None:
    """One agent, one event per turn, no acks from Faust's books."""

    async def story(world: World) -> None:
        [agent] = world.app.agents.values()
        [topic] = [agent.channel]
        assert (False, {PREFIX + PORTAL, PREFIX + PARTNER}) == (topic.acks, set(topic.topics))
        assert not world.app.conf.web_enabled
        assert not world.app.conf.topic_allow_declare
        boot: Any = world.app.boot_strategy
        assert [] == [*boot.kafka_producer(), *boot.web_server()]

    in_world(story)
