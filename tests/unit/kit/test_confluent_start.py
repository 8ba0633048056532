"""A partition is read from its lease even when librdkafka has not begun to fetch it."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tierline.kit.confluent_broker import ConfluentConsumer
from tierline.kit.errors import Unavailable
from tierline.kit.settings import KafkaSettings


class RefusingSeeks:
    """Stands for the client: every seek fails with ``code``; keeps what else was asked."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.calls: list[tuple[str, int]] = []

    def seek(self, place: TopicPartition) -> None:
        raise KafkaException(KafkaError(self.code))

    def __getattr__(self, name: str) -> Any:
        return lambda places: self.calls.append((name, places[0].offset))


def consumer(client: RefusingSeeks) -> ConfluentConsumer:
    tested = ConfluentConsumer(KafkaSettings(bootstrap_servers="127.0.0.1:1"), "group")
    tested.close()
    tested._consumer = client  # type: ignore[assignment]
    return tested


def test_a_partition_that_was_never_begun_is_assigned_anew_with_its_place() -> None:
    """A seek that can never succeed does not keep a partition closed for ever."""
    client = RefusingSeeks(KafkaError._STATE)

    consumer(client).start(3, 42)

    assert [("incremental_unassign", 42), ("incremental_assign", 42), ("resume", 42)] == client.calls


def test_any_other_refusal_is_an_outage() -> None:
    """A broker that is away is waited for."""
    client = RefusingSeeks(KafkaError._TRANSPORT)

    with pytest.raises(Unavailable, match="partition 3 from 42"):
        consumer(client).start(3, 42)
    assert [] == client.calls
