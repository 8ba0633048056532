"""Child processes, and knowing one again after its supervisor died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tierline.local.process import LARGEST_LOG_BYTES, Command, ProcessRef, tail

DEADLINE_S = 20.0
MARKER = "a-program-of-this-test"
SLEEPING = "import sys, time; print('up', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPING}"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux' parent death signal")


def eventually(outcome: Callable[[], bool]) -> bool:
    """Poll for an outcome until it is there or the deadline passed."""
    deadline = time.monotonic() + DEADLINE_S
    while not outcome():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts a Python program through the launcher, waits until it said ``up``, and ends it afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(program: str) -> subprocess.Popen[bytes]:
        log = tmp_path / f"{len(started)}.log"
        process = Command((sys.executable, "-c", program, MARKER)).start(log)
        started.append(process)
        assert eventually(lambda: "up" in tail(log))
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_a_live_process_is_found(start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    """Pid, start time and command line agree."""
    process = start(SLEEPING)
    found = ProcessRef.from_json(ProcessRef.to(process.pid, MARKER).to_json()).find()
    assert found is not None
    assert process.pid == found.pid


def test_a_process_that_ended_is_not_found(start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    """A dead pid is nothing, before and after it is waited for."""
    process = start(SLEEPING)
    ref = ProcessRef.to(process.pid, MARKER)
    process.kill()
    assert eventually(lambda: ref.find() is None)
    process.wait()
    assert ref.find() is None


def test_a_recycled_pid_is_not_found(start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    """The same pid with another start time belongs to somebody else."""
    ref = ProcessRef.to(start(SLEEPING).pid, MARKER)
    assert replace(ref, created=ref.created - 60).find() is None


def test_another_command_line_is_not_found(start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    """A process that does not mention the data folder is not touched."""
    ref = ProcessRef.to(start(SLEEPING).pid, MARKER)
    assert replace(ref, marker="/another/data/folder").find() is None


def test_ending_spares_somebody_else(start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    """A recycled pid is neither signalled nor waited for."""
    process = start(SLEEPING)
    ref = ProcessRef.to(process.pid, MARKER)
    assert not replace(ref, created=ref.created - 60).end(signal.SIGTERM, DEADLINE_S)
    assert process.poll() is None


def test_a_process_that_ignores_the_request_is_killed(
    start: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    """After its time is over it gets SIGKILL."""
    ref = ProcessRef.to(start(STUBBORN).pid, MARKER)
    assert ref.end(signal.SIGTERM, timeout_s=0.1)
    assert ref.find() is None


@linux_only
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Nothing outlives a supervisor that got kill -9."""
    log = tmp_path / "child.log"
    program = (
        "import sys, time; from pathlib import Path; from tierline.local.process import Command;"
        f"print(Command((sys.executable, '-c', {SLEEPING!r})).start(Path({str(log)!r})).pid, flush=True);"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert eventually(lambda: "up" in tail(log))
        parent.kill()
        assert eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_server_of_root_runs_as_nobody_and_reaches_closed_folders(tmp_path: Path) -> None:
    """PostgreSQL refuses root; no folder of the person's is opened for the user it runs as."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("reached")
    program = (
        f"import os, pathlib; print(os.geteuid() == 0, pathlib.Path({str(closed / 'file')!r}).read_text())"
    )
    log = tmp_path / "log"
    assert Command((sys.executable, "-c", program), user="nobody").run(log, DEADLINE_S) == 0
    assert tail(log) == "False reached"


def test_ctrl_c_in_the_terminal_does_not_reach_a_child(
    start: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    """A child has a session of its own, so the supervisor alone decides the order of stopping."""
    process = start(SLEEPING)
    assert os.getsid(0) != os.getsid(process.pid)


def test_a_log_that_grew_too_large_begins_anew(tmp_path: Path) -> None:
    """The old one is kept once."""
    log = tmp_path / "server.log"
    with log.open("wb") as stream:
        stream.truncate(LARGEST_LOG_BYTES + 1)
    Command((sys.executable, "-c", "print('fresh')")).run(log, DEADLINE_S)
    assert log.read_text() == "fresh\n"
    assert LARGEST_LOG_BYTES + 1 == (tmp_path / "server.log.1").stat().st_size


def test_the_end_of_a_log_leaves_out_stack_frames(tmp_path: Path) -> None:
    """An error message shows what a server said, not where in its code."""
    log = tmp_path / "log"
    log.write_text("one\n\nERROR port in use\n\tat java.base/Socket.bind\n")
    assert tail(log) == "one\nERROR port in use"
