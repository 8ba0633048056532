"""PostgreSQL ends sessions, lets them wait, undoes their turns and has no room, under load."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
import pytest

from schemas.topics import CHANNELS, NORMALIZER, ORDERS, PAYMENTS, PROJECTOR, replies_topic
from streams.reading.refusal import Code
from tests.support.database_faults import DatabaseFaults, SmallDisk
from tests.support.pipeline import (
    CONSUMERS,
    InFlight,
    Traffic,
    opened_samples,
    quickly_rebalancing,
    running_workers,
    seeded,
    settled_and_clean,
)
from tests.support.waiting import wait_for
from tierline.domain.outcome import DeadLetterClass
from tierline.kit.settings import Settings
from tierline.local.workers import WORKERS, WorkerGroup
from tierline.verify.reading import TopicReader

VICTIMS = {CONSUMERS[kind]: kind for kind in ("normalizer", "orders", "payments", "projector")}
GATEWAY = "sandbox-gateway"
RATE = 60
REFUSED = {"40001": "SerializationFailure", "57014": "QueryCanceled"}
DISK_FULL = {"53100": "DiskFull"}
NEEDING_PAGES = (NORMALIZER, ORDERS, PROJECTOR)
"""Without events from the decider, payments has nothing to note: its disk is full by a refusal."""
OUR_FAULT = frozenset({DeadLetterClass.DEPENDENCY, DeadLetterClass.BUG})


@dataclass(frozen=True, slots=True)
class Hit:
    """What a fault met: records before the workers, and how often the victims told of it."""

    fault: str
    victims: tuple[str, ...]
    records: int
    told: int


@dataclass(frozen=True, slots=True)
class Harness:
    """Brings about one fault after the other and notes what each met."""

    faults: DatabaseFaults
    disk: SmallDisk | None
    workers: WorkerGroup
    in_flight: InFlight
    rng: random.Random

    def sessions_end(self, victim: str) -> Hit:
        """All sessions of a worker end in the middle of a transaction."""
        others = (GATEWAY,) if victim == PAYMENTS else ()

        def end(met: Callable[[], bool]) -> None:
            assert self.faults.end_sessions(victim, *others)
            wait_for(met, f"{victim} misses its sessions")

        return self._hit("AdminShutdown", (victim,), end)

    def deadlock(self, victim: str) -> Hit:
        """A worker and a second session wait for each other."""
        return self._hit("DeadlockDetected", (victim,), partial(self.faults.deadlock, victim, self.rng))

    def refused(self, victim: str, sqlstate: str, error: str) -> Hit:
        """The server says ``sqlstate`` at the last write of a turn."""
        return self._hit(error, (victim,), partial(self.faults.refuse, victim, sqlstate))

    def locked_out(self) -> Hit:
        """No worker gets its leases, for longer than it waits for a lock."""
        downstream_first = (PAYMENTS, PROJECTOR, ORDERS, NORMALIZER)
        return self._hit(
            "LockNotAvailable", downstream_first, partial(self.faults.lock_out, downstream_first)
        )

    def disk_full(self) -> Hit:
        """No worker gets another page of its table."""
        disk = self.disk
        assert disk is not None

        def full(met: Callable[[], bool]) -> None:
            disk.fill()
            try:
                wait_for(met, "every worker needs a page")
            finally:
                disk.clear()

        return self._hit("DiskFull", NEEDING_PAGES, full)

    def _hit(
        self, error: str, victims: tuple[str, ...], bring_about: Callable[[Callable[[], bool]], None]
    ) -> Hit:
        """Bring a fault about until every victim has told ``error``."""
        wait_for(lambda: self.in_flight.records() > 0, "records to meet the fault")
        records = self.in_flight.records()
        before = {victim: self._told(victim, error) for victim in victims}
        bring_about(lambda: all(self._told(victim, error) > before[victim] for victim in victims))
        self.in_flight.wait_for_progress()
        told = sum(self._told(victim, error) - before[victim] for victim in victims)
        return Hit(error, victims, records, told)

    def _told(self, victim: str, error: str) -> int:
        """How often the worker logged ``error`` as why it waits."""
        lines = self.workers[VICTIMS[victim]].log.read_text().splitlines()
        return sum(f"{error}(" in line and '"cause"' in line for line in lines)


def rounds_of(harness: Harness) -> list[Callable[[], Hit]]:
    """Every fault on every worker; where no disk can be mounted, it is full by a refusal for all."""
    rounds: list[Callable[[], Hit]] = [harness.locked_out]
    full_by_refusal = set(VICTIMS)
    if harness.disk is not None:
        rounds.append(harness.disk_full)
        full_by_refusal -= set(NEEDING_PAGES)
    for victim in VICTIMS:
        refusals = REFUSED | (DISK_FULL if victim in full_by_refusal else {})
        rounds += [partial(harness.sessions_end, victim), partial(harness.deadlock, victim)]
        rounds += [partial(harness.refused, victim, *refusal) for refusal in refusals.items()]
    harness.rng.shuffle(rounds)
    return rounds


def held_against_orders(settings: Settings) -> set[str]:
    """Why orders were held or died, as far as it is no fault of theirs."""
    reader = TopicReader(settings.kafka.bootstrap_servers, settings.kafka.topic_prefix)
    told = [json.loads(r.value or b"{}") for c in CHANNELS for r in reader.read(replies_topic(c))]
    held = {reason["code"] for reply in told if reply["outcome"] == "held" for reason in reply["reasons"]}
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        classes = {name for (name,) in connection.execute("SELECT class FROM deadletter.verdict")}
    return held & {Code.LOOK_UP_FAILED} | classes & OUR_FAULT


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_sessions_that_end_wait_or_are_undone_lose_nothing(
    settings: Settings, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Every worker meets each fault with work before it, and none ends; each intent has its one outcome."""
    rng, seed = seeded(pytestconfig.getoption("--seed"))
    settings = quickly_rebalancing(settings)
    in_flight = InFlight(settings)
    hits: list[Hit] = []
    with ExitStack() as resources:
        disk = resources.enter_context(SmallDisk.under(settings))
        faults = resources.enter_context(DatabaseFaults.on(settings))
        workers = resources.enter_context(running_workers(settings, tmp_path))
        samples = opened_samples(settings, 400, seed, "database")
        rounds = rounds_of(Harness(faults, disk, workers, in_flight, rng))
        with Traffic(settings, samples, seed, 20_000, RATE, tmp_path, name="database") as traffic:
            for strike in rounds:
                hits.append(strike())
                print(hits[-1])  # noqa: T201 - pytest shows it with a failure
            assert traffic.running, "the traffic ended before the last fault: the run does not count"
            traffic.finish()
        report = settled_and_clean(settings, traffic)
        assert [0] * len(WORKERS) == [worker.restarts for worker in workers]

    assert len(rounds) == len(hits)
    assert all(hit.records and hit.told >= len(hit.victims) for hit in hits), hits
    assert set() == held_against_orders(settings)
    assert report.tallies["portal"].completed
