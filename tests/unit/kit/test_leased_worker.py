"""The loop that all workers share: takes leases, commits turns, waits out outages, isolates bugs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
import structlog

from tierline.kit.clock import FakeClock
from tierline.kit.errors import NotForAll, PositionOutsideLog, Unavailable
from tierline.kit.health import Health, Reason
from tierline.kit.leased_worker import Batch, Closed, LeasedWorker
from tierline.kit.leases import Lease, Progress
from tierline.kit.memory_broker import MemoryBroker, MemoryConsumer
from tierline.kit.memory_leases import MemoryLeases, MemorySession
from tierline.kit.records import Message
from tierline.kit.telemetry import Metrics

GROUP, TOPIC = "tierline-test", "t"
LONG_MS = 60_000


class Summing:
    """A handler that adds up what it commits, and fails when a test wants it to."""

    def __init__(self) -> None:
        self.seen: dict[int, list[bytes]] = {}
        self.calls: list[str] = []
        self.errors: dict[bytes, Exception] = {}
        self.closed: set[int] = set()
        self.stop_before: bytes | None = None
        self.while_comparing: Callable[[], object] = lambda: None
        self._staged: dict[int, list[bytes]] = {}

    def assigned(self, connection: object, lease: Lease) -> Lease | Closed:
        self.calls.append(f"assigned {lease.partition}")
        self.while_comparing()
        return Closed("topic and store differ", "look") if lease.partition in self.closed else lease

    def process(
        self, connection: MemorySession, batch: Batch, leases: Mapping[int, Lease]
    ) -> dict[int, Progress]:
        moves = {}
        for partition, records in batch.items():
            taken = []
            for record in records:
                value = record.value or b""
                if value in self.errors:
                    raise self.errors[value]
                if value == self.stop_before:
                    break
                taken.append(record)
            if taken:
                self._staged[partition] = [r.value or b"" for r in taken]
                moves[partition] = Progress(taken[-1].offset + 1)
        return moves

    def committed(self) -> None:
        for partition, values in self._staged.items():
            self.seen.setdefault(partition, []).extend(values)
        self._staged = {}

    def reset(self, partitions: Collection[int]) -> None:
        self.calls.extend(f"reset {p}" for p in sorted(partitions))
        for partition in partitions:
            self._staged.pop(partition, None)


@dataclass
class Setup:
    """A worker with its twins, joined to its group."""

    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker(partitions=3))
    leases: MemoryLeases = field(default_factory=MemoryLeases)
    clock: FakeClock = field(default_factory=FakeClock)
    handler: Summing = field(default_factory=Summing)
    metrics: Metrics = field(default_factory=Metrics)
    health: Health = field(init=False)
    sessions: list[MemorySession] = field(default_factory=list)
    database_is_away: bool = False

    def __post_init__(self) -> None:
        self.consumer = MemoryConsumer(self.broker)
        self.health = Health([], self.clock.now_ms)
        self.worker = LeasedWorker(
            group=GROUP,
            topic=TOPIC,
            handler=self.handler,  # type: ignore[arg-type] # the twin of a session
            consumer=self.consumer,
            connect=self._connect,  # type: ignore[arg-type]
            metrics=self.metrics,
            health=self.health,
            batch_records=10,
            clock=self.clock,
            lease_store=self.leases,
        )
        self.worker.join()

    def _connect(self) -> MemorySession:
        if self.database_is_away:
            raise psycopg.OperationalError("connection refused")
        self.sessions.append(MemorySession())
        return self.sessions[-1]

    def publish(self, *values: bytes, partition: int = 0) -> None:
        for value in values:
            self.broker.append(Message(TOPIC, b"k", value, partition))

    def assign(self, *partitions: int) -> None:
        """The group gives partitions; the worker has heard and taken them afterwards."""
        self.consumer.assign(partitions)
        self.worker.turn()
        self.worker.turn()

    def row(self, partition: int = 0) -> Lease:
        return self.leases.rows[GROUP, TOPIC, partition]

    def gauge(self, name: str, partition: int = 0) -> float | None:
        labels = {"consumer": GROUP, "topic": TOPIC, "partition": str(partition)}
        return self.metrics.registry.get_sample_value(f"oms_partition_{name}", labels)

    def stalled(self, partition: int) -> float | None:
        return self.gauge("stalled", partition)

    def closed(self, partition: int) -> float | None:
        return self.gauge("closed", partition)

    @property
    def readiness(self) -> str:
        return self.health.ready().reason


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_a_first_lease_starts_at_the_start_of_the_log(setup: Setup) -> None:
    """No row means log start, also where retention has removed the first offsets."""
    setup.publish(b"a", b"b", b"c")
    setup.consumer.cut_log(0, 1)

    setup.assign(0)

    assert {0: [b"b", b"c"]} == setup.handler.seen
    assert 3 == setup.row().next_offset


def test_a_known_lease_continues_where_it_stands(setup: Setup) -> None:
    """What another process committed is not read again; the epoch goes up by one."""
    setup.publish(b"a", b"b")
    setup.assign(0)
    setup.publish(b"c")

    successor = Setup(broker=setup.broker, leases=setup.leases)
    successor.assign(0)

    assert {0: [b"c"]} == successor.handler.seen
    assert (2, 3) == (successor.row().epoch, successor.row().next_offset)


@pytest.mark.parametrize("next_offset", [1, 9])
def test_a_position_outside_the_log_ends_the_worker(setup: Setup, next_offset: int) -> None:
    """Neither lost records nor a topic made anew are passed over in silence."""
    setup.publish(b"a", b"b", b"c")
    setup.consumer.cut_log(0, 2)
    setup.leases.rows[GROUP, TOPIC, 0] = Lease(GROUP, TOPIC, 0, 1, None, next_offset)  # type: ignore[arg-type]

    with pytest.raises(PositionOutsideLog, match=f"partition 0 at offset {next_offset}"):
        setup.assign(0)


def test_a_holder_that_goes_on_while_its_lease_is_taken_leaves_no_position_outside_the_log(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log was looked at before the lease was taken; between the two a record came and was worked on."""
    acquire = setup.leases.acquire

    def after_the_other(*place: Any) -> Lease:
        setup.publish(b"theirs")
        setup.leases.rows[GROUP, TOPIC, 0] = Lease(GROUP, TOPIC, 0, 1, None, 1)  # type: ignore[arg-type]
        return acquire(*place)

    monkeypatch.setattr(setup.leases, "acquire", after_the_other)

    setup.assign(0)
    setup.publish(b"ours")
    setup.worker.turn()

    assert {0: [b"ours"]} == setup.handler.seen


