"""Publishes stored events: the very bytes, in order, and remembers how far the broker acknowledged them.

Publishing is pipelined behind the commits and bounded. An event that cannot be delivered ends the process:
the next holder of the partition compares topic and store and publishes the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NoReturn

from schemas.topics import EVENTS
from streams.deciding.event_store import Published
from tierline.kit.broker import Delivery, Producer
from tierline.kit.crash_points import reached
from tierline.kit.records import Message

MAX_IN_FLIGHT = 20_000
_WAIT_S = 0.05


def event_message(event: Published) -> Message:
    """The record of one stored event on the events topic."""
    return Message(
        EVENTS.name,
        event.account_id.encode(),
        event.value,
        event.partition,
        (
            ("type", event.type.encode()),
            ("position", str(event.position).encode()),
            ("hash", event.hash),
        ),
    )


class Publisher:
    """Sends events with ``producer``; ``fail`` ends the process when one is refused."""

    def __init__(
        self, producer: Producer, fail: Callable[[str], NoReturn], max_in_flight: int = MAX_IN_FLIGHT
    ) -> None:
        self._producer = producer
        self._fail = fail
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._acknowledged: dict[int, int] = {}

    def publish(self, events: Iterable[Published]) -> None:
        """Queue ``events`` in their order; waits while too many are unanswered."""
        for event in events:
            while self._in_flight >= self._max_in_flight:
                self._producer.flush(_WAIT_S)
            self._in_flight += 1
            self._producer.send(event_message(event), self._answered)
            reached("orders.mid_publish")
        self._producer.serve()

    def serve(self) -> None:
        """Hear the broker's answers; does not wait."""
        if self._in_flight:
            self._producer.serve()

    def acknowledged(self, partition: int) -> int | None:
        """Offset of the last event of ``partition`` that the broker acknowledged to this process."""
        return self._acknowledged.get(partition)

    def _answered(self, delivery: Delivery) -> None:
        self._in_flight -= 1
        if delivery.error is not None:
            self._fail(f"{delivery.topic} partition {delivery.partition}: {delivery.error}")
        before = self._acknowledged.get(delivery.partition, -1)
        self._acknowledged[delivery.partition] = max(before, delivery.offset)
