"""What the normalizer counts, added up per batch: a metric costs more than the record that it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import prometheus_client

from schemas.topics import NORMALIZER
from tierline.domain.outcome import DeadLetterClass
from tierline.kit.telemetry import Metrics

STAGE = "normalizer"
ACCEPTED = "accepted"
DEAD = "dead"
PARKED = "parked"
HELD = "held"
SKIPPED = "skipped"


class IntakeMetrics:
    """Counts in memory until ``publish``."""

    def __init__(self, metrics: Metrics) -> None:
        self._records = metrics.records
        self._retries = metrics.retries.labels("", DeadLetterClass.DEPENDENCY)
        self._standing_still = metrics.standing_still
        self._key_holds = metrics.key_holds
        self._held_records = metrics.held_records
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

    def retried(self) -> None:
        """A look-up is tried again."""
        self._retries.inc()

    def holds(self, keys: Mapping[str, int], records: Mapping[str, int]) -> None:
        """So many keys and records are held, by channel."""
        for channel, number in keys.items():
            self._key_holds.labels(channel).set(number)
            self._held_records.labels(channel).set(records.get(channel, 0))

    def standing_still(self, place: tuple[str, int], *, still: bool) -> None:
        """A partition stands still, or goes on."""
        self._standing_still.labels(NORMALIZER, place[0], str(place[1])).set(still)

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
