"""The generated writers give the bytes of fastavro, for every value that the schemas allow."""

from __future__ import annotations

from hypothesis import given, settings

from schemas.avsc import COMMANDS_SUBJECT, EVENTS_SUBJECT, Schema, load_schema
from schemas.codec import Codec, encode_by_reference
from schemas.writer import specialise
from tests.support.avro_values import commands, events
from tierline.domain.commands import Command
from tierline.domain.events import RecordedEvent

COMMAND_ID, EVENT_ID = 7, 70_000


def writer_schema(schema_id: int) -> Schema:
    return load_schema({COMMAND_ID: COMMANDS_SUBJECT, EVENT_ID: EVENTS_SUBJECT}[schema_id])


CODEC = Codec(COMMAND_ID, EVENT_ID, writer_schema)


@settings(deadline=None, max_examples=300)
@given(commands())
def test_a_generated_command_writer_gives_the_bytes_of_fastavro(command: Command) -> None:
    """Every command, byte for byte."""
    assert encode_by_reference(command, COMMAND_ID) == CODEC.encode_command(command)


@settings(deadline=None, max_examples=600)
@given(events())
def test_a_generated_event_writer_gives_the_bytes_of_fastavro(event: RecordedEvent) -> None:
    """Every event, byte for byte."""
    assert encode_by_reference(event, EVENT_ID) == CODEC.encode_event(event)


SHARING = CODEC.event_writer_sharing(("tenant_id", "channel", "source", "origin", "received_at", "decide_by"))


@settings(deadline=None, max_examples=300)
@given(events())
def test_a_sharing_event_writer_gives_the_bytes_of_fastavro(event: RecordedEvent) -> None:
    """Whatever stands in the fields that are encoded beforehand."""
    assert encode_by_reference(event, EVENT_ID) == SHARING.write(event, SHARING.share(event))


@settings(deadline=None, max_examples=150)
@given(commands())
def test_a_command_is_read_back_as_it_was(command: Command) -> None:
    """Writing and reading are inverse for commands."""
    assert command == CODEC.to_command(CODEC.read(CODEC.encode_command(command)))


@settings(deadline=None, max_examples=300)
@given(events())
def test_an_event_is_read_back_as_it_was(event: RecordedEvent) -> None:
    """Writing and reading are inverse for events."""
    assert event == CODEC.to_event(CODEC.read(CODEC.encode_event(event)))


CONSTANT = ("tenant_id", "livemode", "channel", "app_version", "origin.topic")
VARYING = (
    *("command_id", "account_id", "subscription_id", "source", "source_ref"),
    *("origin.partition", "origin.offset", "intent_index", "intent_count", "received_at", "decide_by"),
    *("actor", "correlation_id", "causation_id", "purchase_order_ref", "digest", "traceparent"),
    *("body.plan", "body.seats", "body.modules", "body.effective", "body.payment_method"),
    *("body.requested_by", "body.requested_at", "body.unavailable", "body.validate_only"),
    "body.modules_complete",
)


def value_at(record: object, path: str) -> object:
    for name in path.split("."):
        record = getattr(record, name)
    return record


@settings(deadline=None, max_examples=100)
@given(commands("PlaceOrder"))
def test_a_specialised_writer_gives_the_bytes_of_the_general_one(command: Command) -> None:
    """Constants encoded beforehand and values as arguments make the same command."""
    writer = specialise(
        load_schema(COMMANDS_SUBJECT),
        constants={"type": "PlaceOrder", **{path: value_at(command, path) for path in CONSTANT}},
        parameters=VARYING,
        branches={"body": "PlaceOrder"},
    )

    assert CODEC.encode_command(command)[5:] == writer.write(*(value_at(command, path) for path in VARYING))
