"""The generated readers give what fastavro gives, and leave to it what they do not understand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.avsc import COMMANDS_SUBJECT, EVENTS_SUBJECT, load_schema, parse, versions
from schemas.codec import HEADER_BYTES, READ_ONCE_A_DECISION, RECURRING_BODIES, Codec, decode
from schemas.errors import DecodeError, UnsupportedSchema
from schemas.reader import MOST_KNOWN, compile_reader
from schemas.varint import long
from tests.support.avro_records import EVENT
from tests.support.avro_values import commands, events
from tierline.domain.commands import Command
from tierline.domain.events import RecordedEvent

COMMAND_ID, EVENT_ID = 7, 8
SCHEMAS = {COMMAND_ID: load_schema(COMMANDS_SUBJECT), EVENT_ID: load_schema(EVENTS_SUBJECT)}
CODEC = Codec(COMMAND_ID, EVENT_ID, SCHEMAS.__getitem__)
FRAMED = CODEC.encode_event(EVENT)


class NotCommon(Exception):
    """The generated code did not read the value itself."""


def not_common(_: bytes) -> dict[str, Any]:
    raise NotCommon


READ = {
    key: compile_reader(schema, HEADER_BYTES, not_common, READ_ONCE_A_DECISION, RECURRING_BODIES).read
    for key, schema in SCHEMAS.items()
}


@settings(deadline=None, max_examples=200)
@given(commands())
def test_a_generated_command_reader_gives_what_fastavro_gives(command: Command) -> None:
    """Every command."""
    value = CODEC.encode_command(command)

    assert decode(SCHEMAS[COMMAND_ID], value, HEADER_BYTES) == READ[COMMAND_ID](value)


@settings(deadline=None, max_examples=400)
@given(events())
def test_a_generated_event_reader_gives_what_fastavro_gives(event: RecordedEvent) -> None:
    """Every event."""
    value = CODEC.encode_event(event)

    assert decode(SCHEMAS[EVENT_ID], value, HEADER_BYTES) == READ[EVENT_ID](value)


@settings(deadline=None, max_examples=200)
@given(st.lists(events(), min_size=2, max_size=4), st.data())
def test_records_that_share_fields_are_read_as_alone(
    decision: list[RecordedEvent], data: st.DataObject
) -> None:
    """Whichever fields an event has in common with the one before it."""
    shared = data.draw(st.sets(st.sampled_from(sorted(READ_ONCE_A_DECISION))))
    given_to_all = {name: getattr(decision[0], name) for name in shared}
    for event in decision:
        value = CODEC.encode_event(replace(event, **given_to_all))

        assert decode(SCHEMAS[EVENT_ID], value, HEADER_BYTES) == READ[EVENT_ID](value)


def test_a_run_that_was_cut_off_is_not_remembered() -> None:
    """The next record may begin its run with the very bytes that were left of it."""
    fields = ", ".join(f'{{"name": "{name}", "type": "string"}}' for name in "abc")
    schema = parse(f'{{"type": "record", "name": "Holder", "fields": [{fields}]}}')
    reader = compile_reader(schema, HEADER_BYTES, not_common, {"a", "b"})

    with pytest.raises(NotCommon):
        reader.read(b"\0\0\0\0\3\2x\x06y")
    assert {"a": "x", "b": "yyy", "c": ""} == reader.read(b"\0\0\0\0\3\2x\x06yyy\0")


def test_a_record_that_recurs_is_read_once() -> None:
    """What follows in the value is compared too; when too many are known, all are forgotten."""
    schema = parse(
        '{"type": "record", "name": "Holder", "fields": [{"name": "held", "type": ['
        '{"type": "record", "name": "A", "fields": [{"name": "a", "type": "int"}]},'
        '{"type": "record", "name": "B", "fields": [{"name": "b", "type": "int"}]}]}, '
        '{"name": "last", "type": "int"}]}'
    )
    read = compile_reader(schema, 0, not_common, recurring={"A"}).read
    first, again, longer = read(b"\0\2\4"), read(b"\0\2\4"), read(b"\0\2\6")
    for number in range(MOST_KNOWN):
        read(b"\0" + long(number) + b"\4")

    assert {"held": ("A", {"a": 1}), "last": 2} == first == again
    assert {"held": ("A", {"a": 1}), "last": 3} == longer
    assert first["held"][1] is again["held"][1]
    assert first["held"][1] is not read(b"\0\2\4")["held"][1]
    assert {"held": ("B", {"b": 1}), "last": 2} == read(b"\2\2\4")


def test_an_array_that_comes_again_is_read_once() -> None:
    """Wherever in a record it stands; another one in between is read, and so is what was cut off before."""
    array = '{"type": "array", "items": "int"}'
    fields = ", ".join(f'{{"name": "{name}", "type": {array}}}' for name in "ab")
    read = compile_reader(
        parse(f'{{"type": "record", "name": "Holder", "fields": [{fields}]}}'), 0, not_common
    ).read
    twice = read(b"\4\2\4\0\4\2\4\0")

    with pytest.raises(NotCommon):
        read(b"\4\2\4\0\4\2")
    assert {"a": [1, 2], "b": [1, 2]} == twice
    assert twice["a"] is twice["b"] is read(b"\4\2\4\0\0")["a"]
    assert {"a": [1, 3], "b": []} == read(b"\4\2\6\0\0")
    assert {"a": [], "b": [1, 2]} == read(b"\0\4\2\4\0")


@settings(deadline=None, max_examples=500)
@given(st.integers(HEADER_BYTES, len(FRAMED)), st.binary(max_size=12), st.integers(0, 6))
@example(len(FRAMED), b"\x00", 0)
def test_mangled_bytes_are_read_as_by_fastavro_or_not_at_all(at: int, inserted: bytes, removed: int) -> None:
    """The generated code never reads something else, and never accepts what fastavro refuses."""
    value = FRAMED[:at] + inserted + FRAMED[at + removed :]
    try:
        found = READ[EVENT_ID](value)
    except NotCommon:
        return

    assert decode(SCHEMAS[EVENT_ID], value, HEADER_BYTES) == found


def test_what_is_cut_off_is_not_common() -> None:
    """At every byte: fastavro says what is missing."""
    for end in range(HEADER_BYTES, len(FRAMED)):
        with pytest.raises(NotCommon):
            READ[EVENT_ID](FRAMED[:end])
        with pytest.raises(DecodeError):
            CODEC.read(FRAMED[:end])


@pytest.mark.parametrize("subject", [COMMANDS_SUBJECT, EVENTS_SUBJECT])
def test_every_released_schema_is_read_by_generated_code(subject: str) -> None:
    """None falls back to fastavro altogether."""
    for version in versions(subject):
        assert (
            "def read(v):" in compile_reader(load_schema(subject, version), HEADER_BYTES, not_common).source
        )


@pytest.mark.parametrize(
    "field",
    [
        '{"type": "enum", "name": "Colour", "symbols": ["RED"]}',
        '{"type": "map", "values": "string"}',
        '["null", "string", "long"]',
        '["null", "Holder"]',
        '{"type": "array", "items": {"type": "record", "name": "Nothing", "fields": []}}',
    ],
)
def test_a_schema_that_no_code_is_made_for_is_read_by_fastavro(field: str) -> None:
    """Other types, unions of other shape, records in themselves, arrays whose items take no bytes."""
    text = f'{{"type": "record", "name": "Holder", "fields": [{{"name": "held", "type": {field}}}]}}'
    schema = parse(text)

    with pytest.raises(UnsupportedSchema):
        compile_reader(schema, HEADER_BYTES, not_common)


def test_a_schema_without_generated_code_is_still_read() -> None:
    """A newer writer may use what this release makes no code for."""
    colour = '{"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}'
    text = f'{{"type": "record", "name": "Holder", "fields": [{{"name": "held", "type": {colour}}}]}}'

    assert {"held": "BLUE"} == Codec(1, 2, lambda _: parse(text)).read(b"\0\0\0\0\3\2")


def test_a_text_that_is_cut_off_at_the_end_of_the_record_is_not_common() -> None:
    """A slice of Python says nothing about bytes that are not there."""
    schema = parse('{"type": "record", "name": "Holder", "fields": [{"name": "held", "type": "string"}]}')
    reader = compile_reader(schema, HEADER_BYTES, not_common)

    assert {"held": "abc"} == reader.read(b"\0\0\0\0\3\6abc")
    with pytest.raises(NotCommon):
        reader.read(b"\0\0\0\0\3\6ab")
