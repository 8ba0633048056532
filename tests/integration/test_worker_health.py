"""The health of real workers: what they listen on, when they are ready, and what a standstill looks like."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from streams.normalizer import NormalizerWorker
from tests.support.normalizer_bench import NormalizerBench
from tests.support.pipeline import running_workers
from tests.support.stack import environment_of
from tests.support.waiting import wait_for
from tests.support.worker_health import health, held_by, listening
from tierline.kit.clock import FakeClock
from tierline.kit.health import LOOP_MS, Health
from tierline.kit.health_server import HealthServer
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.kit.telemetry import Metrics
from tierline.local.readiness import health_of
from tierline.local.workers import WORKERS, Worker, WorkerGroup

pytestmark = pytest.mark.stack


def is_ready(worker: Worker) -> bool:
    return bool(health(worker).get("ready"))


def test_every_worker_is_ready_and_listens_on_its_health_port_alone(
    settings: Settings, tmp_path: Path
) -> None:
    """One port on loopback each; Faust's own web server stays closed."""
    with running_workers(settings, tmp_path) as workers:
        for worker in workers:
            wait_for(lambda w=worker: is_ready(w), f"{worker.name} to be ready", 60)  # type: ignore[misc]
            told = health(worker)
            assert (worker.name, worker.pid) == (told["worker"], told["pid"])
            assert {"Kafka": "answers", "PostgreSQL": "answers"} == told["servers"]
            assert all(told["steps"].values())

        assert [["127.0.0.1"]] * len(WORKERS) == [[host for host, _ in listening(w)] for w in workers]


def test_a_worker_to_which_the_group_has_nothing_to_give_is_ready(settings: Settings, tmp_path: Path) -> None:
    """Spare workers stand by; a probe that killed them would kill them for ever."""
    kafka = settings.kafka.model_copy(update={"partitions": 1})
    names = ("orders", "orders", "normalizer", "normalizer", "normalizer")
    with running_workers(settings.model_copy(update={"kafka": kafka}), tmp_path, names) as workers:
        for worker in workers:
            wait_for(lambda w=worker: is_ready(w), f"{worker.name} to be ready", 60)  # type: ignore[misc]
        wait_for(
            lambda: [0, 1] == sorted(len(held_by(workers[name])) for name in ("orders", "orders-2")),
            "one of the orders workers to have the partition",
        )


class _Stuck:
    """A price book that does not answer until it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    def plan_for_alias(self, channel: str, external_id: str) -> Any:
        self.asked.set()
        self.let_go.wait(60)


def test_a_normalizer_whose_event_loop_is_stuck_is_told_by_the_thread_beside_it(settings: Settings) -> None:
    """The loop is Faust's and everything of the normalizer is on it, but for the health server."""
    bench = NormalizerBench(settings)
    order = b'{"reference":"r","subscription_id":"sub_1","target":{"plan":"Business"}}'
    bench.publish([Message("orders.portal.v1", None, order, 0)])
    clock, stuck, metrics = FakeClock(), _Stuck(), Metrics()
    facts = Health([], clock.now_ms)
    worker = NormalizerWorker(bench.settings, schema_id=1, catalog=stuck, metrics=metrics, health=facts)
    loop = threading.Thread(target=worker.run, name="loop")
    with HealthServer("127.0.0.1", 0, facts, metrics.registry, {}) as server:
        loop.start()
        try:
            assert stuck.asked.wait(60)
            assert (True, True) == _alive_and_ready(server.port)

            clock.advance(LOOP_MS)
            assert (False, True) == _alive_and_ready(server.port)

            stuck.let_go.set()
            wait_for(lambda: _alive_and_ready(server.port)[0], "the loop to turn again")
        finally:
            stuck.let_go.set()
            worker.stop()
            loop.join(60)
    assert not loop.is_alive()


def _alive_and_ready(port: int) -> tuple[bool, bool]:
    told = health_of(port)
    assert told is not None
    return told["live"], told["ready"]


def test_a_worker_does_not_start_on_servers_that_nobody_prepared(settings: Settings, tmp_path: Path) -> None:
    """Which topic is missing and what to do; it keeps trying and is never ready."""
    with WorkerGroup(("orders",), tmp_path, environment_of(settings)) as workers:
        log = workers["orders"].log
        wait_for(lambda: "tierline prepare" in log.read_text(), "the refusal", 60)
        assert "topic t" in log.read_text()
        assert not is_ready(workers["orders"])
