"""A whole pipeline for one test: prepared servers, workers of its own, traffic, and the final check."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from schemas.topics import NORMALIZER, ORDERS, PAYMENTS, PROJECTOR, REPLIES, TRIAGE
from tests.support.stack import environment_of
from tests.support.waiting import wait_for
from tests.support.worker_health import held_by
from tierline import bootstrap
from tierline.kit.clock import SystemClock
from tierline.kit.settings import Settings
from tierline.local.workers import WORKERS, Worker, WorkerGroup
from tierline.verify.check import Report, check
from tierline.verify.client_log import read_client_log
from tierline.verify.waiting import ProgressReader, Remaining
from tierline.workload.accounts import SampleSubscription, sample_subscriptions
from tierline.workload.client_log import ClientLog
from tierline.workload.orders import MIX, SampleOrders
from tierline.workload.publishing import OpenLoop
from tierline.workload.records import Kind
from tierline.workload.running import open_samples, target_of

QUICK_SESSION_MS = 3_000
SHARED_WORK = (*WORKERS, "normalizer", "normalizer", "orders", "projector")
"""Three normalizers, two deciders, two projectors and one of each other worker."""
CONSUMERS = {
    "normalizer": NORMALIZER,
    "orders": ORDERS,
    "payments": PAYMENTS,
    "replies": REPLIES,
    "projector": PROJECTOR,
    "triage": TRIAGE,
}
"""Under which name each kind of worker reads."""


def quickly_rebalancing(settings: Settings, **payment: float) -> Settings:
    """The settings with a short session timeout, so that a killed member is missed soon."""
    kafka = settings.kafka.model_copy(
        update={"session_timeout_ms": QUICK_SESSION_MS, "heartbeat_interval_ms": 500}
    )
    return settings.model_copy(
        update={"kafka": kafka, "payment": settings.payment.model_copy(update=payment)}
    )


@contextmanager
def running_workers(settings: Settings, logs: Path, kinds: Sequence[str] = WORKERS) -> Iterator[WorkerGroup]:
    """Topics, tables and subjects made, and one worker running each time that a kind is named."""
    bootstrap.prepare(settings)
    logs.mkdir(parents=True, exist_ok=True)
    with WorkerGroup(kinds, logs, environment_of(settings)) as workers:
        yield workers


def opened_samples(settings: Settings, count: int, seed: int, name: str) -> list[SampleSubscription]:
    """``count`` sample subscriptions, opened through the running workers."""
    today = datetime.now(UTC).date()
    samples = list(sample_subscriptions(count, seed, today, bootstrap.catalog(settings), name))
    open_samples(settings, samples, lambda *_: None)
    return samples


@dataclass
class Traffic:
    """Orders published in the background; the client's own log of them is in folder ``logs``.

    It goes on until ``finish``, at most ``intents`` of them; the block ends when it has ended. ``mix``: the
    shares of orders with some trouble.
    """

    settings: Settings
    samples: list[SampleSubscription]
    seed: int
    intents: int
    rate: float
    logs: Path
    name: str = "faults"
    mix: Mapping[Kind, float] = field(default_factory=lambda: MIX)
    _thread: threading.Thread = field(init=False)
    _error: BaseException | None = field(init=False, default=None)
    _enough: threading.Event = field(init=False, default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="traffic")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.finish()
        self._thread.join()
        if self._error is None:
            return
        if error is None:
            raise self._error
        error.add_note(f"The traffic ended with {self._error!r}")

    def finish(self) -> None:
        """No more orders after the one in hand."""
        self._enough.set()

    @property
    def log(self) -> Path:
        """What the client sent and heard."""
        return self.logs / "client.ndjson"

    @property
    def running(self) -> bool:
        """Whether records are still being published."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            orders = SampleOrders(self.samples, self.seed, self.name, mix=dict(self.mix))
            records = takewhile(lambda _: not self._enough.is_set(), orders.take(self.intents))
            with ClientLog(self.log, self.name) as log:
                loop = OpenLoop(bootstrap.producer(self.settings, "traffic"), SystemClock(), self.rate, log)
                for publication in loop.run(records):
                    del publication
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self._error = error


