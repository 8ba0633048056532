"""The dead letters that somebody has to look at: rows of ``deadletter.record``, with their bytes.

A dead-letter record becomes one row, however often it stands in its topic. A row is open until it is closed
with a reason; then the bytes go and a summary stays, so that a repeat of the same dead letter cannot open it
again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum

from deadletter.envelope import KAFKA, OURS, TRACEPARENT
from tierline.domain.identity import uuid_of
from tierline.domain.outcome import DeadLetterClass
from tierline.kit.database import Connection
from tierline.kit.records import Headers, Record

NOT_A_DEAD_LETTER = "NOT_A_DEAD_LETTER"
_HEX = re.compile("[0-9a-f]{16,64}")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OFFSET_DIGITS = 18
_SCHEMA_ID_DIGITS = 10
_LARGEST_SCHEMA_ID = 2**31 - 1
_NOT_OURS = "a record without the headers of a dead letter stands in a dead-letter topic"


class Closing(StrEnum):
    """How a dead letter ends: its intent was decided after all, or a person gave it up."""

    RESOLVED = "resolved"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class OpenRecord:
    """One row as it is stored first; the names are those of the columns.

    ``value`` None with a ``value_bytes``: the bytes were too large to copy and stay in the source topic.
    """

    dead_letter_id: str
    fingerprint: str
    fingerprint_version: int
    channel: str | None
    source: str | None
    class_: str
    code: str
    field: str | None
    stage: str
    exception: str | None
    function: str | None
    message: str
    retryable: bool
    exhausted: bool
    attempts: int
    replays: int
    consumer: str
    topic: str
    partition: int
    offset: int
    origin_topic: str
    origin_partition: int
    origin_offset: int
    intent_index: int
    intent_count: int
    received_at: datetime | None
    first_failed_at: datetime
    last_failed_at: datetime
    app_version: str
    schema_id: int | None
    command_id: str | None
    traceparent: str | None
    account: str | None
    dead_letter_topic: str
    dead_letter_offset: int
    key: bytes | None
    value: bytes | None
    value_bytes: int | None
    value_sha256: bytes | None
    header_names: list[bytes]
    header_values: list[bytes]


def open_record_of(record: Record) -> OpenRecord:
    """The row of a record that was read from a dead-letter topic; its account is not known yet.

    A record that the router did not write is kept as well, as a dead letter of its own: class contract, code
    NOT_A_DEAD_LETTER.
    """
    try:
        return _ours(record, _Facts(record.headers))
    except _NoFact:
        return _stranger(record)


class _NoFact(Exception):
    """A header that every dead letter has is missing, or is not what it must be."""


class _Facts:
    """The headers of a dead letter by name; of several with one name the last."""

    def __init__(self, headers: Headers) -> None:
        self._values = dict(headers)

    def text(self, name: str) -> str:
        found = self.maybe(name)
        if found is None:
            raise _NoFact(name)
        return found

    def maybe(self, name: str) -> str | None:
        value = self._values.get(name)
        return None if value is None else value.decode("utf-8", "replace").replace("\0", "?")

    def hexadecimal(self, name: str) -> str:
        found = self.text(name)
        if not _HEX.fullmatch(found):
            raise _NoFact(name)
        return found

    def number(self, name: str, digits: int = 9) -> int:
        return self._number(name, self.text(name), digits)

    def maybe_number(self, name: str) -> int | None:
        found = self.maybe(name)
        return None if found is None else self._number(name, found, 9)

    def schema_id(self, name: str) -> int | None:
        """None for four bytes that no registry gives as an id: the value was damaged there."""
        found = self.maybe(name)
        number = None if found is None else self._number(name, found, _SCHEMA_ID_DIGITS)
        return None if number is None or number > _LARGEST_SCHEMA_ID else number

    def moment(self, name: str) -> datetime:
        try:
            return datetime.fromisoformat(self.text(name)).astimezone(UTC)
        except ValueError:
            raise _NoFact(name) from None

    def maybe_moment(self, name: str) -> datetime | None:
        return None if self.maybe(name) is None else self.moment(name)

    def _number(self, name: str, text: str, digits: int) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= digits):
            raise _NoFact(name)
        return int(text)


def _ours(record: Record, facts: _Facts) -> OpenRecord:
    digest = facts.maybe(f"{OURS}value.sha256")
    kept = record.value
    return OpenRecord(
        dead_letter_id=_id(facts.text(f"{OURS}id")),
        fingerprint=facts.hexadecimal(f"{OURS}fingerprint"),
        fingerprint_version=facts.number(f"{OURS}fingerprint.v"),
        channel=facts.maybe(f"{OURS}channel"),
        source=facts.maybe(f"{OURS}source"),
        class_=_class(facts.text(f"{OURS}class")),
        code=facts.text(f"{OURS}code"),
        field=facts.maybe(f"{OURS}field"),
        stage=facts.text(f"{OURS}stage"),
        exception=facts.maybe(f"{OURS}exception"),
        function=facts.maybe(f"{OURS}function"),
        message=facts.text(f"{KAFKA}message"),
        retryable=facts.text(f"{OURS}retryable") == "true",
        exhausted=facts.text(f"{OURS}exhausted") == "true",
        attempts=facts.number(f"{OURS}attempts"),
        replays=facts.maybe_number(f"{OURS}replays") or 0,
        consumer=facts.text(f"{KAFKA}group"),
        topic=facts.text(f"{KAFKA}topic"),
        partition=facts.number(f"{KAFKA}partition"),
        offset=facts.number(f"{KAFKA}offset", _OFFSET_DIGITS),
        origin_topic=facts.text(f"{OURS}origin.topic"),
        origin_partition=facts.number(f"{OURS}origin.partition"),
        origin_offset=facts.number(f"{OURS}origin.offset", _OFFSET_DIGITS),
        intent_index=facts.number(f"{OURS}intent.index"),
        intent_count=facts.number(f"{OURS}intent.count"),
        received_at=facts.maybe_moment(f"{OURS}origin.timestamp"),
        first_failed_at=facts.moment(f"{OURS}first.failed.at"),
        last_failed_at=facts.moment(f"{OURS}last.failed.at"),
        app_version=facts.text(f"{OURS}app.version"),
        schema_id=facts.schema_id(f"{OURS}schema.id"),
        command_id=facts.maybe(f"{OURS}command.id"),
        traceparent=facts.maybe(TRACEPARENT),
        account=None,
        dead_letter_topic=record.topic,
        dead_letter_offset=record.offset,
        key=record.key,
        value=kept,
        value_bytes=facts.maybe_number(f"{OURS}value.bytes") if kept is None else len(kept),
        value_sha256=_digest(digest) if kept is None else hashlib.sha256(kept).digest(),
        header_names=[_name_bytes(name) for name, _ in record.headers],
        header_values=[value for _, value in record.headers],
    )


def _stranger(record: Record) -> OpenRecord:
    """A dead letter of its own place in the dead-letter topic."""
    place = (record.topic, str(record.partition), str(record.offset))
    moment = datetime.fromtimestamp(max(record.timestamp_ms, 0) / 1000, UTC)
    value = record.value
    return OpenRecord(
        dead_letter_id=uuid_of("not-a-dead-letter", *place),
        fingerprint=hashlib.sha256(f"{NOT_A_DEAD_LETTER}\x1f{record.topic}".encode()).hexdigest()[:32],
        fingerprint_version=1,
        channel=None,
        source=None,
        class_=DeadLetterClass.CONTRACT,
        code=NOT_A_DEAD_LETTER,
        field=None,
        stage="triage",
        exception=None,
        function=None,
        message=_NOT_OURS,
        retryable=False,
        exhausted=False,
        attempts=1,
        replays=0,
        consumer="unknown",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        origin_topic=record.topic,
        origin_partition=record.partition,
        origin_offset=record.offset,
        intent_index=0,
        intent_count=1,
        received_at=None,
        first_failed_at=moment,
        last_failed_at=moment,
        app_version="unknown",
        schema_id=None,
        command_id=None,
        traceparent=None,
        account=None,
        dead_letter_topic=record.topic,
        dead_letter_offset=record.offset,
        key=record.key,
        value=value,
        value_bytes=None if value is None else len(value),
        value_sha256=None if value is None else hashlib.sha256(value).digest(),
        header_names=[_name_bytes(name) for name, _ in record.headers],
        header_values=[header for _, header in record.headers],
    )


def _id(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise _NoFact(f"{OURS}id")
    return text


def _class(text: str) -> str:
    if text not in set(DeadLetterClass):
        raise _NoFact(f"{OURS}class")
    return text


def _digest(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError:
        raise _NoFact(f"{OURS}value.sha256") from None


def _name_bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


# --- the table --------------------------------------------------------------------------------------------

_COLUMNS = [field.name for field in fields(OpenRecord)]
_NAMES = ", ".join({"class_": "class", "offset": '"offset"'}.get(name, name) for name in _COLUMNS)
_INSERT = f"""
INSERT INTO deadletter.record ({_NAMES}) VALUES ({", ".join(f"%({name})s" for name in _COLUMNS)})
ON CONFLICT (dead_letter_id) DO NOTHING
"""

_CLOSE = """
UPDATE deadletter.record
   SET closed_as = %s, closed_at = clock_timestamp(), closed_by = %s, reason = %s,
       key = NULL, value = NULL, header_names = NULL, header_values = NULL
 WHERE dead_letter_id = ANY(%s::uuid[]) AND closed_as IS NULL
