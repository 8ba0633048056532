"""Workers as child processes: their environment, kill, restart and stop."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tierline.local.process import tail
from tierline.local.workers import Worker, WorkerGroup

DEADLINE_S = 20.0
SAYS_WHERE_IT_CRASHES = (
    "import os, sys, time; said = (sys.argv[1], os.environ['TIERLINE_DATA'],"
    " os.environ.get('TIERLINE_CRASH_POINT', 'nowhere'));"
    " os.write(1, (' '.join(said) + chr(10)).encode()); time.sleep(60)"
)


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerGroup]:
    """Two workers that only say how they were started."""
    run = (sys.executable, "-S", "-c", SAYS_WHERE_IT_CRASHES)
    monkeypatch.setattr("tierline.local.workers.RUN", run)
    with WorkerGroup(("orders", "projector"), tmp_path, {"TIERLINE_DATA": "/data"}) as workers:
        yield workers


def said(worker: Worker, lines: int) -> list[str]:
    """What the worker wrote, once it is that many lines."""
    deadline = time.monotonic() + DEADLINE_S
    while len(written := tail(worker.log, 100).splitlines()) < lines:
        assert time.monotonic() < deadline, written
        time.sleep(0.01)
    return written


def test_each_worker_runs_with_the_environment_of_the_group(group: WorkerGroup) -> None:
    """Its name is the argument, its settings come as variables, and it has a log of its own."""
    assert ["orders /data nowhere"] == said(group["orders"], 1)
    assert ["projector /data nowhere"] == said(group["projector"], 1)
    assert group["orders"].pid != group["projector"].pid


def test_a_crash_point_holds_for_one_start(group: WorkerGroup) -> None:
    """The next start is an ordinary one, so the pipeline goes on after the crash."""
    orders = group["orders"]
    said(orders, 1)
    orders.restart(environment={"TIERLINE_CRASH_POINT": "after_commit"})
    assert said(orders, 2)[1] == "orders /data after_commit"
    orders.restart()
    assert said(orders, 3)[2] == "orders /data nowhere"


def test_a_crashed_worker_comes_back_and_a_stopped_one_does_not(group: WorkerGroup) -> None:
    """The keeper of the group tells a crash from a wish."""
    orders, projector = group["orders"], group["projector"]
    said(orders, 1)
    said(projector, 1)
    projector.stop()
    orders.send_signal(signal.SIGKILL)
    said(orders, 2)
    assert (1, 0) == (orders.restarts, projector.restarts)
    assert projector.pid is None


def test_a_kind_that_is_named_twice_has_two_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with a name and a log of its own, both started as the same kind."""
    monkeypatch.setattr("tierline.local.workers.RUN", (sys.executable, "-S", "-c", SAYS_WHERE_IT_CRASHES))
    with WorkerGroup(("orders", "projector", "orders"), tmp_path, {"TIERLINE_DATA": "/data"}) as workers:
        assert ["orders", "projector", "orders-2"] == [worker.name for worker in workers]
        assert ["orders /data nowhere"] == said(workers["orders"], 1)
        assert ["orders /data nowhere"] == said(workers["orders-2"], 1)


def test_the_end_of_a_group_is_the_end_of_its_workers(group: WorkerGroup) -> None:
    """Nothing is left behind by a test."""
    said(group["orders"], 1)
    group.stop()
    assert [None, None] == [worker.pid for worker in group]
