"""The batch transport: a Faust consumer on librdkafka, one event per turn instead of one per record.

What it changes, and why (names of Faust 0.15.3):

    ConsumerThread       a RecordReader plays its part: librdkafka fetches and parses outside of Python
    _drain_messages      one message for all that came meanwhile, whose value is a Turn of batches. Faust
                         spends 200 µs on the way of an event; a turn pays that once
    perform_seek         Faust seeks to Kafka's commits after an assignment; here partitions stay closed until
                         their owner (PartitionOwner) has said where to read on, and a topic that was deleted
                         ends the service: what is made again under its name is another log
    commit, verify_*     Faust commits what its streams acknowledged, and they acknowledge what raised, what
                         was cancelled and what could not be decoded. Nothing is committed from its books
    wait_empty           unbounded in Faust; the owner settles in bounded time instead
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import structlog
from confluent_kafka import KafkaException
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP, AppT, ConsumerMessage

from streams.record_reader import RecordReader, Stretch
from tierline.kit.errors import PositionOutsideLog, Unavailable
from tierline.kit.pace import Pace
from tierline.kit.records import Record
from tierline.kit.retry import Backoff
from tierline.kit.settings import KafkaSettings

_POLL_S = 0.1
_NOTHING_OPEN_S = 0.02

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of one partition; never empty. ``topic`` is the name without prefix.

    From ``start`` on the records are all that the log has: where the batch before it did not end there,
    something was passed over.
    """

    topic: str
    partition: int
    start: int
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of all partitions meanwhile; it means nothing any more under another ``generation``."""

    generation: int
    batches: tuple[Batch, ...]


class PartitionOwner(Protocol):
    """Who keeps the positions. Places are (topic without prefix, partition)."""

    async def taken(self, places: Mapping[tuple[str, int], int]) -> Mapping[tuple[str, int], int]:
        """Partitions were assigned: take them over and say where to read each. Waits while the store is away.

        ``places``: with the first offset of their logs; none where the group had none to give. What it raises
        ends the worker.
        """

    async def given_up(self) -> None:
        """All partitions are about to go: make safe what can be in bounded time, then forget them."""


class BatchConsumer(Consumer):
    """The consumer service on Faust's event loop."""

    _thread: Any
    _opening: asyncio.Future[None] | None = None
    _delivering: asyncio.Future[None] | None = None
    _fetched_to: dict[TP, int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetched_to = {}

    def _new_consumer_thread(self) -> Any:
        kafka = self._batches.kafka
        group = self.app.conf.id.removeprefix(kafka.topic_prefix)
        return RecordReader(kafka, group, self, pace=self._batches.pace, loop=self.loop, beacon=self.beacon)

    @property
    def _reader(self) -> RecordReader:
        return cast("RecordReader", self._thread)

    @property
    def _batches(self) -> BatchTransport:
        return cast("BatchTransport", self.transport)

    async def perform_seek(self) -> None:
        """Open the assigned partitions in the background: the store may be away for a while."""
        assigned = self.assignment()
        self.pause_partitions(assigned)
        self._stop_opening()
        if assigned:
            self._opening = self.add_future(self._open(assigned))

    async def _open(self, assigned: set[TP]) -> None:
        ranges = await self._log_ranges(assigned)
        place_of = self._batches.place_of
        starts = await self._batches.owner.taken({place_of(tp): first for tp, (first, _) in ranges.items()})
        positions = {tp: starts[place_of(tp)] for tp in assigned}
        if any(positions[tp] > end for tp, (_, end) in ranges.items()):
            # Who had them before may have gone on after that look at the log; from here on nobody can.
            ranges = await self._log_ranges(assigned)
        for tp, (first, end) in ranges.items():
            self._check_position(tp, positions[tp], first, end)
        self._fetched_to = dict(positions)
        if assigned and await self._reader.place(positions):
            self.resume_partitions(assigned)

    def _check_position(self, tp: TP, position: int, first: int, end: int) -> None:
        if not first <= position <= end:
            topic, partition = self._batches.place_of(tp)
            raise PositionOutsideLog(
                f"{self.app.conf.id}: the lease continues {topic} partition {partition} at offset "
                f"{position}, but the log holds {first} to {end}. Restore the topic, or set next_offset in "
                f"oms.lease to where this consumer shall continue"
            )

    async def _log_ranges(self, tps: set[TP]) -> dict[TP, tuple[int, int]]:
        """First offset and end of each partition; waits while the broker is away."""
        backoff, failures = Backoff(), 0
        while True:
            try:
                await self._look_for_topics()
                return await self._reader.log_ranges(tps)
            except (KafkaException, Unavailable) as error:
                failures += 1
                _log.warning("waiting", cause=repr(error))
                await asyncio.sleep(backoff.wait_ms(failures) / 1000)

    async def _look_for_topics(self) -> None:
        if missing := await self._reader.missing_topics():
            raise PositionOutsideLog(
                f"{', '.join(sorted(missing))}: deleted. Make it again by tierline prepare, which says what "
                f"becomes of the positions in it"
            )

    def _stop_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    async def reader_assigned(self, tps: set[TP], generation: int) -> None:
        """These partitions, and no others, are ours now (see ``record_reader.Rebalanced``)."""
        if not self.app.rebalancing:
            self.app.on_rebalance_start()
        self.app.consumer_generation_id = generation
        await self.on_partitions_assigned(tps, generation)

    async def reader_revoked(self, tps: set[TP]) -> None:
        """All partitions are about to go (see ``record_reader.Rebalanced``)."""
        self.app.on_rebalance_start()
        await self.on_partitions_revoked(tps)

    async def reader_misses_topics(self) -> None:
        """The broker may not know a topic any more (see ``record_reader.Rebalanced``)."""
        self.add_future(self._log_ranges(set()))

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        await super().on_partitions_assigned(assigned, generation_id)
        if not assigned:
            self._stop_opening()
            self._opening = self.add_future(self._open(set()))

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._stop_opening()
        await super().on_partitions_revoked(revoked)
        await self._batches.owner.given_up()

    async def wait_empty(self) -> None:
        self._stop_opening()
        await self._batches.owner.given_up()

    async def commit(self, *_topics: Any, **_options: Any) -> bool:
        """Faust's own books commit nothing."""
        return False

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust would log guesses here; progress has its own metric."""

    async def tell_positions(self, positions: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
        """Commit positions for lag tools; returns the records still to come, by place."""
        transport = self._batches
        reached = {transport.tp_of(place): offset for place, offset in positions.items()}
        settled = {tp for tp, offset in reached.items() if offset >= self._fetched_to.get(tp, offset + 1)}
        behind = await self._reader.tell(reached, settled)
        return {transport.place_of(tp): records for tp, records in behind.items()}

    def on_buffer_drop(self, tp: TP) -> None:
        """There is room again for a partition of which no more was taken."""
        super().on_buffer_drop(tp)
        self._reader.look_again()

    def pause_place(self, place: tuple[str, int]) -> None:
        """Fetch no more of one partition until ``resume_place``, or until it is assigned again."""
        tp = self._batches.tp_of(place)
        self.pause_partitions([tp])
        self._reader.hold(tp)

    def resume_place(self, place: tuple[str, int]) -> None:
        """Fetch it again; nothing happens where it is not ours any more."""
        tp = self._batches.tp_of(place)
        if tp in self.assignment():
            self.resume_partitions([tp])
            self._reader.go_on(tp)

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._drain_once()
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def _drain_once(self) -> None:
        if not self.flow_active:
            await self.can_resume_flow.wait()
        active = self._get_active_partitions()
        if not active:
            await asyncio.sleep(_NOTHING_OPEN_S)
            return
        fetched = await self._reader.getmany(active, _POLL_S)
        self._fetched_to.update({tp: came.records[-1].offset + 1 for tp, came in fetched.items()})
        if fetched and self.flow_active:
            # The partitions may have changed hands during the call: what came is of their newest assignment.
            await self._deliver(_message(fetched, self.app.consumer_generation_id))

    async def _deliver(self, message: ConsumerMessage) -> None:
        """Put it into Faust's queue; where that is full, a rebalance does not wait for it (``stop_flow``)."""
        delivering = self._delivering = asyncio.ensure_future(self.callback(message))
        draining = asyncio.current_task()
        try:
            await delivering
        except asyncio.CancelledError:
            if self.flow_active or (draining is not None and draining.cancelling()):
                raise
        finally:
            self._delivering = None

    def stop_flow(self) -> None:
        super().stop_flow()
        if self._delivering is not None:
            self._delivering.cancel()


class BatchTransport(Transport):
    """Set as ``app.transport`` before the app starts."""

    Consumer = BatchConsumer

    def __init__(
        self, url: Any, app: AppT, *, kafka: KafkaSettings, pace: Pace, owner: PartitionOwner
    ) -> None:
        super().__init__(url, app)
        self.kafka = kafka
        self.pace = pace
        self.owner = owner

    def place_of(self, tp: TP) -> tuple[str, int]:
        """(Topic without prefix, partition)."""
        return tp.topic.removeprefix(self.kafka.topic_prefix), tp.partition

    def tp_of(self, place: tuple[str, int]) -> TP:
        """The partition as it is called on the wire."""
        return TP(self.kafka.topic_prefix + place[0], place[1])


def _message(fetched: Mapping[TP, Stretch], generation: int) -> ConsumerMessage:
    """A turn as Faust carries it: at a place in its first partition."""
    batches = tuple(
        Batch(came.records[0].topic, came.records[0].partition, came.start, tuple(came.records))
        for came in fetched.values()
    )
    tp, last = next(iter(fetched)), batches[0].records[-1]
    return ConsumerMessage(
        topic=tp.topic,
        partition=tp.partition,
        offset=last.offset,
        timestamp=last.timestamp_ms / 1000,
        timestamp_type=1,
        headers=None,
        key=None,
        value=cast("bytes", Turn(generation, batches)),
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        tp=tp,
        generation_id=generation,
    )
