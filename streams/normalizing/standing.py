"""The partitions that stand still because their breakers are open: read no further, they keep what came."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Protocol

import structlog

from streams.normalizing.concluding import Work
from streams.normalizing.intake_metrics import IntakeMetrics
from streams.normalizing.progress import Place
from streams.transport import Batch

Queue = deque[Work | Batch]
"""What stands in a partition, in order: the record that may not die, then what came behind it."""

_log = structlog.get_logger(__name__)


class Gates(Protocol):
    """The partitions that are read."""

    def pause(self, place: Place) -> None:
        """Read no more of it for now."""

    def resume(self, place: Place) -> None:
        """Read on."""


class Standing:
    """What stands, by partition."""

    def __init__(self, gates: Gates, metrics: IntakeMetrics) -> None:
        self._gates = gates
        self._metrics = metrics
        self._queues: dict[Place, Queue] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    @property
    def places(self) -> tuple[Place, ...]:
        """The partitions that stand still."""
        return tuple(self._queues)

    def queue(self, place: Place) -> Queue | None:
        """What stands there; None where records flow."""
        return self._queues.get(place)

    def begin(self, place: Place, work: Work) -> None:
        """``work`` may not die: the partition stands still from it on."""
        self._queues[place] = deque([work])
        self._gates.pause(place)
        self._metrics.standing_still(place, still=True)
        _log.warning("partition_stands_still", topic=place[0], partition=place[1], offset=work.record.offset)

    def end(self, place: Place) -> None:
        """Nothing stands there any more."""
        del self._queues[place]
        self._gates.resume(place)
        self._metrics.standing_still(place, still=False)
        _log.info("partition_goes_on", topic=place[0], partition=place[1])

    def keep(self, open_places: Collection[Place]) -> None:
        """Forget the partitions that are not ours any more."""
        for place in [place for place in self._queues if place not in open_places]:
            del self._queues[place]
            self._metrics.standing_still(place, still=False)
