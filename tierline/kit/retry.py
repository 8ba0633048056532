"""Retry policies by name: each is put around one step that does I/O, never around a sequence.

``POLICY(function, *arguments)`` runs it; ``POLICY.copy(sleep=clock.sleep)`` lets a test move the time.
A worker's own loop does not block in a policy (it must keep its group membership): it asks ``Backoff``
how long to wait instead.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import psycopg
from confluent_kafka import KafkaException
from tenacity import (
    AsyncRetrying,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    stop_before_delay,
    wait_random_exponential,
)

from tierline.kit.errors import LookUpFailed, Unavailable

BROKER = Retrying(
    retry=retry_if_exception_type((KafkaException, Unavailable)),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    stop=stop_after_delay(30),
    reraise=True,
)
"""One call to Kafka: up to 30 s, then the broker's own error."""

DATABASE = Retrying(
    retry=retry_if_exception_type((psycopg.OperationalError, psycopg.InterfaceError)),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    stop=stop_after_delay(30),
    reraise=True,
)
"""One statement that may run twice, or one connect: up to 30 s, then the database's own error."""

REGISTRY = Retrying(
    retry=retry_if_exception_type((Unavailable, OSError)),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    stop=stop_after_delay(10),
    reraise=True,
)
"""One call to the schema registry: up to 10 s, then the error."""

LOOK_UP = AsyncRetrying(
    retry=retry_if_exception_type(LookUpFailed),
    wait=wait_random_exponential(multiplier=0.02, max=0.3),
    stop=stop_before_delay(1),
    reraise=True,
)
"""The look-ups of one batch: up to 1 s together, then the failure."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a loop waits before the next try: doubled from ``first_ms`` to ``limit_ms``, with jitter."""

    first_ms: int = 100
    limit_ms: int = 5_000

    def wait_ms(self, failures: int) -> int:
        """Milliseconds to wait after ``failures`` failures in a row (from 1): half fixed, half random."""
        full = min(self.limit_ms, self.first_ms << min(failures - 1, 16))
        return full // 2 + random.randrange(full // 2 + 1)  # noqa: S311 - spreads load, hides nothing
