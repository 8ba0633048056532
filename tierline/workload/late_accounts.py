"""Orders that came before their accounts: how many wait, and whether they have gone on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import psycopg

POLL_S = 0.1
Place = tuple[str, int, int]
"""Topic, partition and offset of a record."""

_HELD = """
SELECT held.topic, held.partition, held."offset", hold.channel, hold.hold_id::text, cardinality(held.intents)
  FROM deadletter.held_record AS held JOIN deadletter.key_hold AS hold USING (hold_id)
 WHERE %(keys)s::bytea[] IS NULL OR hold.key = ANY(%(keys)s)
"""


@dataclass(frozen=True, slots=True)
class Held:
    """What waits at one moment: the records, how many intents by channel, under how many keys."""

    places: frozenset[Place]
    by_channel: Counter[str]
    keys: int


def read_held(connection: psycopg.Connection[Any], keys: Collection[bytes] | None = None) -> Held:
    """Everything that is held, or what is held under ``keys``."""
    rows = connection.execute(_HELD, {"keys": None if keys is None else list(keys)}).fetchall()
    connection.rollback()
    by_channel: Counter[str] = Counter()
    for row in rows:
        by_channel[row[3]] += row[5]
    return Held(frozenset(row[:3] for row in rows), by_channel, len({row[4] for row in rows}))


def wait_until_released(connection: psycopg.Connection[Any], keys: Collection[bytes], limit_s: float) -> Held:
    """Wait until nothing is held under ``keys``, at most ``limit_s`` seconds; returns what then is."""
    deadline = time.monotonic() + limit_s
    while (held := read_held(connection, keys)).places and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return held
