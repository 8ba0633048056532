"""The dead-letter record: the original key and bytes untouched, and headers that say why, where and when.

Headers under ``__dlq.errors.`` follow Apache Kafka's names and speak of the record that was consumed; those
under ``oms.dlq.`` are ours and speak of the original order record. All are UTF-8 text, bounded; instants are
ISO-8601 UTC. No payload text, no stack.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from deadletter.classify import CLASSES, FINGERPRINT_VERSION, fingerprint_of
from tierline.domain.commands import Origin
from tierline.domain.identity import dead_letter_id_of
from tierline.domain.outcome import Dead
from tierline.kit.records import Headers, Message, Record

OURS = "oms.dlq."
KAFKA = "__dlq.errors."
TRACEPARENT = "traceparent"
DETAIL_BYTES = 512
_MESSAGE = KAFKA + "message"
_TEXT_BYTES = 256


class Stage(StrEnum):
    """The step that gave up on the intent."""

    DECODE = "decode"
    CONTRACT = "contract"
    CONTEXT = "context"
    ENCODE = "encode"
    PRODUCE = "produce"
    COMMAND = "command"
    DECIDE = "decide"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead intent.

    ``record`` is what ``group`` consumed; ``origin`` is where the original order record stands (the same
    place when an order topic was consumed, or when nothing better could be read). A record that cannot be
    read counts as one intent, 0 of 1. ``failed_at`` is the first failure, ``received_at`` the broker's append
    time of the original record, both in ms. ``exhausted``: it waited to the end of its wait. ``frame`` is the
    innermost function of ours on the stack. ``source``: the sending instance, None where it could not be
    read. ``replays``: how often a person sent it through again. ``traceparent`` counts where the record has
    no such header of its own. ``decide_by`` (ms) is for the answer to a channel that takes silence for a yes.
    """

    group: str
    record: Record
    origin: Origin
    intent_index: int
    intent_count: int
    channel: str | None
    dead: Dead
    stage: Stage
    app_version: str
    failed_at: int
    received_at: int | None = None
    last_failed_at: int | None = None
    attempts: int = 1
    exhausted: bool = False
    exception: str | None = None
    frame: str | None = None
    schema_id: int | None = None
    command_id: str | None = None
    source: str | None = None
    replays: int = 0
    traceparent: str | None = None
    decide_by: int | None = None

    @property
    def id(self) -> str:
        """UUIDv5 of group, origin and intent: the same for every repeat of this dead letter."""
        return dead_letter_id_of(
            self.group, self.origin.topic, self.origin.partition, self.origin.offset, self.intent_index
        )

    @property
    def fingerprint(self) -> str:
        """The group of dead letters with the same cause."""
        return fingerprint_of(
            channel=self.channel,
            stage=self.stage,
            dead_letter_class=self.dead.dead_letter_class,
            code=self.dead.code,
            field=self.dead.field,
            exception=self.exception,
            frame=self.frame,
        )


def dead_letter_topic(topic: str, group: str) -> str:
    """The dead-letter twin of ``topic`` for consumer ``group``, both without prefix."""
    return f"{topic}.{group}.dlq"


def dead_letter_message(letter: DeadLetter) -> Message:
    """The record for the dead-letter topic: source partition, key, bytes and headers, and our headers."""
    return Message(
        dead_letter_topic(letter.record.topic, letter.group),
        letter.record.key,
        letter.record.value,
        letter.record.partition,
        (*source_headers(letter.record.headers), *_trace(letter), *_headers(letter)),
    )


def dead_letter_without_value(letter: DeadLetter) -> Message:
    """The dead letter of a record whose copy the broker refused as too large.

    Length and SHA-256 stand in for the bytes, which stay in the source topic at the origin until retention
    removes them there; source headers are left behind with them, but for the trace.
    """
    value = letter.record.value or b""
    trace = tuple(header for header in letter.record.headers if header[0] == TRACEPARENT)
    left_behind = (
        (OURS + "value.bytes", str(len(value)).encode()),
        (OURS + "value.sha256", hashlib.sha256(value).hexdigest().encode()),
    )
    return Message(
        dead_letter_topic(letter.record.topic, letter.group),
        letter.record.key,
        None,
        letter.record.partition,
        (*(trace or _trace(letter)), *_headers(letter), *left_behind),
    )


def source_headers(headers: Headers) -> Headers:
    """Of the headers of a dead letter those of the record that was consumed."""
    return tuple(h for h in headers if not h[0].startswith((OURS, KAFKA)))


def _trace(letter: DeadLetter) -> Headers:
    if letter.traceparent is None or letter.record.header(TRACEPARENT) is not None:
        return ()
    return ((TRACEPARENT, bounded(letter.traceparent, _TEXT_BYTES)),)


def _headers(letter: DeadLetter) -> Headers:
    return tuple(
        (name, bounded(text, DETAIL_BYTES if name == _MESSAGE else _TEXT_BYTES))
        for name, text in _facts(letter)
        if text is not None
    )


def _facts(letter: DeadLetter) -> Iterator[tuple[str, str | None]]:
    """Every header by name; None is left out."""
    record, dead, origin = letter.record, letter.dead, letter.origin
    last_failed_at = letter.failed_at if letter.last_failed_at is None else letter.last_failed_at
    yield KAFKA + "topic", record.topic
    yield KAFKA + "partition", str(record.partition)
    yield KAFKA + "offset", str(record.offset)
    yield KAFKA + "group", letter.group
    yield KAFKA + "delivery.count", str(letter.attempts)
    yield _MESSAGE, dead.detail
    yield OURS + "id", letter.id
    yield OURS + "class", dead.dead_letter_class
    yield OURS + "code", dead.code
    yield OURS + "field", dead.field
    yield OURS + "retryable", _flag(CLASSES[dead.dead_letter_class].retryable)
    yield OURS + "stage", letter.stage
    yield OURS + "exception", letter.exception
    yield OURS + "function", letter.frame
    yield OURS + "fingerprint", letter.fingerprint
    yield OURS + "fingerprint.v", str(FINGERPRINT_VERSION)
    yield OURS + "attempts", str(letter.attempts)
    yield OURS + "replays", str(letter.replays)
    yield OURS + "exhausted", _flag(letter.exhausted)
    yield OURS + "channel", letter.channel
    yield OURS + "source", letter.source
    yield OURS + "origin.topic", origin.topic
    yield OURS + "origin.partition", str(origin.partition)
    yield OURS + "origin.offset", str(origin.offset)
    yield OURS + "origin.timestamp", _instant(letter.received_at)
    yield OURS + "intent.index", str(letter.intent_index)
    yield OURS + "intent.count", str(letter.intent_count)
    yield OURS + "first.failed.at", _instant(letter.failed_at)
    yield OURS + "last.failed.at", _instant(last_failed_at)
    yield OURS + "app.version", letter.app_version
    yield OURS + "schema.id", None if letter.schema_id is None else str(letter.schema_id)
    yield OURS + "command.id", letter.command_id


def bounded(text: str, limit: int) -> bytes:
    """``text`` in UTF-8, cut to ``limit`` bytes at a character's edge; what UTF-8 cannot hold becomes '?'."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore").encode("utf-8")


def _instant(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def _flag(value: bool) -> str:
    return "true" if value else "false"
