"""Commands and events to bytes and back.

A value on a topic is one zero byte, the writer's schema id in four bytes, big endian, and Avro binary.
Whoever reads asks for the *writer's* schema by that id, never for its own.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from functools import cache, partial
from typing import Any, get_type_hints

import fastavro

from schemas import reference
from schemas.avsc import COMMANDS_SUBJECT, EVENTS_SUBJECT, Schema, load_schema
from schemas.builder import Builder, builder_of, classes_in
from schemas.errors import DecodeCode, DecodeError, EncodeError, UnknownType, UnsupportedSchema
from schemas.reader import Read, compile_reader
from schemas.upcast import to_newest
from schemas.writer import SharingWriter, Writer, compile_record, compile_sharing
from tierline.domain.commands import Command
from tierline.domain.events import RecordedEvent

MAGIC = b"\x00"
HEADER_BYTES = 5
READS_ONLY = 0
"""The schema id of a codec that never writes."""

OF_ONE_EVENT = frozenset(
    (
        *("event_id", "stream_id", "version", "position", "decision_index", "type", "order_id"),
        *("effective_at", "reason_code", "catalog_version", "body"),
    )
)
"""What each event of a decision has for itself; the rest of the envelope they have in common."""

SHARED_BY_A_DECISION = frozenset(field.name for field in fields(RecordedEvent)) - OF_ONE_EVENT

READ_ONCE_A_DECISION = SHARED_BY_A_DECISION | {"order_id", "reason_code", "catalog_version"}
"""What all events of a decision mostly have in common: two pieces of the envelope, compared as they are."""

RECURRING_BODIES = frozenset({"OrderValidated", "TierChanged", "EntitlementsChanged"})
"""Events that say the same of many orders: all rules passed, this tier became that one."""

Raw = dict[str, Any]
"""A decoded record: Avro's strings, ints, booleans, lists and dicts, under the writer's field names."""


def frame_header(schema_id: int) -> bytes:
    """The five bytes before the Avro binary."""
    return MAGIC + schema_id.to_bytes(4, "big")


def schema_id_of(value: bytes) -> int:
    """The writer's schema id of a framed value. Raises DecodeError for a value without a frame."""
    if len(value) < HEADER_BYTES:
        raise DecodeError(DecodeCode.TRUNCATED, f"{len(value)} bytes, less than a header")
    if value[:1] != MAGIC:
        raise DecodeError(DecodeCode.BAD_MAGIC, f"the first byte is {value[0]}, not 0: not framed Avro")
    return int.from_bytes(value[1:HEADER_BYTES], "big")


@cache
def body_classes(envelope: type) -> dict[str, type]:
    """The classes that the body of ``envelope`` may have, by name."""
    return {cls.__name__: cls for cls in classes_in(get_type_hints(envelope)["body"])}


def envelope_of(raw: Mapping[str, Any]) -> Raw:
    """All of a record but its body: sound and complete also for a type that this reader does not know."""
    return {name: value for name, value in raw.items() if name != "body"}


def encode_by_reference(record: Command | RecordedEvent, schema_id: int) -> bytes:
    """The framed bytes by fastavro: what the generated writer must give, several times as slow."""
    subject = COMMANDS_SUBJECT if isinstance(record, Command) else EVENTS_SUBJECT
    return frame_header(schema_id) + reference.encode(load_schema(subject), record)


