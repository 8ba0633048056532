"""Asks workers of this machine about their health."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any

from tierline.local.artifacts import Notice
from tierline.local.ports import LOOPBACK

ANSWER_S = 2.0
READY_S = 60.0
POLL_S = 0.1


def health_of(port: int) -> Mapping[str, Any] | None:
    """Everything that the worker behind ``port`` says about itself; None when nobody answers."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/readyz?verbose")
        told: Mapping[str, Any] = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return told


def await_readiness(ports: Mapping[str, int], notice: Notice, limit_s: float = READY_S) -> None:
    """Wait until every worker of ``ports`` is ready; after ``limit_s`` seconds say of each other one why not.

    The stack goes on in either case: a worker that is not ready yet is tried again for ever.
    """
    started = time.monotonic()
    waiting = dict.fromkeys(ports, "does not answer")
    while waiting and time.monotonic() - started < limit_s:
        for name in list(waiting):
            told = health_of(ports[name])
            if told and told["ready"]:
                del waiting[name]
            elif told:
                waiting[name] = f"{told['reason']}: {told['detail']}"
        if waiting:
            time.sleep(POLL_S)
    ready = [name for name in ports if name not in waiting]
    if ready:
        notice(f"Workers ready in {time.monotonic() - started:.1f} s: {' '.join(ready)}")
    for name, why in waiting.items():
        notice(f"{name} is not ready after {limit_s:.0f} s: {why}   See tierline status")
