"""What ends by itself is brought back; what was stopped stays down."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.local_parts import PretendPart
from tierline.local.errors import StackError
from tierline.local.keeper import LONGEST_PAUSE_S, SERVER_RESTARTS_IN_A_ROW, STEADY_AFTER_S, Keeper, Pause
from tierline.local.process import Command
from tierline.local.server import Server
from tierline.local.supervised import Supervised

DEADLINE_S = 30.0


class Program(Supervised):
    """A child that runs some Python."""

    def __init__(self, logs: Path, program: str) -> None:
        super().__init__("program", logs / "program.log")
        self._program = program

    def spawn(self) -> None:
        """Start it."""
        self.spawn_command(Command((sys.executable, "-S", "-c", self._program)), "")


@contextmanager
def keeping(keeper: Keeper, *children: Supervised) -> Iterator[None]:
    """The keeper at work; children are killed before it stops."""
    keeper.start()
    try:
        yield
    finally:
        for child in children:
            child.kill9()
        keeper.stop()


def test_a_worker_that_ends_is_started_again(tmp_path: Path) -> None:
    """Its work waits in Kafka, so it is tried for ever."""
    child = Program(tmp_path, "import time; time.sleep(60)")
    back = threading.Event()
    keeper = Keeper((), (child,), on_change=lambda said: back.set() if "started again" in said else None)
    child.spawn()
    child.wanted = True
    first = child.pid
    assert first is not None
    with keeping(keeper, child):
        child.send_signal(9)
        assert back.wait(DEADLINE_S)
        assert child.pid not in (None, first)
        assert child.restarts == 1


def test_what_was_stopped_stays_down(tmp_path: Path) -> None:
    """A fault test decides itself when a killed process comes back."""
    child = Program(tmp_path, "import time; time.sleep(60)")
    other = Program(tmp_path, "raise SystemExit(3)")
    looked = threading.Event()
    keeper = Keeper((), (child, other), on_change=lambda _: looked.set())
    for each in (child, other):
        each.spawn()
        each.wanted = True
    child.kill9()
    with keeping(keeper, child, other):
        assert looked.wait(DEADLINE_S)  # the keeper has been round
        assert child.pid is None
        assert child.restarts == 0


def test_a_server_that_will_not_stay_up_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner hears of it with the end of the log, and stops the rest."""
    monkeypatch.setattr("tierline.local.keeper.SHORTEST_PAUSE_S", 0.001)
    server = Server(PretendPart("print('port in use'); raise SystemExit(3)"), tmp_path)
    told: list[StackError] = []
    given_up = threading.Event()

    def on_failure(error: StackError) -> None:
        told.append(error)
        given_up.set()

    keeper = Keeper((server,), (), on_failure=on_failure)
    server.spawn()
    server.wanted = True
    with keeping(keeper, server):
        assert given_up.wait(DEADLINE_S)
    assert SERVER_RESTARTS_IN_A_ROW == server.restarts
    assert "Pretender ended 6 times in a row" in told[0].message
    assert "port in use" in told[0].hint


def test_the_pause_doubles_up_to_a_limit() -> None:
    """A worker that cannot start does not burn the machine."""
    pause = Pause(last_start=0.0)
    pauses = []
    for _ in range(10):
        pause.ended(now=1.0)
        assert pause.due is not None
        pauses.append(pause.due - 1.0)
        pause.started(now=1.0)
    assert pytest.approx([0.2, 0.4, 0.8, 1.6]) == pauses[:4]
    assert pytest.approx(LONGEST_PAUSE_S) == pauses[-1]


def test_a_steady_minute_starts_the_pauses_over() -> None:
    """One crash a day is not a series."""
    pause = Pause(in_a_row=4, last_start=10.0)
    pause.ended(now=10.0 + STEADY_AFTER_S + 1)
    assert pause.in_a_row == 1