class Codec:
    """Writes with the newest schemas under the ids the registry gave, reads whatever the registry knows.

    ``writer_schema`` gives the parsed schema of an id; it raises DecodeError for an id that does not exist
    and RegistryUnavailable while that cannot be said.
    """

    def __init__(
        self, command_schema_id: int, event_schema_id: int, writer_schema: Callable[[int], Schema]
    ) -> None:
        self.command_schema_id = command_schema_id
        self.event_schema_id = event_schema_id
        self.command_writer = _writer(COMMANDS_SUBJECT, Command, command_schema_id)
        self.event_writer = _writer(EVENTS_SUBJECT, RecordedEvent, event_schema_id)
        self._write_command = self.command_writer.write
        self._write_event = self.event_writer.write
        self._build_command: Builder[Command] = builder_of(Command)
        self._build_event: Builder[RecordedEvent] = builder_of(RecordedEvent)
        self._writer_schema = writer_schema
        self._readers: dict[int, Read] = {}

    def encode_command(self, command: Command) -> bytes:
        """The framed bytes of ``command``. Raises EncodeError for a value that does not fit its schema."""
        _check_type(command)
        return self._write_command(command)

    def encode_event(self, event: RecordedEvent) -> bytes:
        """The framed bytes of ``event``. Raises EncodeError for a value that does not fit its schema."""
        _check_type(event)
        return self._write_event(event)

    def event_writer_sharing(self, shared: Collection[str]) -> SharingWriter:
        """A writer for events that have the fields ``shared`` in common; bytes as from ``encode_event``."""
        return _sharing_writer(frame_header(self.event_schema_id), frozenset(shared))

    def read(self, value: bytes | None) -> Raw:
        """Decode a framed record by its writer's schema; the body is a plain dict.

        Raises DecodeError for bytes that will never be readable, RegistryUnavailable while the schema of
        their id cannot be had.
        """
        if not value:
            raise DecodeError(DecodeCode.NO_VALUE, "the record has no value")
        schema_id = schema_id_of(value)
        read = self._readers.get(schema_id)
        if read is None:
            read = self._readers[schema_id] = _reader(self._writer_schema(schema_id))
        raw = read(value)
        body = raw.get("body")
        if body.__class__ is tuple:
            raw["body"] = _body_named(raw.get("type"), *body)
        return raw

    def to_command(self, raw: Raw) -> Command:
        """The command of a decoded record. Raises UnknownType for a body this release does not know."""
        try:
            return self._build_command(raw)
        except KeyError:
            return self._build_command(_completed(raw, COMMANDS_SUBJECT, Command))

    def to_event(self, raw: Raw) -> RecordedEvent:
        """The event of a decoded record. Raises UnknownType for a body this release does not know."""
        try:
            return self._build_event(raw)
        except KeyError:
            return self._build_event(_completed(raw, EVENTS_SUBJECT, RecordedEvent))


def decode(schema: Schema, value: bytes, start: int = 0) -> Raw:
    """Decode the Avro binary of one record, all bytes of ``value`` from ``start``.

    Where a union has several records, what is read is (full name, dict). Raises DecodeError.
    """
    stream = io.BytesIO(value)
    stream.seek(start)
    try:
        raw: Raw = fastavro.schemaless_reader(stream, schema, None, True, True)  # type: ignore[assignment]
    except EOFError as error:
        raise DecodeError(DecodeCode.TRUNCATED, f"{len(value)} bytes end inside the record") from error
    except (IndexError, ValueError, OverflowError) as error:
        raise DecodeError(
            DecodeCode.MALFORMED, f"not Avro of {schema['name']}: {type(error).__name__}"
        ) from error
    rest = len(value) - stream.tell()
    if rest:
        raise DecodeError(DecodeCode.TRAILING_BYTES, f"{rest} bytes follow the record")
    return raw


def _writer(subject: str, envelope: type, schema_id: int) -> Writer:
    return compile_record(load_schema(subject), body_classes(envelope), frame_header(schema_id))


@cache
def _sharing_writer(header: bytes, shared: frozenset[str]) -> SharingWriter:
    """Compiled once: that takes longer than a short life of a decider in a simulation."""
    return compile_sharing(load_schema(EVENTS_SUBJECT), body_classes(RecordedEvent), shared, header)


def _reader(schema: Schema) -> Read:
    careful = partial(decode, schema, start=HEADER_BYTES)
    of_events = schema["name"] == load_schema(EVENTS_SUBJECT)["name"]
    repeated = READ_ONCE_A_DECISION if of_events else frozenset[str]()
    try:
        return compile_reader(schema, HEADER_BYTES, careful, repeated, RECURRING_BODIES).read
    except UnsupportedSchema:
        return careful


def _check_type(record: Command | RecordedEvent) -> None:
    if record.type != record.body.__class__.__name__:
        raise EncodeError("type", f"the body is a {type(record.body).__name__}, so must the type be")


def _body_named(type_: str | None, full_name: str, body: Raw) -> Raw:
    name = full_name.rpartition(".")[2]
    if name != type_:
        raise DecodeError(DecodeCode.TYPE_DISAGREES, f"the body is a {name}, the type says otherwise")
    return body


def _completed(raw: Raw, subject: str, envelope: type) -> Raw:
    newest = to_newest(load_schema(subject), raw)
    if newest["type"] not in body_classes(envelope):
        raise UnknownType(newest["type"])
    return newest
