"""Whose topics are compared by their ids."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from schemas.topic_identity import check_identity
from schemas.topics import all_topics, dead_letter_topics
from tierline.kit.database import Connection
from tierline.kit.settings import KafkaSettings


class Broker:
    """Knows every topic, each by its name for an id."""

    def describe_topics(self, asked: TopicCollection, *, request_timeout: float) -> dict[str, Any]:
        del request_timeout
        return {
            name: SimpleNamespace(result=lambda: SimpleNamespace(topic_id="id")) for name in asked.topic_names
        }


class Store:
    """Notes which topics it is asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()

    def execute(self, _: str, values: dict[str, Any]) -> list[tuple[str]]:
        self.asked = values["topics"]
        return []


@pytest.mark.parametrize("dead_letters_too", [False, True])
def test_topics_of_dead_letters_are_compared_for_their_reader_alone(*, dead_letters_too: bool) -> None:
    """Made again, they stop nobody else."""
    store, kafka = Store(), KafkaSettings(topic_prefix="t.")
    check_identity(
        cast("Connection", store),
        cast("AdminClient", Broker()),
        kafka,
        dead_letters_too=dead_letters_too,
    )

    left_out = set() if dead_letters_too else {topic.name for topic in dead_letter_topics()}
    assert {topic.name for topic in all_topics()} - left_out == set(store.asked)
