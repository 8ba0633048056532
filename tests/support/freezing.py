"""A worker that stands still past its session, as on a machine that swaps, and wakes up as a zombie."""

from __future__ import annotations

import json
import signal
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.support.waiting import wait_for
from tierline.kit.settings import Settings
from tierline.local.workers import Worker

Places = Collection[tuple[str, int]]
"""Partitions, by topic and number."""


@contextmanager
def frozen(settings: Settings, worker: Worker, consumer: str, had: Places) -> Iterator[None]:
    """``worker`` stands still inside the block; before it wakes, somebody else has what it ``had``."""
    before = owners(settings, consumer)
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
        wait_for(lambda: set(had) <= _changed(before, settings, consumer), "others to have it all")
    finally:
        worker.send_signal(signal.SIGCONT)


def partitions_by_log(worker: Worker) -> set[tuple[str, int]]:
    """The partitions that a worker other than the normalizer opened since its last start and still has.

    For one that stands still and cannot be asked.
    """
    opened: set[tuple[str, int]] = set()
    for line in worker.log.read_text().splitlines():
        said: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
        match said.get("event"):
            case "health_server":
                opened.clear()
            case "partition_opened":
                opened.add((said["topic"], said["partition"]))
            case "partitions_revoked":
                opened.difference_update((said["topic"], partition) for partition in said["partitions"])
    return opened


def owners(settings: Settings, consumer: str) -> dict[tuple[str, int], str]:
    """Who has the lease of each partition, by topic and number."""
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        rows = connection.execute(
            "SELECT topic, partition, owner::text FROM oms.lease WHERE consumer = %s", (consumer,)
        ).fetchall()
    return {(topic, partition): owner for topic, partition, owner in rows}


def _changed(
    before: Mapping[tuple[str, int], str], settings: Settings, consumer: str
) -> set[tuple[str, int]]:
    return {place for place, owner in owners(settings, consumer).items() if before.get(place) != owner}
