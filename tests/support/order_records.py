"""Commands as records of the command topic, and the codec that tests write and read them with."""

from __future__ import annotations

from schemas.avsc import COMMANDS_SUBJECT, EVENTS_SUBJECT, load_schema
from schemas.codec import Codec
from schemas.errors import DecodeCode, DecodeError
from schemas.topics import COMMANDS
from tierline.domain.commands import Command
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Message, Record

COMMAND_SCHEMA, EVENT_SCHEMA = 1, 2
PARTITIONS = 4
_SCHEMAS = {COMMAND_SCHEMA: load_schema(COMMANDS_SUBJECT), EVENT_SCHEMA: load_schema(EVENTS_SUBJECT)}


def _writer_schema(schema_id: int) -> object:
    if schema_id not in _SCHEMAS:
        raise DecodeError(DecodeCode.UNKNOWN_SCHEMA_ID, f"no schema {schema_id}")
    return _SCHEMAS[schema_id]


CODEC = Codec(COMMAND_SCHEMA, EVENT_SCHEMA, _writer_schema)  # type: ignore[arg-type] # parsed schemas


def command_message(command: Command, partitions: int = PARTITIONS) -> Message:
    """The record that a producer of commands sends."""
    return Message(
        COMMANDS.name,
        command.account_id.encode(),
        CODEC.encode_command(command),
        partition_of(command.account_id, partitions),
        (("type", command.type.encode()),),
    )


def command_record(command: Command, offset: int = 0, partitions: int = PARTITIONS) -> Record:
    """That record as the decider reads it."""
    message = command_message(command, partitions)
    assert message.partition is not None
    return Record(
        message.topic,
        message.partition,
        offset,
        command.received_at,
        message.key,
        message.value,
        message.headers,
    )
