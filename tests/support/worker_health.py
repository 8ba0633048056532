"""What a running worker says about its own health, asked where it listens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psutil

from tests.support.waiting import wait_for
from tierline.local.readiness import health_of
from tierline.local.workers import Worker


def listening(worker: Worker) -> list[tuple[str, int]]:
    """Every address on which the process takes connections."""
    assert worker.pid is not None
    connections = psutil.Process(worker.pid).net_connections("inet")
    return [(c.laddr[0], c.laddr[1]) for c in connections if c.status == psutil.CONN_LISTEN]


def health(worker: Worker) -> Mapping[str, Any]:
    """What the worker says about itself, at the only port that it has open; empty when not there yet."""
    ports = listening(worker)
    return (health_of(ports[0][1]) or {}) if ports else {}


def held_by(worker: Worker) -> set[tuple[str, int]]:
    """The partitions on which the worker works now, by topic and number."""
    if worker.pid is None:
        return set()
    partitions = health(worker).get("partitions", ())
    return {(p["topic"], p["partition"]) for p in partitions if p["standstill"] is None}


def standing_still(worker: Worker) -> dict[int, str]:
    """The partitions on which the worker does not work now, by number, and why."""
    if worker.pid is None:
        return {}
    partitions = health(worker).get("partitions", ())
    return {p["partition"]: p["standstill"] for p in partitions if p["standstill"] is not None}


def wait_for_partitions(worker: Worker) -> None:
    """Wait until the worker works on partitions."""
    wait_for(lambda: bool(held_by(worker)), f"{worker.name} to have partitions")
