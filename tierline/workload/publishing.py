"""Publishes sample records on a schedule that does not wait for answers (open loop)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.topics import orders_topic
from tierline.kit.broker import Delivered, Delivery, Producer
from tierline.kit.clock import Clock
from tierline.kit.errors import DeliveryFailed
from tierline.kit.records import Message
from tierline.workload.client_log import ClientLog
from tierline.workload.records import SampleRecord

FLUSH_S = 30.0


@dataclass(slots=True)
class Publication:
    """One record of a run: when it was due (ms), and where the broker put it, None until acknowledged."""

    record: SampleRecord
    due_ms: int
    delivery: Delivery | None = None
    logged: Delivered | None = None
    """Who else hears the broker's answer."""

    def delivered(self, delivery: Delivery) -> None:
        """The broker's answer."""
        self.delivery = delivery
        if self.logged is not None:
            self.logged(delivery)


def raw_message(record: SampleRecord) -> Message:
    """The Kafka message of a sample record; the broker's partitioner places it by key."""
    key = None if record.key is None else record.key.encode()
    return Message(orders_topic(record.channel).name, key, record.value, headers=record.headers)


class OpenLoop:
    """Sends each record when it is due by the clock, however long the answers take.

    ``log`` is told before each record is sent, and of each answer.
    """

    def __init__(self, producer: Producer, clock: Clock, rate: float, log: ClientLog | None = None) -> None:
        self._producer = producer
        self._clock = clock
        self._rate = rate
        self._log = log
        self.publications: list[Publication] = []

    def run(self, records: Iterable[SampleRecord]) -> Iterable[Publication]:
        """Send ``records``, ``rate`` intents a second, yielding each once it is sent.

        A record that is late is sent at once; its latency counts from when it was due.
        """
        start = self._clock.now_ms()
        intents = 0
        for record in records:
            due = start + round(intents * 1000 / self._rate)
            self._wait_until(due)
            publication = Publication(record, due)
            self.publications.append(publication)
            self._send(publication)
            intents += record.intents
            yield publication
        self._finish()

    def _send(self, publication: Publication) -> None:
        message = raw_message(publication.record)
        if self._log is not None:
            publication.logged = self._log.sending(message, publication.record.intents)
        self._producer.send(message, publication.delivered)

    def _wait_until(self, due_ms: int) -> None:
        self._producer.serve()
        while (left := due_ms - self._clock.now_ms()) > 0:
            self._clock.sleep(left / 1000)
            self._producer.serve()

    def _finish(self) -> None:
        missing = self._producer.flush(FLUSH_S)
        refused = [p for p in self.publications if p.delivery is None or p.delivery.error is not None]
        if refused:
            first = refused[0].delivery
            reason = first.error if first else f"{missing} not acknowledged within {FLUSH_S:.0f} s"
            raise DeliveryFailed(f"{len(refused)} of {len(self.publications)} records not taken: {reason}")
