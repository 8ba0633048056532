"""Options and fixtures of the whole suite.

``--stack`` starts one stack for the run. Under xdist the controlling process owns it and tells the workers
where it is, so a crashed worker cannot stop it or leave it behind.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support.fault_table import FaultTable
from tests.support.stack import SharedStack, own_part_of, shared_stack
from tierline.kit.settings import Settings
from tierline.local.errors import StackError

UNIT = Path(__file__).parent / "unit"
SHARED = pytest.StashKey[SharedStack]()
OPENED = pytest.StashKey[ExitStack]()
# `pytest --hypothesis-profile long` looks much longer; no profile asserts on the wall clock.
hypothesis.settings.register_profile("short", deadline=None)
hypothesis.settings.register_profile("long", deadline=None, max_examples=10_000)
hypothesis.settings.load_profile("short")
TAKES_LONG = "takes minutes: run `make faults-long`, or pytest --stack --long"
HOW_TO_RUN = "needs the local stack: run `make test`, or pytest --stack"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for tests on real servers."""
    group = parser.getgroup("tierline")
    group.addoption(
        "--stack", action="store_true", help="start the local stack and run the tests that need it"
    )
    group.addoption("--long", action="store_true", help="run the tests that take minutes each, too")
    group.addoption("--seed", type=int, help="repeat a fault run with the seed that it printed")
    group.addoption("--rounds", type=int, help="how often each fault strikes, and no limit of time per test")
    group.addoption("--fault-table", metavar="FILE", help="write what the runs of faults came to, as JSON")
    group.addoption("--stack-data", metavar="DIR", help="with --stack: use the stack that runs in DIR")


def pytest_configure(config: pytest.Config) -> None:
    """Start the shared stack in the controlling process; a worker is told about it."""
    table = config.getoption("--fault-table")
    if table and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FaultTable(Path(table)))
    if not config.getoption("--stack") or config.getoption("--collect-only"):
        return
    told: dict[str, str] | None = getattr(config, "workerinput", {}).get("stack")
    if told:
        config.stash[SHARED] = SharedStack(Path(told["data"]), told["template"])
        return
    running = config.getoption("--stack-data")
    config.stash[OPENED] = opened = ExitStack()
    try:
        config.stash[SHARED] = opened.enter_context(shared_stack(Path(running) if running else None))
    except StackError as error:
        pytest.exit(str(error), returncode=1)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the shared stack, however the run ended."""
    if OPENED in config.stash:
        config.stash[OPENED].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker where the shared stack is."""
    if SHARED in node.config.stash:
        shared = node.config.stash[SHARED]
        node.workerinput["stack"] = {"data": str(shared.data), "template": shared.template}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ``--stack`` or ``--long``, skip what needs it and say how; with ``--rounds``, give it time."""
    if config.getoption("--rounds"):
        for item in items:
            item.add_marker(pytest.mark.timeout(0), append=False)
    for item in items:
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason=TAKES_LONG))
    if config.getoption("--stack"):
        return
    for item in items:
        if item.get_closest_marker("stack") or item.get_closest_marker("fault"):
            item.add_marker(pytest.mark.skip(reason=HOW_TO_RUN))


@pytest.fixture(autouse=True)
def _unit_tests_stay_offline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test that connects to anything fails."""
    if not request.path.is_relative_to(UNIT):
        return

    def refuse(connecting: socket.socket, address: object, *_: object) -> None:
        if connecting.family != socket.AF_UNIX:
            raise AssertionError(
                f"a unit test tried to reach {address}; tests on servers are in integration/"
            )

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


@pytest.fixture(scope="session")
def shared(request: pytest.FixtureRequest) -> SharedStack:
    """The stack of this run."""
    return request.config.stash[SHARED]


@pytest.fixture(scope="session")
def stack_settings(shared: SharedStack) -> Settings:
    """The settings of the shared stack: no topic prefix, the database that nobody migrated."""
    return shared.settings


@pytest.fixture
def settings(shared: SharedStack) -> Iterator[Settings]:
    """Settings for one test: its own migrated database and its own topic prefix on the shared stack."""
    with own_part_of(shared) as own:
        yield own