def test_a_turn_is_one_commit_for_all_partitions(setup: Setup) -> None:
    """Records of several partitions move their leases together."""
    setup.publish(b"a", partition=0)
    setup.publish(b"b", b"c", partition=1)

    setup.assign(0, 1)

    assert {0: [b"a"], 1: [b"b", b"c"]} == setup.handler.seen
    assert (1, 2) == (setup.row(0).next_offset, setup.row(1).next_offset)


def test_records_after_a_decision_boundary_come_again(setup: Setup) -> None:
    """What the handler left is given again, together with what follows, and is committed once."""
    setup.handler.stop_before = b"b"
    setup.publish(b"a", b"b")
    setup.assign(0)
    assert 1 == setup.row().next_offset

    setup.handler.stop_before = None
    setup.publish(b"c")
    setup.worker.turn()

    assert {0: [b"a", b"b", b"c"]} == setup.handler.seen


def test_a_closed_partition_reads_nothing_and_pages(setup: Setup) -> None:
    """A handler that refuses a partition keeps it closed until the next assignment."""
    setup.handler.closed = {0}
    setup.publish(b"a")

    setup.assign(0)

    assert {} == setup.handler.seen
    assert setup.closed(0) == 1
    assert Reason.STALLED == setup.readiness
    setup.handler.closed = set()
    setup.consumer.revoke([0])
    setup.assign(0)
    assert {0: [b"a"]} == setup.handler.seen
    assert setup.closed(0) == 0


