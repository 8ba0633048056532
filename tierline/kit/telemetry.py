"""What a worker tells about itself: structured logs and Prometheus metrics.

Logs carry ``order_id``, ``account_id`` and ``correlation_id`` under these names wherever they are known.
Metrics are in base units; no label ever carries a key, an offset or an id.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from tierline.kit.settings import Settings

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Every metric of a worker, in one registry; build one per process, or one per test."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.records = self._counter(
            "oms_records", "Records by where they are and how they left.", "channel", "stage", "outcome"
        )
        self.retries = self._counter("oms_retries", "Turns that were tried again.", "channel", "class")
        self.dead_letters = self._counter("oms_dead_letters", "Intents called dead.", "channel", "class")
        self.checkpoints = self._counter(
            "oms_checkpoints", "Signed checkpoints by what became of them: written or failed.", "outcome"
        )
        self.processing = self._seconds("oms_processing_seconds", "One turn, from records read to committed.")
        self.end_to_end = self._seconds(
            "oms_end_to_end_seconds",
            "From the broker's append of the original record to the commit.",
        )
        self.lag = self._per_partition("oms_partition_lag_records", "Records not yet processed.")
        self.last_progress = self._per_partition(
            "oms_partition_last_progress_timestamp_seconds", "When a partition last moved."
        )
        self.oldest_unprocessed = self._per_partition(
            "oms_partition_oldest_unprocessed_timestamp_seconds",
            "Broker time of the oldest record that is not processed; now where there is none.",
        )
        self.closed = self._per_partition(
            "oms_partition_closed", "1: kept closed because store and topic disagree. Page."
        )
        self.stalled = self._per_partition("oms_partition_stalled", "1: stopped by a bug. Page.")
        self.standing_still = self._per_partition(
            "oms_partition_standing_still", "1: reads no further, because its breaker is open."
        )
        self.breaker_open = Gauge(
            "oms_breaker_open",
            "1: dead letters are kept back, and the partition stands where one would be written. Page.",
            ["channel", "partition"],
            registry=self.registry,
        )
        self.key_holds = self._per_channel("oms_key_holds", "Keys whose records wait in order.")
        self.held_records = self._per_channel("oms_held_records", "Records that wait in order.")
        self.build_info = Gauge(
            "oms_build_info", "The version that runs.", ["version", "worker"], registry=self.registry
        )

    def runs(self, worker: str, version: str) -> None:
        """This process is ``worker``: tell its version, and its memory and processor time from now on."""
        self.build_info.labels(version, worker).set(1)
        ProcessCollector(registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _seconds(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, ["stage"], registry=self.registry, buckets=_SECONDS)

    def _per_channel(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ["channel"], registry=self.registry)

    def _per_partition(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ["consumer", "topic", "partition"], registry=self.registry)


def configure_logging(settings: Settings, worker: str, **facts: Any) -> None:
    """Send logs to standard error, one JSON object a line, or readable ones with ``log_format=console``."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=shared + last,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(worker=worker, **facts)
