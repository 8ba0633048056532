"""Who takes part: how each runner is started, and what a position that it stored promises."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.processors.assignment import Assignment
from tierline.kit.settings import Settings
from tierline.kit.version import APP_VERSION
from tierline.local.process import Command, tail
from tierline.local.workers import WorkerGroup

STOP_S = 30.0
ENDED_WELL = (0, -signal.SIGTERM, 128 + signal.SIGTERM)

ACKNOWLEDGED = "behind acknowledged output"
SENT = "behind sent output: weaker"


class NotToBeHad(Exception):
    """A runner cannot take part on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process works: ``environment`` gives it the ``settings``, what it writes goes to ``folder``."""

    settings: Settings
    environment: Mapping[str, str]
    folder: Path


Running = AbstractContextManager[int]
"""A process that works for as long as the block, by its pid; then it is asked to stop."""


@dataclass(frozen=True, slots=True)
class Runner:
    """One row of the table. ``position``: where the position is that it stores.

    ``is_ours``: it reads and writes under its own names and keeps its positions in PostgreSQL.
    ``extra_warm_s``: so much longer than others it works before it is timed.
    """

    title: str
    runs_on: str
    running: Callable[[Assignment, Place], Running]
    position: str = ACKNOWLEDGED
    is_ours: bool = False
    extra_warm_s: float = 0.0


@contextmanager
def normalizer(_told: Assignment, place: Place) -> Iterator[int]:
    """The worker as ``tierline run normalizer`` starts it."""
    environment = {**place.environment, "TIERLINE_LOG_LEVEL": "error"}
    with WorkerGroup(("normalizer",), place.folder, environment) as workers:
        pid = workers["normalizer"].pid
        assert pid is not None
        yield pid


@contextmanager
def child(words: tuple[str, ...], name: str, place: Place) -> Iterator[int]:
    """A process of its own. Raises RuntimeError, with the end of its log, where it does not end well."""
    log = place.folder / f"{name}.log"
    process = Command(words, place.environment).start(log)
    try:
        yield process.pid
        process.terminate()
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{name} does not stop:\n{tail(log, 20)}") from None
    finally:
        process.kill()
        code = process.wait()
    if code not in ENDED_WELL:
        raise RuntimeError(f"{name} ended with {code}:\n{tail(log, 20)}")


def in_python(module: str, python: str = sys.executable) -> Callable[[Assignment, Place], Running]:
    """How a module beside this one is started; it works until SIGTERM."""

    def running(told: Assignment, place: Place) -> Running:
        return child((python, "-m", f"benchmarks.processors.{module}", told.to_json()), module, place)

    return running


def _clients(*names: str) -> str:
    return ", ".join(f"{name} {version(name)}" for name in names)


FAUST = _clients("faust-streaming", "aiokafka")
OURS = Runner(
    "Tierline",
    f"Tierline {APP_VERSION} on {FAUST}, {_clients('confluent-kafka')}",
    normalizer,
    is_ours=True,
)
FAUST_ONE = Runner("stock Faust, one at a time", FAUST, in_python("faust_one"), SENT)
FAUST_AWAITED = Runner("stock Faust, one at a time, awaited", FAUST, in_python("faust_awaited"))
FAUST_TAKE = Runner("stock Faust, take_events", FAUST, in_python("faust_take"))
AIOKAFKA = Runner("aiokafka loop", _clients("aiokafka"), in_python("aiokafka_loop"))
CONFLUENT = Runner("confluent-kafka loop", _clients("confluent-kafka"), in_python("confluent_loop"))

INSTALLED = (OURS, FAUST_ONE, FAUST_AWAITED, FAUST_TAKE, AIOKAFKA, CONFLUENT)
"""The runners that need nothing that is not installed."""