RETURNING dead_letter_id::text
"""

_AUDIT = """
INSERT INTO deadletter.audit (actor, action, dead_letter_id, reason)
SELECT %s, %s, id, %s FROM unnest(%s::uuid[]) AS id
"""


def write(connection: Connection, records: Sequence[OpenRecord]) -> int:
    """Add what is not there yet, in the caller's transaction; returns how many rows that were.

    A dead letter that is there, open or closed, stays as it is.
    """
    if not records:
        return 0
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT, [{name: getattr(r, name) for name in _COLUMNS} for r in records])
        return max(cursor.rowcount, 0)


def close(
    connection: Connection, dead_letter_ids: Collection[str], closing: Closing, actor: str, reason: str
) -> tuple[str, ...]:
    """End open dead letters with a reason, audited, in the caller's transaction; returns those that ended.

    The bytes go; facts, length and digest of the value, who and why stay.
    """
    closed = connection.execute(_CLOSE, (closing, actor, reason, list(dead_letter_ids))).fetchall()
    ids = tuple(row[0] for row in closed)
    audit(connection, ids, actor, closing, reason)
    return ids


def audit(
    connection: Connection, dead_letter_ids: Collection[str], actor: str, action: str, reason: str | None
) -> None:
    """Note, in the caller's transaction, that ``actor`` did ``action`` to each of these dead letters."""
    connection.execute(_AUDIT, (actor, action, reason, list(dead_letter_ids)))
