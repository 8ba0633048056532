"""What processes use is counted once, under the name of each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from benchmarks.process_use import OTHERS, Watch
from tests.support.waiting import wait_for

BUSY = "print(flush=True)\nwhile True: pass"


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A child that works without pause, once it has said so."""
    child = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_a_child_counts_under_its_own_name_only(busy: subprocess.Popen[bytes]) -> None:
    """This process started everything that is measured: none of it is its own use."""
    child = psutil.Process(busy.pid)
    with Watch({"this": os.getpid(), "busy": busy.pid}) as watch:
        watch.begin()
        begun = child.cpu_times().user
        wait_for(lambda: child.cpu_times().user > begun + 0.2, "a fifth of a second of work")

    assert {"this", "busy", OTHERS} == watch.uses.keys()
    assert 0 <= watch.uses["this"].cores < watch.uses["busy"].cores
    assert watch.uses["busy"].peak > 0


def test_nothing_is_told_of_a_watch_that_never_began() -> None:
    """A run that failed before its first order has no use."""
    with Watch({"this": os.getpid()}) as watch:
        pass

    assert {} == watch.uses
