"""The tuning in the words of librdkafka, for the runners that stand on it."""

from __future__ import annotations

from typing import Any

from benchmarks.processors.assignment import Tuning


def consumer_settings(tuning: Tuning) -> dict[str, Any]:
    """How it fetches. Left alone, it waits for a second at a full queue."""
    return {
        "partition.assignment.strategy": "cooperative-sticky",
        "isolation.level": "read_committed",
        "session.timeout.ms": tuning.session_ms,
        "heartbeat.interval.ms": tuning.heartbeat_ms,
        "fetch.wait.max.ms": tuning.fetch_wait_ms,
        "fetch.min.bytes": tuning.fetch_min_bytes,
        "fetch.max.bytes": tuning.fetch_bytes,
        "max.partition.fetch.bytes": tuning.partition_fetch_bytes,
        "fetch.queue.backoff.ms": 10,
        "queued.min.messages": 20_000,
    }


def producer_settings(tuning: Tuning) -> dict[str, Any]:
    """How it sends."""
    return {
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2",
        "compression.type": tuning.compression,
        "linger.ms": tuning.linger_ms,
        "batch.size": tuning.batch_bytes,
    }
