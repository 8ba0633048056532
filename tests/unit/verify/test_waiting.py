"""Whether the pipeline has finished, asked of a broker that does not always answer."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.topics import COMMANDS, EVENTS, ORDERS
from tierline.verify import waiting
from tierline.verify.waiting import ProgressReader, Remaining

LEASES = {"next_offset": [(ORDERS, COMMANDS.name, 0, 1)], "next_position": [(ORDERS, COMMANDS.name, 0, 1)]}


class Message:
    """The event at position 0."""

    def error(self) -> None:
        return None

    def offset(self) -> int:
        return 0

    def headers(self) -> list[tuple[str, bytes]]:
        return [("position", b"0")]


class Broker:
    """Has one event, and is silent as often as ``silent`` says before it gives it."""

    silent = 0

    def __init__(self, _: object) -> None:
        self._answers: Iterator[Message | None] = iter([*[None] * self.silent, Message()])

    def list_topics(self, name: str, **_: object) -> Any:
        return SimpleNamespace(topics={name: SimpleNamespace(partitions=[0])})

    def get_watermark_offsets(self, place: Any, **_: object) -> tuple[int, int]:
        return (0, 1) if place.topic == EVENTS.name else (0, 0)

    def assign(self, _: object) -> None:
        pass

    def poll(self, _: float) -> Message | None:
        return next(self._answers)


class Store:
    """The leases, and nothing held."""

    def execute(self, statement: str) -> Any:
        column = next((name for name in LEASES if f"{name} FROM oms.lease" in statement), "")
        return SimpleNamespace(fetchall=lambda: LEASES.get(column, []))

    def rollback(self) -> None:
        pass


@pytest.mark.parametrize("silent", [0, 1, 2])
def test_a_broker_that_was_silent_is_asked_again(monkeypatch: pytest.MonkeyPatch, silent: int) -> None:
    """What could not be read counts as not published for this look alone."""
    monkeypatch.setattr(Broker, "silent", silent)
    monkeypatch.setattr(waiting, "Consumer", Broker)
    reader = ProgressReader("nowhere", "", Store())  # type: ignore[arg-type] # as much of a session as it asks

    looks = [[part for part in reader.remaining() if part.consumer == "the store"] for _ in range(silent + 2)]

    unpublished = [Remaining("the store", EVENTS.name, 0, 1)]
    assert [unpublished] * silent + [[], []] == looks
