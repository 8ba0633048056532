"""One frame for faults under load: orders come, each fault is noted with what it hit, the end is checked."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from tests.support.fault_table import PROPERTY, Row
from tests.support.pipeline import InFlight, Traffic, opened_samples, seeded, settled_and_clean
from tierline.kit.settings import Settings
from tierline.verify.check import Report
from tierline.verify.client_log import read_client_log
from tierline.verify.evidence import Harm
from tierline.workload.orders import MIX
from tierline.workload.records import Kind

NAME = "faults"
EVER = sys.maxsize
"""Orders without an end: the traffic goes on until it is told to finish."""


class Fault(StrEnum):
    """What is done to the pipeline."""

    KILLED = "kill -9 of a worker"
    RESTARTED = "SIGTERM of a worker"
    FROZEN = "a worker frozen in a turn until others have its partitions"
    DIED_BETWEEN_STEPS = "death between two steps of a turn"
    SESSIONS_ENDED = "PostgreSQL ends all sessions of a worker"
    DEADLOCK = "deadlock with another session"
    LOCKED_OUT = "a lock that does not come in time"
    NOT_SERIALIZABLE = "serialization failure (40001)"
    CANCELED = "cancelled statement (57014)"
    DISK_FULL = "disk full (53100)"
    SLOW_LINK = "slow link"
    SILENT_LINK = "silent link"
    CUT_LINK = "cut link"
    RESET_LINK = "reset link"
    BROKER_KILLED = "kill -9 of the broker"
    DATABASE_STOPPED = "immediate stop of PostgreSQL"
    BROKEN_DEPLOY = "a deploy that breaks a channel"
    REBALANCED = "a worker leaves and joins again"
    REGISTRY_KILLED = "kill -9 of the schema registry"
    LEADER_KILLED = "kill -9 of the broker that leads, of three"
    CONTROLLER_KILLED = "kill -9 of the broker whose controller leads, of three"
    BUILT_ANEW = "a read model is built anew and swapped"
    SNAPSHOTS_DROPPED = "all snapshots are dropped, and the decider is killed"
    NO_DEAD_LETTERS = "the dead-letter topic goes away"


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that was brought about, on whom, and how many records were before it at that moment."""

    fault: Fault
    target: str
    records: int


@dataclass
class FaultRun:
    """What hit whom in one run.

    There when it has ended: ``report``, what the check said; ``records``, order intents that were published.
    """

    in_flight: InFlight
    hits: list[Hit] = field(default_factory=list)
    report: Report = field(init=False)
    records: int = field(init=False)

    def hit(self, fault: Fault, target: str, records: int) -> None:
        """Note a fault on ``target``, which has ``records`` before it; without any the run does not count."""
        assert records, f"{target} had nothing before it when it met: {fault}. The run does not count"
        self.hits.append(Hit(fault, target, records))

    def idle(self, fault: Fault, target: str) -> None:
        """Note a fault on ``target``, which has nothing to do in this run."""
        self.hits.append(Hit(fault, target, 0))

    def rows(self, test: str, seed: int) -> list[Row]:
        """What the run came to, for the fault table."""
        suffered = [self.report.suffered(harm) for harm in (Harm.LOST, Harm.TWICE, Harm.OUT_OF_ORDER)]
        met = Counter(hit.fault for hit in self.hits)
        hits = Counter(hit.fault for hit in self.hits if hit.records)
        return [
            Row(test, seed, fault.value, met[fault], hits[fault], self.records, *suffered) for fault in met
        ]

    def hits_in_flight(self) -> int:
        """How many faults met somebody who had records before it."""
        return sum(hit.records > 0 for hit in self.hits)


@dataclass
class Faults:
    """What a fault test plays with: its seed, its rounds, and load for as long as it wants to break things.

    ``test``: its name, under which ``record`` hears what a run came to. ``folder``: for logs and the client's
    own log of its orders.
    """

    test: str
    record: Callable[[str, object], None]
    folder: Path
    asked_seed: int | None
    asked_rounds: int | None

    @cached_property
    def _seeded(self) -> tuple[random.Random, int]:
        return seeded(self.asked_seed)

    @property
    def rng(self) -> random.Random:
        """Every choice of the test is drawn from it."""
        return self._seeded[0]

    @property
    def seed(self) -> int:
        """What ``rng`` and the orders come from."""
        return self._seeded[1]

    def rounds(self, usual: int) -> int:
        """How often each fault strikes: what ``--rounds`` asks for, or ``usual``."""
        return self.asked_rounds or usual

    @contextmanager
    def under_load(
        self,
        settings: Settings,
        *,
        accounts: int,
        rate: float,
        mix: Mapping[Kind, float] = MIX,
        client: Settings | None = None,
        others: Sequence[Path] = (),
        settle_s: float = 120.0,
    ) -> Iterator[FaultRun]:
        """``rate`` orders a second of ``accounts`` subscriptions while the block runs; workers run already.

        Behind the block everything has its one outcome, within ``settle_s``, and the check found nothing
        broken. ``mix``: the shares of orders with some trouble; ``client``: settings of who publishes;
        ``others``: logs of other clients.
        """
        samples = opened_samples(settings, accounts, self.seed, NAME)
        publishing = Traffic(client or settings, samples, self.seed, EVER, rate, self.folder, NAME, mix)
        with publishing as traffic:
            run = FaultRun(InFlight(settings))
            yield run
            assert traffic.running, "the traffic ended before the last fault: the run does not count"
            traffic.finish()
        report = settled_and_clean(settings, traffic, settle_s, others)
        orders = [order for log in (traffic.log, *others) for order in read_client_log(log)]
        self.ended(run, report, sum(order.intents for order in orders))

    def ended(self, run: FaultRun, report: Report, records: int) -> None:
        """``records`` order intents were published, and the check found nothing broken: the run counts."""
        assert run.hits_in_flight(), "no fault hit anything: the run does not count"
        run.report, run.records = report, records
        self.record(PROPERTY, [asdict(row) for row in run.rows(self.test, self.seed)])
