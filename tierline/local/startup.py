"""Starts several servers side by side, each as soon as what it waits for serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from tierline.local.server import POLL_S, READY_TIMEOUT_S, Server

WAITS_FOR = {"registry": "postgres"}


def start_servers(servers: Mapping[str, Server], on_progress: Callable[[Server], None]) -> None:
    """Set up and start every server; return when all serve.

    ``on_progress`` hears of each server when its process exists and when it serves. Raises StackError
    with the end of the log when one ends or does not serve in time.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    with ThreadPoolExecutor(max(len(servers), 1)) as pool:
        set_up = {name: pool.submit(server.part.set_up) for name, server in servers.items()}
        while waiting := [server for server in servers.values() if not server.ready]:
            for server in waiting:
                if _advance(server, set_up[server.name], servers):
                    on_progress(server)
            if time.monotonic() > deadline:
                raise waiting[0].failed(f"was not ready after {READY_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)


def _advance(server: Server, set_up: Future[None], servers: Mapping[str, Server]) -> bool:
    """Take the server one step further if it can go: set up → running → ready. Processes are started by
    this thread, never by the pool's: Linux ties the life of a child to the thread that started it."""
    if server.is_running() or server.exit_code is not None:
        return server.check_ready()
    before = servers.get(WAITS_FOR.get(server.name, ""))
    if not set_up.done() or (before and not before.ready):
        return False
    set_up.result()
    server.spawn()
    return True
