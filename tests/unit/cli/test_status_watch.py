"""``tierline status --watch``: again and again until Ctrl-C, on a terminal and in a pipe."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DEADLINE_S = 60.0
SAID = b"Nothing runs in "


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A shell ignores Ctrl-C for what it starts in the background, and whatever that starts would as well."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def watching(folder: Path, output: int) -> subprocess.Popen[bytes]:
    """The command on a folder where nothing runs, so that it needs no server."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TIERLINE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "tierline.cli", "status", "--watch", "--every", "0.5", "--data", str(folder)],
        stdout=output,
        env={**environment, "TERM": "xterm"},
    )


def read_until(source: int, times: int) -> bytes:
    """What was written when it said so that many times."""
    deadline, said = time.monotonic() + DEADLINE_S, b""
    while said.count(SAID) < times:
        assert time.monotonic() < deadline, said
        said += os.read(source, 4096)
    return said


def test_in_a_pipe_every_look_is_printed_whole(tmp_path: Path) -> None:
    """Plain text, one answer after the other; Ctrl-C is a clean end."""
    source, sink = os.pipe()
    with watching(tmp_path, sink) as command:
        os.close(sink)
        said = read_until(source, 2)
        command.send_signal(signal.SIGINT)
        assert 0 == command.wait(DEADLINE_S)
    os.close(source)
    assert b"\x1b" not in said


def test_on_a_terminal_one_screen_is_drawn_again(tmp_path: Path) -> None:
    """On the alternate screen, so that what stood there before is back after Ctrl-C."""
    terminal, sink = pty.openpty()
    with watching(tmp_path, sink) as command:
        os.close(sink)
        said = read_until(terminal, 2)
        command.send_signal(signal.SIGINT)
        said += _rest(terminal)
        assert 0 == command.wait(DEADLINE_S)
    os.close(terminal)
    assert said.startswith(b"\x1b[?1049h")
    assert b"\x1b[?1049l" in said


def _rest(terminal: int) -> bytes:
    said = b""
    try:
        while more := os.read(terminal, 4096):
            said += more
    except OSError:  # how a terminal says that its other end is closed
        pass
    return said
