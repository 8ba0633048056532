"""The batch transport: Faust's aiokafka transport, one event per partition fetch instead of one per record.

What it changes, and why (names of Faust 0.15.3):

    _drain_messages      one message per (partition, fetch), whose value is a Batch of records. Faust spends
                         200 µs on the way of an event; a batch pays that once
    perform_seek         Faust seeks to Kafka's commits after an assignment; here partitions stay closed until
                         their owner (PartitionOwner) has said where to read on, and a topic that was deleted
                         ends the service: what is made again under its name is another log
    commit, verify_*     Faust commits what its streams acknowledged, and they acknowledge what raised, what
                         was cancelled and what could not be decoded. Nothing is committed from its books
    wait_empty           unbounded in Faust; the owner settles in bounded time instead
    _fetch_records       Faust passes by the consumer's own call that raises coordination errors, and a
                         fetch task that died leaves it waiting for ever; both are looked at here
    _create_worker_…     a fetch wait in ms instead of 1.5 s, committed records only, no reset of positions,
                         and a topic that comes back is seen after seconds instead of minutes
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import aiokafka
import structlog
from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport, server_list
from faust.types import TP, AppT, ConsumerMessage

from tierline.kit.errors import PositionOutsideLog
from tierline.kit.records import Record
from tierline.kit.retry import Backoff
from tierline.kit.settings import KafkaSettings

_POLL_S = 0.1
_NOTHING_OPEN_S = 0.02
PARTITION_FETCH_BYTES = 128 * 1024
FETCH_BYTES = 4 * 1024 * 1024
_METADATA_MS = 10_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one fetch brought of one partition; never empty. ``topic`` is the name without prefix."""

    topic: str
    partition: int
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class LogRange:
    """What a partition holds: its first offset, and the offset after its last record."""

    first: int
    end: int


class PartitionOwner(Protocol):
    """Who keeps the positions. Places are (topic without prefix, partition)."""

    async def taken(self, places: Mapping[tuple[str, int], LogRange]) -> Mapping[tuple[str, int], int]:
        """Partitions were assigned: take them over and say where to read each. Waits while the store is away.

        Without ``places`` the group had none to give. What it raises ends the worker.
        """

    async def given_up(self) -> None:
        """All partitions are about to go: make safe what can be in bounded time, then forget them."""


