"""What travels over Kafka, as values: a record that was read, a message to be sent."""

from __future__ import annotations

from dataclasses import dataclass

from tierline.domain.values import quickly_made

Headers = tuple[tuple[str, bytes], ...]


@quickly_made
@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read. ``topic`` is the name without prefix; ``timestamp_ms`` is the broker's."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> bytes | None:
        """The value of the last header ``name``, None without one."""
        for known, value in reversed(self.headers):
            if known == name:
                return value
        return None


@quickly_made
@dataclass(frozen=True, slots=True)
class Message:
    """One record to be sent. ``topic`` without prefix; ``partition`` None lets murmur2 of the key choose."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()
