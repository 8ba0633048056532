"""What a runner is told: where to read and write, and how its clients are tuned. The same for all of them."""

from __future__ import annotations

import sys
from typing import Self

import msgspec


class Tuning(msgspec.Struct, frozen=True):
    """How Kafka's clients are set, whichever they are. Times in ms, sizes in bytes.

    ``commit_ms``: how long a position that could be stored is not. ``poll_records``: at most so many at once.
    """

    linger_ms: int
    batch_bytes: int
    compression: str
    fetch_wait_ms: int
    fetch_min_bytes: int
    fetch_bytes: int
    partition_fetch_bytes: int
    poll_records: int
    commit_ms: int
    session_ms: int
    heartbeat_ms: int


class Assignment(msgspec.Struct, frozen=True):
    """One turn of one runner. Topics and group are called as on the wire."""

    servers: str
    source: str
    output: str
    group: str
    tuning: Tuning

    @classmethod
    def told(cls) -> Self:
        """What this process was started with, as JSON in its only argument."""
        return msgspec.json.decode(sys.argv[1], type=cls)

    def to_json(self) -> str:
        """The argument of the process."""
        return msgspec.json.encode(self).decode()