def test_a_partition_that_was_taken_while_it_was_compared_is_nobodys_damage(setup: Setup) -> None:
    """What a frozen process compares is out of date: it pages nobody, and takes the lease again if it may."""
    setup.handler.closed = {0}
    setup.handler.while_comparing = lambda: _taken_by_another(setup)
    setup.publish(b"a")

    setup.assign(0)

    assert setup.closed(0) != 1
    assert setup.readiness != Reason.STALLED
    setup.handler.closed, setup.handler.while_comparing = set(), lambda: None
    setup.clock.advance(60_000)
    setup.worker.turn()
    setup.worker.turn()
    assert {0: [b"a"]} == setup.handler.seen


def _taken_by_another(setup: Setup) -> None:
    session = MemorySession()
    setup.leases.acquire(session, GROUP, TOPIC, 0, 0)
    session.commit()


def test_a_bug_stops_its_own_partition_only(setup: Setup) -> None:
    """The others of the same turn are committed; the stalled one keeps its lease position and pages."""
    setup.handler.errors[b"bad"] = RuntimeError("a bug")
    setup.publish(b"bad", partition=0)
    setup.publish(b"good", partition=1)

    setup.assign(0, 1)
    setup.publish(b"more", partition=0)
    setup.publish(b"more", partition=1)
    setup.worker.turn()

    assert {1: [b"good", b"more"]} == setup.handler.seen
    assert 0 == setup.row(0).next_offset
    assert "reset 1" in setup.handler.calls
    assert (1, 0) == (setup.stalled(0), setup.stalled(1))
    assert Reason.STALLED == setup.readiness


def test_a_stalled_partition_starts_again_with_its_next_assignment(setup: Setup) -> None:
    """After a corrected deployment the partition continues at the record where it stopped."""
    setup.handler.errors[b"bad"] = RuntimeError("a bug")
    setup.publish(b"bad")
    setup.assign(0)
    setup.handler.errors.clear()

    setup.consumer.revoke([0])
    setup.assign(0)

    assert {0: [b"bad"]} == setup.handler.seen
    assert setup.stalled(0) == 0


def test_an_outage_is_waited_out_without_an_effect_on_records(setup: Setup) -> None:
    """When something is away everything stands still, then the same records are read again."""
    setup.handler.errors[b"a"] = Unavailable("registry away")
    setup.publish(b"a", b"b")
    setup.assign(0)
    setup.worker.turn()
    assert {} == setup.handler.seen
    assert setup.stalled(0) == 0
    assert Reason.DEPENDENCY == setup.readiness

    setup.handler.errors.clear()
    setup.clock.advance(LONG_MS)
    setup.worker.turn()
    setup.worker.turn()

    assert {0: [b"a", b"b"]} == setup.handler.seen
    assert "reset 0" in setup.handler.calls
    assert Reason.SERVING == setup.readiness


def test_what_only_some_records_need_stops_their_partition_alone(setup: Setup) -> None:
    """The others of the same turn are committed, and go on while it waits."""
    setup.handler.errors[b"needs"] = NotForAll("registry away")
    setup.publish(b"needs", partition=0)
    setup.publish(b"good", partition=1)

    setup.assign(0, 1)
    setup.publish(b"more", partition=0)
    setup.publish(b"more", partition=1)
    setup.worker.turn()

    assert {1: [b"good", b"more"]} == setup.handler.seen
    assert (0, 1) == (setup.row(0).next_offset, setup.row(1).epoch)
    assert setup.stalled(0) == 0
    assert Reason.DEPENDENCY == setup.readiness

    setup.handler.errors.clear()
    setup.clock.advance(LONG_MS)
    setup.worker.turn()
    setup.worker.turn()

    assert {0: [b"needs", b"more"], 1: [b"good", b"more"]} == setup.handler.seen
    assert Reason.SERVING == setup.readiness


