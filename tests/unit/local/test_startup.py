"""Servers start side by side, each as soon as what it waits for serves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.local_parts import PretendPart
from tierline.local.errors import StackError
from tierline.local.server import Server
from tierline.local.startup import start_servers

RUNNING = "import time; time.sleep(60)"


@contextmanager
def servers_of(logs: Path, *parts: PretendPart) -> Iterator[dict[str, Server]]:
    """Servers that are killed at the end."""
    servers = {part.name: Server(part, logs) for part in parts}
    try:
        yield servers
    finally:
        for server in servers.values():
            server.kill9()


def test_the_registry_waits_for_the_database_and_kafka_does_not(tmp_path: Path) -> None:
    """Its process begins when the database serves; the broker's begins at once."""
    parts = [PretendPart(RUNNING, ready=True, name=name) for name in ("registry", "postgres", "kafka")]
    with servers_of(tmp_path, *parts) as servers:
        states: list[tuple[str, bool, bool]] = []
        start_servers(servers, lambda s: states.append((s.name, s.ready, servers["registry"].is_running())))
    begun = states.index(("registry", False, True))
    assert ("postgres", True, False) in states[:begun]
    assert ("kafka", False, False) in states[:begun]


def test_each_server_is_set_up_before_and_settled_after_it_serves(tmp_path: Path) -> None:
    """The order of the steps, once each but for the asking."""
    part = PretendPart(RUNNING, ready=True)
    with servers_of(tmp_path, part) as servers:
        start_servers(servers, lambda _: None)
    assert ["set up", "asked", "settled"] == part.calls


def test_a_server_that_ends_while_starting_is_named_with_its_last_words(tmp_path: Path) -> None:
    """The wait is not longer than the process."""
    part = PretendPart("print('cannot bind'); raise SystemExit(7)")
    with servers_of(tmp_path, part) as servers, pytest.raises(StackError) as failed:
        start_servers(servers, lambda _: None)
    assert failed.value.message == "Pretender ended while starting (exit code 7)."
    assert "cannot bind" in failed.value.hint


def test_a_server_that_never_serves_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait is bounded."""
    monkeypatch.setattr("tierline.local.startup.READY_TIMEOUT_S", 0.0)
    with servers_of(tmp_path, PretendPart(RUNNING)) as servers, pytest.raises(StackError) as failed:
        start_servers(servers, lambda _: None)
    assert "Pretender was not ready" in failed.value.message


def test_a_server_killed_on_purpose_stays_down_and_starts_when_asked(tmp_path: Path) -> None:
    """The handle of a fault test: kill -9, then start and wait for readiness."""
    part = PretendPart(RUNNING, ready=True)
    with servers_of(tmp_path, part) as servers:
        server = servers["pretender"]
        server.start()
        first = server.pid
        server.kill9()
        assert (None, False, False) == (server.pid, server.ready, server.wanted)
        server.start()
        assert server.ready
        assert server.pid not in (None, first)
