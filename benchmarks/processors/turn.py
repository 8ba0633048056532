"""One turn of one runner: it reads the orders from the beginning, is timed, stops, and is looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import psutil
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from tenacity import stop_after_delay

from benchmarks.processors.assignment import Assignment, Tuning
from benchmarks.processors.outputs import Expected
from benchmarks.processors.runners import Place, Runner
from benchmarks.processors.work import SOURCE
from schemas.topics import COMMANDS, NORMALIZER
from tierline.kit.confluent_broker import ConfluentLog, new_admin
from tierline.kit.database import Connection
from tierline.kit.records import Record
from tierline.kit.retry import BROKER
from tierline.kit.settings import Settings

ASK_S = 10.0
LED = BROKER.copy(stop=stop_after_delay(90))
"""A new topic has no leader for a moment, which is long on a busy machine."""
FIRST_S = 90.0
POLL_S = 0.05

_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call] # as it is shipped
_FORGET = "DELETE FROM oms.lease WHERE consumer = %s"
_POSITIONS = "SELECT partition, next_offset FROM oms.lease WHERE consumer = %s AND topic = %s"


@dataclass(frozen=True, slots=True)
class Part:
    """One runner in one round: commands acknowledged while it was timed, seconds, and CPU of its process.

    ``looked_at``: commands that were compared, all of the turn; ``stored``: orders
    before the positions that it stored.
    """

    runner: str
    records: int
    wall_s: float
    cpu_s: float
    rss_mb: float
    looked_at: int
    repeated: int
    stored: int

    @property
    def figures(self) -> dict[str, float]:
        """The figures of a part by name."""
        return {
            "records_per_s": self.records / self.wall_s,
            "cpu_us_per_record": self.cpu_s / self.records * 1e6,
            "rss_mb": self.rss_mb,
        }


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    records: int
    cpu_s: float


class Turns:
    """Gives runners their turns on topics that hold ``orders`` records. ``seconds``: timed, once warm."""

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        place: Place,
        tuning: Tuning,
        expected: Expected,
        *,
        seconds: float,
        warm_s: float,
    ) -> None:
        self._kafka = settings.kafka
        self._connection = connection
        self._place = place
        self._tuning = tuning
        self._expected = expected
        self._seconds, self._warm_s = seconds, warm_s
        self._admin: AdminClient = new_admin(settings.kafka)
        self._log = ConfluentLog(settings.kafka)
        self._count = 0

    def take(self, runner: Runner) -> Part:
        """One turn. Raises AssertionError where the runner did other work than it had to."""
        self._count += 1
        output = COMMANDS.name if runner.is_ours else self._new_topic()
        prefix = self._kafka.topic_prefix
        told = Assignment(
            servers=self._kafka.bootstrap_servers,
            source=prefix + SOURCE,
            output=prefix + output,
            group=f"{prefix}bench-{self._count}",
            tuning=self._tuning,
        )
        if runner.is_ours:
            self._connection.execute(_FORGET, (NORMALIZER,))
        begun = LED(self._ends, output)
        with runner.running(told, self._place) as pid:
            process = psutil.Process(pid)
            first, last = self._timed(runner, output, begun, process)
            rss_mb = process.memory_info().rss / 1e6
        positions = self._stored() if runner.is_ours else self._committed(told)
        ended = self._ends(output)
        repeated = self._expected.look_at(self._commands(output, begun, ended), positions)
        assert positions, f"{runner.title} stored no position"
        return Part(
            runner=runner.title,
            records=last.records - first.records,
            wall_s=last.at - first.at,
            cpu_s=last.cpu_s - first.cpu_s,
            rss_mb=rss_mb,
            looked_at=sum(ended.values()) - sum(begun.values()),
            repeated=repeated,
            stored=sum(positions.values()),
        )

    # --- the clock ----------------------------------------------------------------------------------------

    def _timed(
        self, runner: Runner, output: str, begun: Mapping[int, int], process: psutil.Process
    ) -> tuple[_Sample, _Sample]:
        before, all_orders = sum(begun.values()), len(self._expected.origins)

        def sample() -> _Sample:
            used = process.cpu_times()
            return _Sample(
                time.perf_counter(), sum(self._ends(output).values()) - before, used.user + used.system
            )

        def until(done: Callable[[_Sample], bool]) -> _Sample:
            while not done(found := sample()):
                assert process.is_running(), f"{runner.title} has ended"
                time.sleep(POLL_S)
            return found

        started = sample()
        if self._warm_s:
            deadline = started.at + FIRST_S
            started = until(lambda now: now.records > 0 or now.at > deadline)
            assert started.records, f"{runner.title} has made nothing for {FIRST_S:.0f} s"
            warm = started.at + self._warm_s + runner.extra_warm_s
            started = until(lambda now: now.at >= warm)
        end = started.at + self._seconds
        last = until(lambda now: now.at >= end or now.records >= all_orders)
        assert last.records > started.records, (
            f"{runner.title} was through before the clock ran: more records"
        )
        return started, last

    # --- what there is ------------------------------------------------------------------------------------

    def _new_topic(self) -> str:
        name = f"bench.{self._count}"
        topic = NewTopic(self._kafka.topic_prefix + name, self._kafka.partitions, 1)
        for made in self._admin.create_topics([topic], operation_timeout=ASK_S).values():
            made.result()
        return name

    def _ends(self, topic: str) -> dict[int, int]:
        wire = self._kafka.topic_prefix + topic
        asked = {TopicPartition(wire, p): _LATEST for p in range(self._kafka.partitions)}
        answers = self._admin.list_offsets(asked, request_timeout=ASK_S)
        return {place.partition: answer.result().offset for place, answer in answers.items()}

    def _commands(self, topic: str, begun: Mapping[int, int], ended: Mapping[int, int]) -> Iterator[Record]:
        for partition, end in ended.items():
            yield from self._log.read(topic, partition, begun[partition], end)

    def _stored(self) -> dict[int, int]:
        return dict(self._connection.execute(_POSITIONS, (NORMALIZER, SOURCE)).fetchall())

    def _committed(self, told: Assignment) -> dict[int, int]:
        asked = ConsumerGroupTopicPartitions(told.group)
        [answer] = self._admin.list_consumer_group_offsets([asked], request_timeout=ASK_S).values()
        places = answer.result().topic_partitions
        return {place.partition: place.offset for place in places if place.offset >= 0}
