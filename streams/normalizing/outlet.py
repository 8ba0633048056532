"""The way out of the normalizer: a confluent-kafka producer that never blocks the event loop.

librdkafka keeps the order per partition, sends each message once (idempotent) and keeps trying while the
broker is away, for as long as that takes. Answers are delivered by ``serve``, on the event loop.
"""

from __future__ import annotations

from collections import deque
from functools import partial

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from deadletter.ports import Answered, Refusal
from tierline.kit.confluent_broker import TOO_LARGE, producer_config
from tierline.kit.records import Message
from tierline.kit.settings import KafkaSettings

_CROWDED = 5_000
_LIMITS = {
    # What the broker let in compressed may be large unpacked: it judges again; the queue must hold it.
    "message.max.bytes": 10_000_000,
    "queue.buffering.max.messages": 10_000,
    "queue.buffering.max.kbytes": 12_288,
    "delivery.timeout.ms": 0,
}


class Outlet:
    """Sends messages; see ``deadletter.ports.Outlet``. ``crowded``: send nothing new until answers came."""

    def __init__(self, kafka: KafkaSettings, client_id: str) -> None:
        self._prefix = kafka.topic_prefix
        self._producer = confluent_kafka.Producer(producer_config(kafka, client_id) | _LIMITS)
        self._wire: dict[str, str] = {}
        self._queued: deque[tuple[Message, Answered]] = deque()
        self._refused: deque[tuple[Answered, Refusal]] = deque()
        self._unanswered = 0

    @property
    def unanswered(self) -> int:
        """Messages taken by ``send`` whose answer was not delivered yet."""
        return self._unanswered

    @property
    def crowded(self) -> bool:
        return bool(self._queued) or self._unanswered > _CROWDED

    def send(self, message: Message, answered: Answered) -> None:
        self._unanswered += 1
        if self._queued or not self._produce(message, answered):
            self._queued.append((message, answered))

    def serve(self) -> None:
        """Deliver the answers that have come, and send what had to wait for room."""
        self._producer.poll(0)
        while self._queued and self._produce(*self._queued[0]):
            self._queued.popleft()
        while self._refused:
            answered, refusal = self._refused.popleft()
            self._answer(answered, refusal)

    def close(self) -> None:
        """Drop what is not on its way yet; whoever sent it was not told that it arrived."""
        self._queued.clear()
        self._producer.purge()
        self._producer.flush(1)

    def _produce(self, message: Message, answered: Answered) -> bool:
        """Whether the client has room for ``message``."""
        topic = message.topic
        wire = self._wire.get(topic) or self._wire.setdefault(topic, self._prefix + topic)
        try:
            self._producer.produce(
                wire,
                message.value,
                message.key,
                -1 if message.partition is None else message.partition,
                partial(self._delivered, answered),
                headers=list(message.headers) or None,
            )
        except BufferError:
            return False
        except KafkaException as error:
            self._refused.append((answered, _refusal(error.args[0])))
        return True

    def _delivered(
        self, answered: Answered, error: KafkaError | None, _message: confluent_kafka.Message
    ) -> None:
        self._unanswered -= 1
        answered(None if error is None else _refusal(error))

    def _answer(self, answered: Answered, refusal: Refusal | None) -> None:
        self._unanswered -= 1
        answered(refusal)


def _refusal(error: KafkaError) -> Refusal:
    return Refusal(too_large=error.code() in TOO_LARGE, text=f"{error.name()}: {error.str()}")
