"""The thread that reads: what it hands over, when it stops reading, and that it never moves a position."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition
from faust.types import TP

from streams.record_reader import RecordReader
from tierline.kit.errors import PositionOutsideLog
from tierline.kit.pace import Pace
from tierline.kit.records import Record
from tierline.kit.settings import KafkaSettings

PREFIX = "t1."
TOPIC = "orders.portal.v1"
P0, P1 = TP(PREFIX + TOPIC, 0), TP(PREFIX + TOPIC, 1)


class Sent:
    """A message of librdkafka: a record at ``offset``, or a word of the client with ``code``."""

    def __init__(self, tp: TP, offset: int, code: int | None = None) -> None:
        self._tp, self._offset, self._code = tp, offset, code

    def topic(self) -> str:
        return self._tp.topic

    def partition(self) -> int:
        return self._tp.partition

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return None if self._code is None else KafkaError(self._code)

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_000

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"v"

    def headers(self) -> None:
        return None


class Client:
    """The consumer of librdkafka; the test says what happens to it, in the next polls."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.events: deque[Callable[[], None] | list[Sent]] = deque()
        self.batch: list[Sent] = []
        self.gathered: list[bool] = []
        self.placed: list[dict[TP, int]] = []
        self.paused: set[TP] = set()
        self.committed: list[dict[TP, int]] = []
        self.end = 9
        self.closed = False

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.topics, self.callbacks = topics, callbacks

    def poll(self, _timeout: float) -> Sent | None:
        event = self.events.popleft() if self.events else []
        if callable(event):
            event()
            return None
        self.batch = list(event)
        return self.batch.pop(0) if self.batch else None

    def consume(self, _limit: int, timeout: float) -> list[Sent]:
        self.gathered.append(timeout > 0)
        return self.batch

    def assign(self, places: list[TopicPartition]) -> None:
        self.placed.append({TP(p.topic, p.partition): p.offset for p in places})

    def unassign(self) -> None:
        self.placed.append({})

    def pause(self, places: list[TopicPartition]) -> None:
        self.paused |= {TP(p.topic, p.partition) for p in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self.paused -= {TP(p.topic, p.partition) for p in places}

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        self.committed.append({TP(p.topic, p.partition): p.offset for p in offsets})

    def get_watermark_offsets(self, _place: TopicPartition, *, cached: bool) -> tuple[int, int]:
        assert cached
        return 0, self.end

    def close(self) -> None:
        self.closed = True


class World:
    """A reader with such a client, and who is told about the group."""

    def __init__(self) -> None:
        self.told: list[tuple[str, set[TP]]] = []
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.clients: list[Client] = []
        self.reader = RecordReader(
            KafkaSettings(topic_prefix=PREFIX),
            "normalizer",
            self,
            pace=Pace(every_ms=30, least_ms=2),
            client=self._client,
            loop=asyncio.get_running_loop(),
        )

    def _client(self, config: dict[str, Any]) -> Client:
        self.clients.append(Client(config))
        return self.clients[-1]

    @property
    def client(self) -> Client:
        return self.clients[0]

    async def reader_assigned(self, tps: set[TP], generation: int) -> None:
        self.told.append((f"assigned {generation}", tps))

    async def reader_revoked(self, tps: set[TP]) -> None:
        await self.may_go.wait()
        self.told.append(("revoked", tps))

    async def reader_misses_topics(self) -> None:
        self.told.append(("topics", set()))

    def assign(self, *tps: TP) -> None:
        places = [TopicPartition(*tp) for tp in tps]
        self.client.events.append(lambda: self.client.callbacks["on_assign"](self.client, places))

    def revoke(self, *tps: TP) -> None:
        places = [TopicPartition(*tp) for tp in tps]
        self.client.events.append(lambda: self.client.callbacks["on_revoke"](self.client, places))

    async def opened(self, *tps: TP, at: int = 0) -> None:
        self.assign(*tps)
        await until(lambda: bool(self.told))
        assert await self.reader.place(dict.fromkeys(tps, at))


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - a thread announces nothing to tests
            await asyncio.sleep(0.001)


def in_world(story: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        world = World()
        await world.reader.subscribe([P0.topic])
        try:
            await story(world)
        finally:
            await world.reader.on_stop()
        assert world.client.closed

    asyncio.run(run())


def test_nothing_is_read_before_it_is_said_from_where() -> None:
    """An assignment alone assigns nothing at librdkafka, which would look for Kafka's own commits."""

    async def story(world: World) -> None:
        world.assign(P0, P1)
        await until(lambda: bool(world.told))
        assert ([("assigned 1", {P0, P1})], [{}]) == (world.told, world.client.placed)
        assert await world.reader.place({P0: 4, P1: 7})
        assert {P0: 4, P1: 7} == world.client.placed[-1]

    in_world(story)


def test_what_one_turn_brings_comes_by_partition_in_order() -> None:
    """With topic names without prefix."""

    async def story(world: World) -> None:
        await world.opened(P0, P1, at=4)
        world.client.events.append([Sent(P0, 4), Sent(P1, 9), Sent(P0, 5)])
        taken = await world.reader.getmany({P0, P1}, 10)
        assert {P0: [4, 5], P1: [9]} == {tp: [r.offset for r in came.records] for tp, came in taken.items()}
        assert {TOPIC} == {r.topic for came in taken.values() for r in came.records}

    in_world(story)


def test_a_turn_behind_a_large_one_gathers_nothing() -> None:
    """Where there is a backlog, waiting for more only lets the loop stand still."""

    async def story(world: World) -> None:
        await world.opened(P0)
        for offsets in (range(1), range(1, 300), range(300, 301), range(301, 302)):
            world.client.events.append([Sent(P0, offset) for offset in offsets])
        await until(lambda: len(world.client.gathered) == 4)
        assert [True, True, False, True] == world.client.gathered

    in_world(story)


def test_what_is_not_asked_for_waits() -> None:
    """Nothing of it is lost, and nothing overtakes."""

    async def story(world: World) -> None:
        await world.opened(P0, P1)
        world.client.events.append([Sent(P0, 0), Sent(P1, 0)])
        assert {P1} == set(await world.reader.getmany({P1}, 10))
        world.client.events.append([Sent(P0, 1)])
        await until(lambda: not world.client.events)
        assert {} == await world.reader.getmany({P1}, 0.01)
        taken = await world.reader.getmany({P0}, 10)
        assert [0, 1] == [record.offset for record in taken[P0].records]

    in_world(story)


def waiting(world: World) -> list[Record]:
    """What came of P0 and was not taken yet."""
    stretch = world.reader._waiting.get(P0)
    return stretch.records if stretch else []


def test_what_is_taken_begins_where_the_taken_before_it_ended() -> None:
    """Whatever the log does not have between them: a marker of a transaction, or what compaction took."""

    async def story(world: World) -> None:
        await world.opened(P0, at=4)
        starts = []
        for offset in (5, 7, 8):
            world.client.events.append([Sent(P0, offset)])
            starts.append((await world.reader.getmany({P0}, 10))[P0].start)
        assert [4, 6, 8] == starts

    in_world(story)


def test_a_record_that_came_already_does_not_come_again() -> None:
    """Whatever the client read anew after a pause."""

    async def story(world: World) -> None:
        await world.opened(P0)
        world.client.events.append([Sent(P0, 0), Sent(P0, 1)])
        world.client.events.append([Sent(P0, 1), Sent(P0, 2)])
        await until(lambda: not world.client.events)
        await until(lambda: len(waiting(world)) == 3)
        taken = await world.reader.getmany({P0}, 10)
        assert [0, 1, 2] == [record.offset for record in taken[P0].records]

    in_world(story)


def test_the_end_of_the_log_hides_no_record_before_it() -> None:
    """The client says in the same turn that it has reached it."""

    async def story(world: World) -> None:
        await world.opened(P0)
        world.client.events.append([Sent(P0, 0), Sent(P0, 1), Sent(P0, 2, KafkaError._PARTITION_EOF)])
        taken = await world.reader.getmany({P0}, 10)
        assert [0, 1] == [record.offset for record in taken[P0].records]

    in_world(story)


def test_a_partition_that_nobody_takes_is_paused_and_the_others_are_read_on() -> None:
    """So the group is served, and memory is bounded, while the loop or the store stands still."""

    async def story(world: World) -> None:
        await world.opened(P0, P1)
        world.client.events.append([Sent(P0, offset) for offset in range(4_000)])
        await until(lambda: {P0} == world.client.paused)
        world.client.events.append([Sent(P1, 0)])
        assert {P1} == set(await world.reader.getmany({P1}, 10))
        assert 4_000 == len((await world.reader.getmany({P0}, 10))[P0].records)
        await until(lambda: not world.client.paused)

    in_world(story)


def test_a_partition_that_is_held_goes_on_when_it_is_said() -> None:
    """What came of it before may be taken meanwhile, or not."""

    async def story(world: World) -> None:
        await world.opened(P0, P1)
        world.reader.hold(P0)
        await until(lambda: {P0} == world.client.paused)
        assert {} == await world.reader.getmany({P1}, 0.01)
        world.reader.go_on(P0)
        await until(lambda: not world.client.paused)

    in_world(story)


def test_a_partition_that_comes_back_is_not_held_any_more() -> None:
    """Whoever held it has forgotten it with the assignment."""

    async def story(world: World) -> None:
        await world.opened(P0)
        world.reader.hold(P0)
        await until(lambda: {P0} == world.client.paused)
        world.revoke(P0)
        world.assign(P0)
        await until(lambda: len(world.told) == 3)
        assert await world.reader.place({P0: 1})
        assert set() == world.client.paused

    in_world(story)


def test_the_group_waits_until_everybody_has_let_go() -> None:
    """Then what waited is forgotten: it is read again by whoever has the partitions."""

    async def story(world: World) -> None:
        await world.opened(P0)
        world.client.events.append([Sent(P0, 0)])
        await until(lambda: bool(world.reader._waiting))
        world.may_go.clear()
        world.revoke(P0)
        await until(lambda: not world.client.events)
        assert {P0} == world.reader.assignment()
        world.may_go.set()
        await until(lambda: world.client.placed[-1] == {})
        assert ("revoked", {P0}) == world.told[-1]
        assert (set(), {}) == (world.reader.assignment(), await world.reader.getmany({P0}, 0.01))

    in_world(story)


def test_positions_of_partitions_that_went_are_not_used() -> None:
    """Their owner may answer late; the next assignment has its own."""

    async def story(world: World) -> None:
        world.assign(P0)
        await until(lambda: len(world.told) == 1)
        world.revoke(P0)
        world.assign(P1)
        await until(lambda: len(world.told) == 3)
        assert not await world.reader.place({P0: 4})
        assert await world.reader.place({P1: 5})
        assert {P1: 5} == world.client.placed[-1]

    in_world(story)


def test_a_position_outside_the_log_ends_the_service() -> None:
    """The client would have to jump to one of its ends."""

    async def story(world: World) -> None:
        await world.opened(P0)
        world.client.events.append([Sent(P0, 0, KafkaError._AUTO_OFFSET_RESET)])
        await until(lambda: world.reader.crashed)
        assert isinstance(world.reader.crash_reason, PositionOutsideLog)
        assert "error" == world.client.config["auto.offset.reset"]

    in_world(story)


def test_a_topic_that_the_broker_does_not_know_is_looked_for() -> None:
    """A word of the client alone ends nothing."""

    async def story(world: World) -> None:
        world.client.events.append([Sent(P0, 0, KafkaError.UNKNOWN_TOPIC_OR_PART)])
        await until(lambda: ("topics", set()) in world.told)
        assert not world.reader.crashed

    in_world(story)


@pytest.mark.parametrize(("position", "settled", "behind"), [(8, True, 0), (5, True, 0), (5, False, 4)])
def test_marks_of_transactions_are_nobodys_records(position: int, settled: bool, behind: int) -> None:
    """An idle partition is not behind, whatever its producer wrote after its last record."""

    async def story(world: World) -> None:
        await world.opened(P0, at=5)
        world.client.events.append([Sent(P0, 9, KafkaError._PARTITION_EOF)])
        await until(lambda: world.reader._ends == {P0: 9})
        told = await world.reader.tell({P0: position, P1: 3}, {P0} if settled else set())
        assert ({P0: behind}, [{P0: position}]) == (told, world.client.committed)

    in_world(story)