def test_a_partition_that_waits_alone_waits_longer_each_time(setup: Setup) -> None:
    """Although the others go on, it is not tried again all the time."""
    setup.handler.errors[b"needs"] = NotForAll("registry away")
    setup.publish(b"needs", partition=0)
    setup.assign(0, 1)
    for _ in range(100):
        setup.clock.advance(100)
        setup.publish(b"good", partition=1)
        setup.worker.turn()

    assert 100 == len(setup.handler.seen[1])
    assert setup.row(0).epoch < 12


def test_nothing_is_tried_before_the_wait_is_over(setup: Setup) -> None:
    """The loop keeps its group membership while it waits, and asks nobody."""
    setup.database_is_away = True
    setup.publish(b"a")
    setup.assign(0)
    setup.database_is_away = False

    setup.worker.turn()
    assert [] == setup.sessions

    setup.clock.advance(LONG_MS)
    setup.worker.turn()
    assert {0: [b"a"]} == setup.handler.seen


def test_an_error_at_commit_drops_memory_and_reads_again(setup: Setup) -> None:
    """Whether a failed commit happened is asked from the lease row, not guessed."""
    setup.assign(0)
    setup.sessions[-1].fail_commit = psycopg.OperationalError("server closed the connection")
    setup.publish(b"a")
    setup.worker.turn()
    assert {} == setup.handler.seen

    setup.clock.advance(LONG_MS)
    setup.worker.turn()
    setup.worker.turn()

    assert {0: [b"a"]} == setup.handler.seen
    assert 2 == setup.row().epoch


def test_a_worker_whose_lease_was_taken_commits_nothing(setup: Setup) -> None:
    """A process that wakes up after its partition moved cannot move the lease."""
    setup.assign(0)
    successor = Setup(broker=setup.broker, leases=setup.leases)
    successor.assign(0)
    setup.publish(b"a")

    setup.worker.turn()

    assert {} == setup.handler.seen
    assert 0 == setup.row().next_offset
    successor.worker.turn()
    assert {0: [b"a"]} == successor.handler.seen


def test_a_conflict_with_another_partition_is_decided_again(setup: Setup) -> None:
    """A row that somebody else wrote first is no bug: memory is dropped and the records are read again."""
    setup.handler.errors[b"a"] = psycopg.errors.UniqueViolation("external_ref_subscription")
    setup.publish(b"a")
    setup.assign(0)
    setup.handler.errors.clear()

    setup.clock.advance(LONG_MS)
    setup.worker.turn()
    setup.worker.turn()

    assert {0: [b"a"]} == setup.handler.seen


def test_a_conflict_that_does_not_pass_is_a_bug(setup: Setup) -> None:
    """A handler that always writes the same row twice is stopped rather than tried for ever."""
    setup.handler.errors[b"a"] = psycopg.errors.UniqueViolation("event_pkey")
    setup.publish(b"a")
    setup.assign(0)

    for _ in range(10):
        setup.clock.advance(LONG_MS)
        setup.worker.turn()

    assert setup.stalled(0) == 1


def test_a_revoked_partition_is_forgotten(setup: Setup) -> None:
    """Nothing of a partition that went away reaches the handler, and the handler hears of it."""
    setup.assign(0)
    setup.consumer.revoke([0])
    setup.publish(b"a")

    setup.worker.turn()
    setup.worker.turn()

    assert {} == setup.handler.seen
    assert "reset 0" == setup.handler.calls[-1]


def test_an_error_after_the_commit_ends_the_process(setup: Setup) -> None:
    """What was committed but not told is told by the next process; going on would lose it."""

    def fail() -> None:
        raise RuntimeError("cannot publish")

    setup.assign(0)
    setup.handler.committed = fail  # type: ignore[method-assign]
    setup.publish(b"a")

    with pytest.raises(RuntimeError, match="cannot publish"):
        setup.worker.turn()
    assert 1 == setup.row().next_offset


