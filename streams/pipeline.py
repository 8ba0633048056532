"""The channels, each read by its own file, and the one way from a record to its intents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from schemas import topics
from schemas.topics import Topic, orders_topic
from streams.reading.contract import Document
from streams.reading.headers import DEFAULT_SOURCE, UNREADABLE_SOURCE, source_of, traceparent_of
from streams.reading.intent import Arrival, Intent, PlanNames, Reading, Unreadable
from streams.reading.refusal import Code, Refused, dead
from tierline.kit.records import Record

MAX_RECORD_BYTES = 1024 * 1024


class RecordContract(Protocol):
    """How the bytes of a channel are read; ``names``: what it calls its fields, to be shown to anybody."""

    names: frozenset[str]

    def read(self, value: bytes | None) -> Document[Any]:
        """The document in ``value``; raises ``Refused`` (class decode or contract)."""

    def reference_in(self, value: bytes | None) -> str | None:
        """The channel's reference in a record that was refused; None if it cannot be told."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: its name, what its bytes must be, and what they then ask for."""

    name: str
    contract: RecordContract
    intents: Callable[[Document[Any], Arrival], tuple[Intent, ...]]

    @property
    def topic(self) -> Topic:
        """Where the channel publishes."""
        return orders_topic(self.name)


def channel_of(name: str) -> Channel:
    """The channel that ``streams/channels/<name>.py`` describes: its ``CONTRACT`` and its ``intents``."""
    described = import_module(f"streams.channels.{name}")
    return Channel(name, described.CONTRACT, described.intents)


CHANNELS: Mapping[str, Channel] = {name: channel_of(name) for name in topics.CHANNELS}


def read_intents(channel: Channel, record: Record, plans: PlanNames) -> Reading | Unreadable:
    """What ``record`` asks for: one intent or more, or the reason why it cannot be read.

    Pure: the same record always gives the same answer.
    """
    headers, value = record.headers, record.value
    source = UNREADABLE_SOURCE
    try:
        source = source_of(headers) if headers else DEFAULT_SOURCE
        _refuse_oversize(value)
        document = channel.contract.read(value)
        trace = traceparent_of(headers) if headers else None
        intents = channel.intents(document, Arrival(channel.name, source, trace, record, plans))
    except Refused as refusal:
        too_large = refusal.code is Code.RECORD_TOO_LARGE
        reference = None if too_large else channel.contract.reference_in(value)
        return Unreadable(dead(refusal.code, refusal.field), reference, source)
    return Reading(intents, document.unknown_fields, document.strict)


def _refuse_oversize(value: bytes | None) -> None:
    if value is not None and len(value) > MAX_RECORD_BYTES:
        raise Refused(Code.RECORD_TOO_LARGE)
