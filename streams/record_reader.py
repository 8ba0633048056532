"""Reads records with librdkafka, in a thread of its own, for the event loop to take.

The thread polls all the time: it serves the group, hands over what came, and never waits for the loop longer
than a second. Its client lets one thread in at a time, so whatever the loop asks of it is done between two
polls. Where the loop does not take what a partition brought, the partition is paused, and read on
from the very place once it is taken.

    assigned    nothing is read: whoever keeps the positions has the last word (``place``)
    revoked     everybody who works on the partitions is waited for before the group goes on
    out of log  ends the service; a position is never moved to either end of the log
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import confluent_kafka
import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from faust.types import TP
from mode import Service

from tierline.kit.confluent_broker import consumer_config, is_notice, log_range_of, record_of
from tierline.kit.errors import PositionOutsideLog
from tierline.kit.pace import Pace
from tierline.kit.records import Record
from tierline.kit.settings import KafkaSettings

PARTITION_FETCH_BYTES = 128 * 1024
FETCH_BYTES = 4 * 1024 * 1024
POLL_RECORDS = 1_000
_MOST_WAITING = 4_000
_MANY = 200
_POLL_S = 0.1
_SOON_S = 0.01
_FULL_S = 1.0
_CLOSE_S = 6.0
_REBALANCE_S = 30.0
_METADATA_MS = 10_000
_ASK_S = 10.0

Answer = TypeVar("Answer")

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Stretch:
    """Records of one partition, in order. From ``start`` on they are all that the log has."""

    start: int
    records: list[Record]


class Rebalanced(Protocol):
    """Who works on the partitions. Both run on the event loop; the group waits for them."""

    async def reader_assigned(self, tps: set[TP], generation: int) -> None:
        """These partitions, and no others, are this member's now."""

    async def reader_revoked(self, tps: set[TP]) -> None:
        """All partitions are about to go."""

    async def reader_misses_topics(self) -> None:
        """The broker said that it does not know a topic."""


def reader_config(kafka: KafkaSettings, group: str) -> dict[str, Any]:
    """librdkafka settings: as other group members, but all partitions change hands at once, as in Faust."""
    return consumer_config(kafka, group) | {
        "partition.assignment.strategy": "roundrobin",
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "fetch.max.bytes": FETCH_BYTES,
        "max.partition.fetch.bytes": PARTITION_FETCH_BYTES,
        "max.poll.interval.ms": max(60_000, kafka.session_timeout_ms),
        "topic.metadata.refresh.interval.ms": _METADATA_MS,
    }