@dataclass
class InFlight:
    """Looks at what is under way, so that a fault can be shown to have hit something."""

    settings: Settings

    def remaining(self) -> list[Remaining]:
        """What every consumer still has before it."""
        with self._progress() as progress:
            return progress.remaining()

    def wait_for_work(self, consumer: str, worker: Worker | None = None, least: int = 1) -> int:
        """Wait until ``consumer`` has ``least`` records before it; returns how many it has.

        With ``worker``: in the partitions that this one of its workers has.
        """

        def found() -> int:
            held = None if worker is None else held_by(worker)
            records = sum(
                part.records
                for part in progress.before(consumer)
                if held is None or (part.topic, part.partition) in held
            )
            return records if records >= least else 0

        with self._progress() as progress:
            return wait_for(found, f"{worker.name if worker else consumer} has something to do")

    def wait_for_progress(self, consumer: str | None = None) -> None:
        """Wait until every lease, or every one of ``consumer``, has moved that had something before it.

        One that has nothing before it any more has moved in the meantime.
        """
        behind = self._behind(consumer)
        before = self._positions()

        def moved() -> bool:
            after = self._positions()
            still = {place for place in behind & after.keys() if after[place] <= before.get(place, -1)}
            return not still or not still & self._behind(consumer)

        wait_for(moved, "every consumer moves on")

    def _behind(self, consumer: str | None) -> set[tuple[str, str, int]]:
        with self._progress() as progress:
            parts = progress.remaining() if consumer is None else progress.before(consumer)
        return {(part.consumer, part.topic, part.partition) for part in parts}

    def _positions(self) -> dict[tuple[str, str, int], int]:
        with psycopg.connect(self.settings.database_url.get_secret_value()) as connection:
            rows = connection.execute(
                "SELECT consumer, topic, partition, next_offset FROM oms.lease"
            ).fetchall()
        return {(consumer, topic, partition): offset for consumer, topic, partition, offset in rows}

    def records(self) -> int:
        """How many records somebody still has before them."""
        return sum(part.records for part in self.remaining())

    def wait_for_any(self) -> int:
        """Wait until somebody has records before it; returns how many all have together."""
        with self._progress() as progress:
            return wait_for(
                lambda: sum(part.records for part in progress.remaining()), "records are under way"
            )

    @contextmanager
    def _progress(self) -> Iterator[ProgressReader]:
        kafka = self.settings.kafka
        with (
            psycopg.connect(self.settings.database_url.get_secret_value()) as connection,
            closing(ProgressReader(kafka.bootstrap_servers, kafka.topic_prefix, connection)) as progress,
        ):
            yield progress


def settled_and_clean(
    settings: Settings, traffic: Traffic, limit_s: float = 120.0, others: Sequence[Path] = ()
) -> Report:
    """Wait for the last outcome, run the check, and hold it against the client's own log.

    ``others``: logs of other clients that published.
    """
    logs = (traffic.log, *others)
    report = check(replace(target_of(settings), client_logs=logs), limit_s)
    broken = [f"{f.invariant}: {f.first}" for f in report.findings if not f.holds]
    assert not broken, broken
    orders = [order for log in logs for order in read_client_log(log)]
    taken = sum(order.intents for order in orders if order.state == "ok")
    outcomes = sum(tally.outcomes for tally in report.tallies.values())
    assert taken <= outcomes <= sum(order.intents for order in orders)
    return report


def seeded(request_seed: int | None) -> tuple[random.Random, int]:
    """A generator and its seed; the seed is printed, so a failing run can be repeated."""
    seed = request_seed if request_seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}: repeat with --seed {seed}")  # noqa: T201 - pytest shows it with a failure
    return random.Random(seed), seed
