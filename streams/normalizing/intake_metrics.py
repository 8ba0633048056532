"""What the normalizer counts, added up per batch: a metric costs more than the record that it counts."""

from __future__ import annotations

from collections import Counter

import prometheus_client

from tierline.kit.telemetry import Metrics

STAGE = "normalizer"
ACCEPTED = "accepted"
DEAD = "dead"
PARKED = "parked"


class IntakeMetrics:
    """Counts in memory until ``publish``."""

    def __init__(self, metrics: Metrics) -> None:
        self._records = metrics.records
        self.seconds = metrics.processing.labels(STAGE)
        self._unknown_fields = prometheus_client.Counter(
            "oms_unknown_fields",
            "Payload fields that no contract names; tolerated.",
            ["channel"],
            registry=metrics.registry,
        )
        self._strict = prometheus_client.Counter(
            "oms_strict_readings",
            "Records that took the strict, slower way of reading.",
            ["channel"],
            registry=metrics.registry,
        )
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._fields: Counter[str] = Counter()
        self._strictly: Counter[str] = Counter()

    def read(self, channel: str, *, unknown_fields: int, strict: bool) -> None:
        """One record was understood."""
        if unknown_fields:
            self._fields[channel] += unknown_fields
        if strict:
            self._strictly[channel] += 1

    def ended(self, channel: str, outcome: str) -> None:
        """One intent left with ``outcome``, or was parked."""
        self._outcomes[channel, outcome] += 1

    def publish(self) -> None:
        """Add what was counted to the metrics."""
        for (channel, outcome), number in self._outcomes.items():
            self._records.labels(channel, STAGE, outcome).inc(number)
        for channel, number in self._fields.items():
            self._unknown_fields.labels(channel).inc(number)
        for channel, number in self._strictly.items():
            self._strict.labels(channel).inc(number)
        for counted in (self._outcomes, self._fields, self._strictly):
            counted.clear()
