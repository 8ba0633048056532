"""Runs a stack in the foreground or in the background, and stops one from another process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from tierline.local.artifacts import Notice
from tierline.local.cleanup import end_orphans
from tierline.local.errors import StackError
from tierline.local.folder import DataFolder
from tierline.local.stack import LocalStack

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DETACHED_START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 90.0
POLL_S = 0.05


def supervise(stack: LocalStack, on_ready: Callable[[], None]) -> None:
    """Start the stack and keep it until Ctrl-C, SIGTERM, or a server that will not stay up.

    The last one raises StackError; the others return. Everything is stopped in every case.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        stack.start()
        on_ready()
        stack.ended.wait()
    except KeyboardInterrupt:
        pass  # somebody asked for the end: this is how it is heard while starting
    finally:
        for number in STOP_SIGNALS:
            signal.signal(
                number, signal.SIG_IGN
            )  # stopping is bounded; a second Ctrl-C must not cut it short
        stack.stop()
    stack.check()


def start_detached(folder: DataFolder, arguments: Sequence[str], notice: Notice) -> None:
    """Start ``tierline up`` with ``arguments`` in the background and return when the stack is ready.

    What it says on its way is passed to ``notice``. Raises StackError with its last words when it ends.
    """
    folder.logs.mkdir(parents=True, exist_ok=True)
    log = folder.logs / "supervisor.log"
    with log.open("ab") as output:
        background = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "tierline.cli", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        said = _LinesOf(log, output.tell())
    deadline = time.monotonic() + DETACHED_START_TIMEOUT_S
    while not _is_ready(folder, background.pid):
        said.pass_to(notice)
        if background.poll() == 0:
            return  # another one was faster: its stack is there to be used
        if background.poll() is not None:
            raise StackError(f"The stack did not start (exit code {background.returncode}).", f"See {log}")
        if time.monotonic() > deadline:
            raise StackError(
                f"The stack was not ready after {DETACHED_START_TIMEOUT_S:.0f} s.",
                f"See {log}   Stop it: tierline down --data {folder.path}",
            )
        time.sleep(POLL_S)
    said.pass_to(notice)
    background.returncode = 0  # it goes on without us; this process has nothing to wait for


def stop(folder: DataFolder) -> bool:
    """Stop the stack of a folder and wait for it; return whether anything ran.

    What a killed supervisor left behind is stopped as well.
    """
    if not folder.is_owned():
        with folder.owned():
            return bool(end_orphans(folder))
    state = folder.read_state()
    supervisor = state.supervisor if state else None
    process = supervisor.find() if supervisor else None
    if supervisor is None or process is None:
        raise StackError(
            f"Something owns {folder.path} but has not said which process it is.",
            "It may just be starting: try again in a few seconds.",
        )
    process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while folder.is_owned() or supervisor.find():
        if time.monotonic() > deadline:
            raise StackError(
                f"The supervisor {supervisor.pid} did not stop in {STOP_TIMEOUT_S:.0f} s.",
                f"Kill it (kill -9 {supervisor.pid}); the next `tierline up` cleans up.",
            )
        time.sleep(POLL_S)
    return True


def _is_ready(folder: DataFolder, pid: int) -> bool:
    state = folder.read_state()
    return state is not None and state.phase == "ready" and state.supervisor.pid == pid


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class _LinesOf:
    """Reads the whole lines that a log gained since the last look."""

    def __init__(self, log: Path, position: int) -> None:
        self._log = log
        self._position = position

    def pass_to(self, notice: Notice) -> None:
        with self._log.open("rb") as stream:
            stream.seek(self._position)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self._position += len(line)
                notice(line.decode(errors="replace").rstrip())
