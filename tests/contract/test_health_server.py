"""What a worker answers over HTTP, to a client on this machine."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pytest

from tierline.kit.clock import FakeClock
from tierline.kit.health import LOOP_MS, Health
from tierline.kit.health_server import AddressTaken, HealthServer
from tierline.kit.leased_worker import Batch, LeasedWorker
from tierline.kit.leases import Lease, Progress
from tierline.kit.memory_broker import MemoryBroker, MemoryConsumer
from tierline.kit.memory_leases import MemoryLeases, MemorySession
from tierline.kit.records import Message
from tierline.kit.telemetry import Metrics

LIMIT_S = 10
STEP = "topics"


@dataclass(frozen=True, slots=True)
class Answered:
    """One response."""

    status: int
    kind: str
    body: str


class Served:
    """A health that is served, and a client of it."""

    def __init__(self, server: HealthServer, health: Health, metrics: Metrics, clock: FakeClock) -> None:
        self.server, self.health, self.metrics, self.clock = server, health, metrics, clock

    def get(self, path: str) -> Answered:
        """What is answered to GET ``path``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=LIMIT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            kind = answer.getheader("Content-Type") or ""
            return Answered(answer.status, kind, answer.read().decode())
        finally:
            connection.close()


@pytest.fixture
def served() -> Iterator[Served]:
    clock, metrics = FakeClock(), Metrics()
    health = Health([STEP], clock.now_ms)
    with HealthServer("127.0.0.1", 0, health, metrics.registry, {"worker": "orders"}) as server:
        yield Served(server, health, metrics, clock)


def test_probes_are_one_word_and_a_reason(served: Served) -> None:
    """200 or 503, as orchestrators want it; the text is for people."""
    assert Answered(503, "text/plain; charset=utf-8", "starting: still to do: topics\n") == served.get(
        "/readyz"
    )
    assert 503 == served.get("/startupz").status

    served.health.done(STEP)
    assert (200, "serving\n") == (served.get("/readyz").status, served.get("/readyz").body)
    assert (200, "started\n") == (served.get("/startupz").status, served.get("/startupz").body)
    assert 200 == served.get("/livez").status


@pytest.mark.parametrize("path", ["/readyz?verbose", "/livez?verbose=1", "/startupz?verbose"])
def test_verbose_answers_have_every_fact(served: Served, path: str) -> None:
    """The status is that of the probe, the body the whole health with what identifies the worker."""
    answer = served.get(path)

    assert "application/json" == answer.kind
    assert ("orders", "starting") == (json.loads(answer.body)["worker"], json.loads(answer.body)["reason"])
    assert (200 if "livez" in path else 503) == answer.status


def test_metrics_are_served_beside_the_probes(served: Served) -> None:
    """One port for everything that an operator reads."""
    served.metrics.dead_letters.labels("portal", "decode").inc(3)

    answer = served.get("/metrics")

    assert 'oms_dead_letters_total{channel="portal",class="decode"} 3.0' in answer.body
    assert answer.kind.startswith("text/plain; version=")


def test_an_unknown_path_says_which_ones_there_are(served: Served) -> None:
    """For whoever tries /healthz first."""
    assert (404, "there are /startupz /livez /readyz /metrics\n") == (
        served.get("/healthz").status,
        served.get("/healthz").body,
    )


def test_a_port_in_use_is_named_with_the_setting(served: Served) -> None:
    """The second worker of a machine needs a port of its own."""
    with pytest.raises(AddressTaken, match=rf"127\.0\.0\.1:{served.server.port} .*TIERLINE_HEALTH_PORT"):
        HealthServer("127.0.0.1", served.server.port, served.health, served.metrics.registry, {})


def test_a_client_that_says_nothing_keeps_nobody_waiting(served: Served) -> None:
    """Each request has its own thread."""
    with socket.create_connection(("127.0.0.1", served.server.port), LIMIT_S):
        assert 200 == served.get("/livez").status


class Stuck:
    """A handler that does not come back until it is let go."""

    def __init__(self) -> None:
        self.entered, self.let_go = threading.Event(), threading.Event()

    def assigned(self, connection: object, lease: Lease) -> Lease:
        return lease

    def process(self, connection: object, batch: Batch, leases: Mapping[int, Lease]) -> dict[int, Progress]:
        self.entered.set()
        assert self.let_go.wait(LIMIT_S)
        return {p: Progress(records[-1].offset + 1) for p, records in batch.items()}

    def committed(self) -> None: ...

    def reset(self, partitions: Collection[int]) -> None: ...


def test_a_loop_that_is_stuck_is_told_by_the_thread_beside_it(served: Served) -> None:
    """A turn that never ends turns /livez to 503 while the server still answers; its end turns it back."""
    handler, broker = Stuck(), MemoryBroker()
    consumer = MemoryConsumer(broker)
    worker = LeasedWorker(
        group="tierline-test",
        topic="t",
        handler=handler,
        consumer=consumer,
        connect=MemorySession,  # type: ignore[arg-type] # the twin of a session
        metrics=served.metrics,
        health=served.health,
        batch_records=10,
        clock=served.clock,
        lease_store=MemoryLeases(),
    )
    broker.append(Message("t", b"k", b"v", 0))
    worker.join()
    consumer.assign([0])
    loop = threading.Thread(target=worker.run, name="loop")
    loop.start()
    try:
        assert handler.entered.wait(LIMIT_S)
        assert 200 == served.get("/livez").status

        served.clock.advance(LOOP_MS)
        stuck = served.get("/livez")

        assert (503, "stuck: the loop has not come round for 30 s\n") == (stuck.status, stuck.body)

        handler.let_go.set()
        deadline = time.monotonic() + LIMIT_S
        while served.get("/livez").status != 200:
            assert time.monotonic() < deadline
    finally:
        handler.let_go.set()
        worker.stop()
        loop.join(LIMIT_S)
    assert not loop.is_alive()