def test_leaving_tells_the_positions_to_lag_tools(setup: Setup) -> None:
    """Kafka's own commits follow the lease; nobody reads them but lag tools."""
    setup.publish(b"a")
    setup.assign(0)

    setup.worker.leave()

    assert {0: 1} == setup.consumer.committed
    assert setup.consumer.closed
    assert all(session.closed for session in setup.sessions)


def test_a_worker_has_started_when_it_took_what_the_group_gave(setup: Setup) -> None:
    """Being a member is not enough, and a partition that waits for the database is not taken."""
    setup.database_is_away = True
    setup.worker.turn()
    assert not setup.health.started().ok

    setup.assign(0)
    assert not setup.health.started().ok

    setup.database_is_away = False
    setup.clock.advance(LONG_MS)
    setup.worker.turn()
    setup.worker.turn()
    assert setup.health.started().ok


def test_a_member_without_partitions_has_started_too(setup: Setup) -> None:
    """More workers than partitions is a way to have spare ones."""
    setup.assign()
    assert Reason.SERVING == setup.readiness


def test_every_turn_is_a_heartbeat(setup: Setup) -> None:
    """A loop that does not come round is noticed from outside it."""
    setup.assign(0)
    setup.clock.advance(LONG_MS)
    assert not setup.health.live().ok

    setup.worker.turn()
    assert setup.health.live().ok


def test_the_oldest_unprocessed_record_is_as_old_as_the_broker_says(setup: Setup) -> None:
    """While one waits its own time stands; with nothing to do the time is now, however long that lasts."""
    written_ms = setup.clock.now_ms()
    setup.handler.errors[b"a"] = Unavailable("registry away")
    setup.broker.append(Message(TOPIC, b"k", b"a", 0), timestamp_ms=written_ms)
    setup.assign(0)
    assert written_ms / 1000 == setup.gauge("oldest_unprocessed_timestamp_seconds")

    setup.handler.errors.clear()
    for _ in range(3):
        setup.clock.advance(LONG_MS)
        setup.worker.turn()
    assert setup.clock.now_ms() / 1000 == setup.gauge("oldest_unprocessed_timestamp_seconds")
    assert setup.gauge("lag_records") == 0


def test_nothing_is_told_about_a_partition_of_somebody_else(setup: Setup) -> None:
    """Its numbers are the new holder's to tell: two tellers would be added up."""
    setup.publish(b"a")
    setup.assign(0)
    setup.consumer.revoke([0])
    setup.worker.turn()

    names = ("lag_records", "stalled", "closed", "last_progress_timestamp_seconds")
    assert [None] * 4 == [setup.gauge(name) for name in names]


@pytest.mark.parametrize("partitions", [1, 2], ids=["stall", "split turn"])
def test_no_word_of_an_error_reaches_log_or_health(setup: Setup, partitions: int) -> None:
    """It may quote a payload; its type and our innermost function are told."""
    for error in (ValueError("zoe.canary"), psycopg.errors.UniqueViolation("Key (x)=(zoe.canary) exists")):
        setup.handler.errors[b"bad"] = error
        for partition in range(partitions):
            setup.publish(b"bad", partition=partition)
        with structlog.testing.capture_logs() as logs:
            setup.assign(*range(partitions))
            for _ in range(10):
                setup.clock.advance(LONG_MS)
                setup.worker.turn()
        setup.consumer.revoke(range(partitions))

        stalls = [line for line in logs if line["event"] == "partition_stalled"]
        assert partitions == len(stalls)
        assert f"{type(error).__qualname__} in tierline.kit.leased_worker:" in stalls[0]["error"]
        assert any(place.startswith("tests") or "process" in place for place in stalls[0]["frames"])
        assert "canary" not in f"{logs}{setup.health.ready()}"
