"""PostgreSQL ends sessions, lets them wait, undoes their turns and has no room, under load."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import psycopg
import pytest

from schemas.topics import CHANNELS, NORMALIZER, ORDERS, PAYMENTS, PROJECTOR, replies_topic
from streams.reading.refusal import Code
from tests.support.database_faults import DatabaseFaults, SmallDisk
from tests.support.fault_runs import Fault, FaultRun, Faults
from tests.support.pipeline import CONSUMERS, quickly_rebalancing, running_workers
from tests.support.waiting import wait_for
from tierline.domain.outcome import DeadLetterClass
from tierline.kit.settings import Settings
from tierline.local.workers import WORKERS, WorkerGroup
from tierline.verify.reading import TopicReader

VICTIMS = {CONSUMERS[kind]: kind for kind in ("normalizer", "orders", "payments", "projector")}
GATEWAY = "sandbox-gateway"
RATE = 60
ERRORS = {
    Fault.SESSIONS_ENDED: "AdminShutdown",
    Fault.DEADLOCK: "DeadlockDetected",
    Fault.LOCKED_OUT: "LockNotAvailable",
    Fault.NOT_SERIALIZABLE: "SerializationFailure",
    Fault.CANCELED: "QueryCanceled",
    Fault.DISK_FULL: "DiskFull",
}
"""What a worker tells as the cause for which it waits."""
SQLSTATES = {Fault.NOT_SERIALIZABLE: "40001", Fault.CANCELED: "57014", Fault.DISK_FULL: "53100"}
NEEDING_PAGES = (NORMALIZER, ORDERS, PROJECTOR)
"""Without events from the decider, payments has nothing to note: its disk is full by a refusal."""
SEVERAL_PAGES = 200
"""So many events are sure to need another page of the audit trail; a decider on a full disk makes no more."""
OUR_FAULT = frozenset({DeadLetterClass.DEPENDENCY, DeadLetterClass.BUG})


@dataclass(frozen=True, slots=True)
class Harness:
    """Brings about one fault after the other, each on somebody who has records before it."""

    database: DatabaseFaults
    disk: SmallDisk | None
    workers: WorkerGroup
    run: FaultRun
    rng: random.Random

    def sessions_end(self, victim: str) -> None:
        """All sessions of a worker end in the middle of a transaction."""
        others = (GATEWAY,) if victim == PAYMENTS else ()

        def end(met: Callable[[], bool]) -> None:
            assert self.database.end_sessions(victim, *others)
            wait_for(met, f"{victim} misses its sessions")

        self._bring_about(Fault.SESSIONS_ENDED, (victim,), end)

    def deadlock(self, victim: str) -> None:
        """A worker and a second session wait for each other."""
        self._bring_about(Fault.DEADLOCK, (victim,), partial(self.database.deadlock, victim, self.rng))

    def refused(self, victim: str, fault: Fault) -> None:
        """The server says no at the last write of a turn."""
        self._bring_about(fault, (victim,), partial(self.database.refuse, victim, SQLSTATES[fault]))

    def locked_out(self) -> None:
        """No worker gets its leases, for longer than it waits for a lock."""
        downstream_first = (PAYMENTS, PROJECTOR, ORDERS, NORMALIZER)
        lock_out = partial(self.database.lock_out, downstream_first)
        self._bring_about(Fault.LOCKED_OUT, downstream_first, lock_out)

    def disk_full(self) -> None:
        """No worker gets another page of its table."""
        disk = self.disk
        assert disk is not None

        def full(met: Callable[[], bool]) -> None:
            try:
                with self.database.held_back(PROJECTOR):
                    self.run.in_flight.wait_for_work(PROJECTOR, least=SEVERAL_PAGES)
                    disk.fill()
                wait_for(met, "every worker needs a page")
            finally:
                disk.clear()

        self._bring_about(Fault.DISK_FULL, NEEDING_PAGES, full)

    def _bring_about(
        self, fault: Fault, victims: tuple[str, ...], strike: Callable[[Callable[[], bool]], None]
    ) -> None:
        """``strike`` until every victim has told of it; then everybody moves on."""
        for victim in victims:
            self.run.hit(fault, victim, self.run.in_flight.wait_for_work(victim))
        before = {victim: self._told(victim, fault) for victim in victims}
        strike(lambda: all(self._told(victim, fault) > before[victim] for victim in victims))
        self.run.in_flight.wait_for_progress()

    def _told(self, victim: str, fault: Fault) -> int:
        """How often the worker logged the fault's error as why it waits."""
        lines = self.workers[VICTIMS[victim]].log.read_text().splitlines()
        return sum(f"{ERRORS[fault]}(" in line and '"cause"' in line for line in lines)


def rounds_of(harness: Harness) -> list[Callable[[], None]]:
    """Every fault on every worker; where no disk can be mounted, it is full by a refusal for all."""
    rounds: list[Callable[[], None]] = [harness.locked_out]
    full_by_refusal = set(VICTIMS)
    if harness.disk is not None:
        rounds.append(harness.disk_full)
        full_by_refusal -= set(NEEDING_PAGES)
    for victim in VICTIMS:
        refusals = SQLSTATES if victim in full_by_refusal else SQLSTATES.keys() - {Fault.DISK_FULL}
        rounds += [partial(harness.sessions_end, victim), partial(harness.deadlock, victim)]
        rounds += [partial(harness.refused, victim, fault) for fault in sorted(refusals)]
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
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """Every worker meets each fault with work before it, and none ends; each intent has its one outcome."""
    settings = quickly_rebalancing(settings)
    with (
        SmallDisk.under(settings) as disk,
        DatabaseFaults.on(settings) as database,
        running_workers(settings, tmp_path) as workers,
    ):
        with faults.under_load(settings, accounts=400, rate=RATE) as run:
            for strike in rounds_of(Harness(database, disk, workers, run, faults.rng)):
                strike()
        assert [0] * len(WORKERS) == [worker.restarts for worker in workers]

    assert {*product(ERRORS, VICTIMS)} == {(hit.fault, hit.target) for hit in run.hits}
    assert set() == held_against_orders(settings)
    assert run.report.tallies["portal"].completed