class RecordReader(Service):
    """A member of ``group`` (names without prefix); a service on Faust's loop. Partitions as on the wire."""

    abstract = False

    def __init__(
        self,
        kafka: KafkaSettings,
        group: str,
        told: Rebalanced,
        *,
        pace: Pace | None = None,
        client: Callable[[dict[str, Any]], Any] = confluent_kafka.Consumer,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._kafka = kafka
        self._group = group
        self._told = told
        self._client = client
        self._pace = pace or Pace()
        self._brought_many = False
        self._consumer: Any = None
        self._topics: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._asked: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._stopping = False
        self._generation = 0
        self._assigned: frozenset[TP] = frozenset()
        self._read_to: dict[TP, int] = {}
        self._ends: dict[TP, int] = {}
        self._held: set[TP] = set()
        self._lock = threading.Lock()
        self._waiting: dict[TP, Stretch] = {}
        self._room = threading.Event()
        self._room.set()
        self._arrived = asyncio.Event()

    # --- on the event loop --------------------------------------------------------------------------------

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group and begin to read; once."""
        if self._thread is None:
            prefix = self._kafka.topic_prefix
            self._topics = {topic: topic.removeprefix(prefix) for topic in topics}
            self._consumer = self._client(reader_config(self._kafka, self._group))
            goes = self._on_revoke
            self._consumer.subscribe(
                list(self._topics), on_assign=self._on_assign, on_revoke=goes, on_lost=goes
            )
            self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
            self._thread.start()

    async def on_stop(self) -> None:
        """Leave the group; a broker that does not answer is not waited for."""
        self._stopping = True
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _CLOSE_S)

    def close(self) -> None:
        """Faust closes a consumer twice; ``on_stop`` does it."""

    def assignment(self) -> set[TP]:
        """The partitions of this member."""
        return set(self._assigned)

    async def log_ranges(self, tps: Collection[TP]) -> dict[TP, tuple[int, int]]:
        """First offset and end of each partition, asked from the broker. Raises Unavailable."""
        return await self._answer(lambda: {tp: log_range_of(self._consumer, *tp) for tp in tps})

    async def missing_topics(self) -> frozenset[str]:
        """The topics that the broker does not know any more. Raises KafkaException."""
        known = (await self._answer(lambda: self._consumer.list_topics(timeout=_ASK_S))).topics
        return frozenset(t for t in self._topics if t not in known or known[t].error is not None)

    async def place(self, positions: Mapping[TP, int]) -> bool:
        """Read on from ``positions``, those of all partitions; False when they are gone already."""
        generation = self._generation
        return await self._answer(lambda: self._place(generation, positions))

    def hold(self, tp: TP) -> None:
        """Read no more of a partition for now."""
        self._asked.put(lambda: self._hold([tp]))

    def go_on(self, tp: TP) -> None:
        """Read on."""
        self._asked.put(lambda: self._go_on([tp]))

    def look_again(self) -> None:
        """Other partitions are ``active`` than when ``getmany`` was called."""
        self._arrived.set()

    async def getmany(self, active: Collection[TP], timeout: float) -> dict[TP, Stretch]:  # noqa: ASYNC109 - Faust's
        """What came of ``active`` partitions; waits up to ``timeout`` seconds for the first of it.

        ``active`` may change meanwhile.
        """
        if not (taken := self._take(active)):
            self._arrived.clear()
            if not (taken := self._take(active)):
                try:
                    async with asyncio.timeout(timeout):
                        await self._arrived.wait()
                except TimeoutError:
                    return {}
                taken = self._take(active)
        return taken

    async def tell(self, positions: Mapping[TP, int], settled: Collection[TP]) -> dict[TP, int]:
        """Commit ``positions`` to Kafka for lag tools and return how many records lie behind each.

        ``settled``: where everything that was taken is done with. There it counts how far the log was read:
        it has passed the marks of transactions, which are nobody's records. A failure is logged and means
        nothing; a partition that is gone, or not heard of yet, is left out.
        """
        return await self._answer(lambda: self._tell(positions, settled))

    def _take(self, active: Collection[TP]) -> dict[TP, Stretch]:
        with self._lock:
            taken = {tp: self._waiting.pop(tp) for tp in list(self._waiting) if tp in active}
            held = [tp for tp in taken if tp in self._held and tp in active]
            if taken:
                self._room.set()
        for tp in held:
            self.go_on(tp)
        return taken

    async def _answer(self, step: Callable[[], Answer]) -> Answer:
        answer: Future[Answer] = Future()
        self._asked.put(partial(_settle, answer, step))
        return await asyncio.wrap_future(answer)

    # --- in the thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._round()
        except BaseException as error:  # noqa: BLE001 - told to the loop, where it ends the worker
            self._stopping = True
            self.loop.call_soon_threadsafe(self._failed, error)
        finally:
            self._consumer.close()

    def _failed(self, error: BaseException) -> None:
        self.add_future(self.crash(error))

    def _round(self) -> None:
        while not self._asked.empty():
            self._asked.get()()
        if self._is_full():
            self._room.clear()
            if self._is_full() and not self._room.wait(_FULL_S):
                self._hold(list(self._waiting))
            return
        first = self._consumer.poll(_POLL_S if self._read_to else _SOON_S)
        if first is not None:
            gather_s = 0 if self._brought_many else self._pace.gather_s()  # a backlog is not waited for
            messages = [first, *self._consumer.consume(POLL_RECORDS - 1, gather_s)]
            self._brought_many = len(messages) >= _MANY
            self._hand_over(messages)

    def _is_full(self) -> bool:
        with self._lock:
            flowing = [len(waits.records) for tp, waits in self._waiting.items() if tp not in self._held]
        return sum(flowing) >= _MOST_WAITING

    def _hand_over(self, messages: Iterable[Any]) -> None:
        fetched: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        topics = self._topics
        for message in messages:
            if message.error() is not None:
                self._hear(message)
            else:
                topic = message.topic()
                fetched[topic, message.partition()].append(record_of(message, topics[topic]))
        if fetched:
            with self._lock:
                for place, records in fetched.items():
                    tp = TP(*place)
                    start = self._read_to.get(tp)
                    if start is not None and records[-1].offset >= start:
                        waiting = self._waiting.setdefault(tp, Stretch(start, []))
                        waiting.records.extend(r for r in records if r.offset >= start)
                        self._read_to[tp] = records[-1].offset + 1
            self.loop.call_soon_threadsafe(self._arrived.set)

    def _hear(self, message: Any) -> None:
        code = message.error().code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            self._ends[TP(message.topic(), message.partition())] = message.offset()
        elif code == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - its public name
            where = f"{message.topic()} partition {message.partition()}"
            raise PositionOutsideLog(f"{where}: {message.error().str()}")
        elif is_notice(message) and code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            self._on_loop(self._told.reader_misses_topics())

    def _place(self, generation: int, positions: Mapping[TP, int]) -> bool:
        if generation != self._generation or self._assigned != set(positions):
            return False
        self._read_to = dict(positions)
        places = [TopicPartition(*tp, offset) for tp, offset in positions.items()]
        self._consumer.assign(places)
        self._consumer.resume(places)  # a pause would outlive the assignment that it was made in
        return True

    def _tell(self, positions: Mapping[TP, int], settled: Collection[TP]) -> dict[TP, int]:
        places = {tp: offset for tp, offset in positions.items() if tp in self._assigned}
        behind: dict[TP, int] = {}
        try:
            if places:
                offsets = [TopicPartition(*tp, offset) for tp, offset in places.items()]
                self._consumer.commit(offsets=offsets, asynchronous=True)
            for tp, offset in places.items():
                end = self._consumer.get_watermark_offsets(TopicPartition(*tp), cached=True)[1]
                if end >= 0:
                    done = tp in settled and tp not in self._waiting
                    behind[tp] = max(0, end - (max(offset, self._ends.get(tp, 0)) if done else offset))
        except KafkaException as error:
            _log.info("lag_commit_failed", error=str(error))
        return behind

    def _hold(self, tps: Iterable[TP]) -> None:
        tps = [tp for tp in tps if tp in self._read_to and tp not in self._held]
        self._consumer.pause([TopicPartition(*tp) for tp in tps])
        self._held.update(tps)

    def _go_on(self, tps: Iterable[TP]) -> None:
        for tp in self._held.intersection(tps):
            self._held.discard(tp)
            self._consumer.resume([TopicPartition(*tp)])

    def _on_assign(self, consumer: Any, partitions: Collection[TopicPartition]) -> None:
        consumer.assign([])
        self._forget()
        self._generation += 1
        self._assigned = frozenset(TP(p.topic, p.partition) for p in partitions)
        self._wait_for(self._told.reader_assigned(set(self._assigned), self._generation))

    def _on_revoke(self, consumer: Any, partitions: Collection[TopicPartition]) -> None:
        self._wait_for(self._told.reader_revoked({TP(p.topic, p.partition) for p in partitions}))
        self._assigned = frozenset()
        self._forget()
        consumer.unassign()

    def _forget(self) -> None:
        with self._lock:
            self._waiting.clear()
        self._read_to = {}
        self._ends = {}
        self._held.clear()

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        if self._stopping:
            work.close()
        else:
            asyncio.run_coroutine_threadsafe(work, self.loop).result(_REBALANCE_S)

    def _on_loop(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop)


def _settle(answer: Future[Answer], step: Callable[[], Answer]) -> None:
    if answer.set_running_or_notify_cancel():
        try:
            answer.set_result(step())
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            answer.set_exception(error)
