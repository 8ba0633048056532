"""What operators see of the partitions of one consumer: the gauges, and the facts for its health."""

from __future__ import annotations

from collections.abc import Callable, Collection

from prometheus_client import Gauge

from tierline.kit.health import Health, Place
from tierline.kit.telemetry import Metrics


class PartitionWatch:
    """Hears what happens to partitions of ``topics`` (said in words) and tells it on.

    ``now_ms``: the time of day, for timestamps.
    """

    def __init__(
        self, consumer: str, topics: str, metrics: Metrics, health: Health, now_ms: Callable[[], int]
    ) -> None:
        self._consumer = consumer
        self._step = f"partitions of {topics}"
        self._metrics = metrics
        self._health = health
        self._now_ms = now_ms
        health.todo(self._step)

    def opening(self, places: Collection[Place]) -> None:
        """``places`` were assigned, or are taken again."""
        self._health.opening(places)

    def opened(self, places: Collection[Place]) -> None:
        """Records of ``places`` are read from now on."""
        self._health.opened(places)
        for place in places:
            self._set(self._metrics.closed, place, 0)
            self._set(self._metrics.stalled, place, 0)

    def taken_over(self) -> None:
        """Everything that the group gave, be it nothing, was taken over."""
        self._health.done(self._step)

    def closed(self, place: Place) -> None:
        """``place`` is kept closed."""
        self._health.closed(place)
        self._set(self._metrics.closed, place, 1)

    def stalled(self, place: Place, cause: str) -> None:
        """``place`` was stopped by a bug."""
        self._health.stalled(place, cause)
        self._set(self._metrics.stalled, place, 1)

    def breaker(self, place: Place, cause: str | None) -> None:
        """The breaker of ``place`` is open because of ``cause``; None: not any more."""
        if cause is None:
            self._health.opened([place])
        else:
            self._health.breaker_open(place, cause)

    def waiting(self, places: Collection[Place], cause: str) -> None:
        """Something that ``places`` need is away."""
        self._health.waiting(places, cause)

    def gone(self, places: Collection[Place]) -> None:
        """``places`` belong to somebody else: their numbers are not ours to tell any more."""
        self._health.gone(places)
        metrics = self._metrics
        for gauge in (
            metrics.lag,
            metrics.last_progress,
            metrics.oldest_unprocessed,
            metrics.closed,
            metrics.stalled,
        ):
            for topic, partition in places:
                gauge.remove(self._consumer, topic, str(partition))

    def met(self, place: Place, timestamp_ms: int) -> None:
        """The oldest record at hand that is not done: when the broker took it."""
        self._set(self._metrics.oldest_unprocessed, place, timestamp_ms / 1000)

    def moved(self, place: Place) -> None:
        """Records of ``place`` are done with."""
        self._health.moved(place)
        self._set(self._metrics.last_progress, place, self._now_ms() / 1000)

    def behind(self, place: Place, records: int) -> None:
        """So many records are still to come. Where none is, the oldest one is as old as now."""
        self._health.behind(place, records)
        self._set(self._metrics.lag, place, records)
        if not records:
            self._set(self._metrics.oldest_unprocessed, place, self._now_ms() / 1000)

    def _set(self, gauge: Gauge, place: Place, value: float) -> None:
        topic, partition = place
        gauge.labels(self._consumer, topic, str(partition)).set(value)