class BatchConsumerThread(AIOKafkaConsumerThread):
    """The thread that holds the aiokafka consumer."""

    def _create_worker_consumer(self, transport: Transport) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        kafka = cast("BatchTransport", transport).kafka
        self._assignor = RoundRobinPartitionAssignor
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
            fetch_max_bytes=FETCH_BYTES,
            fetch_max_wait_ms=kafka.fetch_wait_ms,
            fetch_min_bytes=kafka.fetch_min_bytes,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=kafka.session_timeout_ms,
            heartbeat_interval_ms=kafka.heartbeat_interval_ms,
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            metadata_max_age_ms=_METADATA_MS,
            retry_backoff_ms=100,
        )

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> Any:
        self._check(consumer)
        try:
            return await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        except NoOffsetForPartitionError as error:
            # The consumer joined again by itself, and its new partitions have not been placed yet.
            _log.info("partition_not_placed_yet", error=str(error))
            return {}

    def _check(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        try:
            consumer._coordinator.check_errors()  # noqa: SLF001 - what consumer.getmany() does first
        except KafkaError as error:
            if not error.retriable:
                raise
            _log.warning("coordinator_error", error=repr(error))
        fetching = consumer._fetcher._fetch_task  # noqa: SLF001 - it has no other sign of life
        if fetching.done() and not fetching.cancelled():
            fetching.result()
            raise RuntimeError("the fetch task of the consumer ended")

    async def missing_topics(self) -> frozenset[str]:
        """The topics that the broker does not know any more, as they are called on the wire."""
        return cast("frozenset[str]", await self.call_thread(self._missing_topics))

    async def _missing_topics(self) -> frozenset[str]:
        consumer = self._ensure_consumer()
        topics = consumer.subscription()
        if all(map(consumer.partitions_for_topic, topics)):
            return frozenset()
        await consumer._client.force_metadata_update()  # noqa: SLF001 - the broker has the last word
        return frozenset(topic for topic in topics if not consumer.partitions_for_topic(topic))

    async def place(self, positions: Mapping[TP, int]) -> bool:
        """Read on from ``positions``; False when the partitions are gone already."""
        return bool(await self.call_thread(self._place, positions))

    async def _place(self, positions: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        try:
            for tp, offset in positions.items():
                consumer.seek(TopicPartition(*tp), offset)
        except IllegalStateError:
            return False
        return True

    async def tell(self, positions: Mapping[TP, int], settled: Collection[TP]) -> Mapping[TP, int]:
        """Commit ``positions`` to Kafka for lag tools and return how many records lie behind each.

        ``settled``: where everything that was fetched is done with. There the fetch position counts: it has
        passed the marks of transactions, which are nobody's records. A failure is logged and means nothing;
        a partition that is gone, or not heard of yet, is left out.
        """
        return cast("Mapping[TP, int]", await self.call_thread(self._tell, positions, settled))

    async def _tell(self, positions: Mapping[TP, int], settled: Collection[TP]) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        held = consumer.assignment()
        places = {TopicPartition(*tp): offset for tp, offset in positions.items()}
        offsets = {tp: OffsetAndMetadata(offset, "") for tp, offset in places.items() if tp in held}
        try:
            if offsets:
                await consumer.commit(offsets)
        except (KafkaError, IllegalStateError) as error:
            _log.info("lag_commit_failed", error=repr(error))
        behind: dict[TP, int] = {}
        for tp in offsets:
            if tp in consumer.assignment() and (end := consumer.last_stable_offset(tp)) is not None:
                start = await consumer.position(tp) if TP(*tp) in settled else places[tp]
                behind[TP(*tp)] = max(0, end - start)
        return behind


class BatchConsumer(Consumer):
    """The consumer service on Faust's event loop."""

    _thread: BatchConsumerThread
    _opening: asyncio.Future[None] | None = None
    _fetched_to: dict[TP, int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetched_to = {}

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

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
        if missing := await self._thread.missing_topics():
            raise PositionOutsideLog(
                f"{', '.join(sorted(missing))}: deleted. Make it again by tierline prepare, which says what "
                f"becomes of the positions in it"
            )
        ranges = await self._log_ranges(assigned) if assigned else {}
        place_of = self._batches.place_of
        starts = await self._batches.owner.taken({place_of(tp): known for tp, known in ranges.items()})
        positions = {tp: starts[place_of(tp)] for tp in assigned}
        self._fetched_to = dict(positions)
        if assigned and await self._thread.place(positions):
            self.resume_partitions(assigned)

    async def _log_ranges(self, tps: set[TP]) -> dict[TP, LogRange]:
        backoff, failures = Backoff(), 0
        while True:
            try:
                first = await self._thread.earliest_offsets(*tps)
                end = await self._thread.highwaters(*tps)
            except KafkaError as error:
                failures += 1
                _log.warning("waiting", cause=repr(error))
                await asyncio.sleep(backoff.wait_ms(failures) / 1000)
            else:
                return {tp: LogRange(first[tp], end[tp]) for tp in tps}

    def _stop_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

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
        behind = await self._thread.tell(reached, settled)
        return {transport.place_of(tp): records for tp, records in behind.items()}

    def pause_place(self, place: tuple[str, int]) -> None:
        """Fetch no more of one partition until ``resume_place``, or until it is assigned again."""
        self.pause_partitions([self._batches.tp_of(place)])

    def resume_place(self, place: tuple[str, int]) -> None:
        """Fetch it again; nothing happens where it is not ours any more."""
        tp = self._batches.tp_of(place)
        if tp in self.assignment():
            self.resume_partitions([tp])

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
        active = set(self._get_active_partitions())
        if not active:
            await asyncio.sleep(_NOTHING_OPEN_S)
            return
        generation = self.app.consumer_generation_id
        fetched = await self._thread.getmany(active, _POLL_S)
        self._fetched_to.update({TP(*tp): records[-1].offset + 1 for tp, records in fetched.items()})
        for tp, records in fetched.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            message = self._batch_message(TP(*tp), records, generation)
            await self.wait_first(self.callback(message), self.suspend_flow.wait())

    def _batch_message(self, tp: TP, records: list[Any], generation: int) -> ConsumerMessage:
        topic, partition = self._batches.place_of(tp)
        record_of = partial(_record, topic)
        batch = Batch(topic, partition, tuple(map(record_of, records)))
        last = records[-1]
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=last.offset,
            timestamp=last.timestamp / 1000,
            timestamp_type=last.timestamp_type,
            headers=None,
            key=None,
            value=cast("bytes", batch),
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=generation,
        )


class BatchTransport(Transport):
    """Set as ``app.transport`` before the app starts."""

    Consumer = BatchConsumer

    def __init__(self, url: Any, app: AppT, *, kafka: KafkaSettings, owner: PartitionOwner) -> None:
        super().__init__(url, app)
        self.kafka = kafka
        self.owner = owner

    def place_of(self, tp: TP) -> tuple[str, int]:
        """(Topic without prefix, partition)."""
        return tp.topic.removeprefix(self.kafka.topic_prefix), tp.partition

    def tp_of(self, place: tuple[str, int]) -> TP:
        """The partition as it is called on the wire."""
        return TP(self.kafka.topic_prefix + place[0], place[1])


def _record(topic: str, read: Any) -> Record:
    headers = tuple((name, value or b"") for name, value in read.headers) if read.headers else ()
    return Record(topic, read.partition, read.offset, read.timestamp, read.key, read.value, headers)
