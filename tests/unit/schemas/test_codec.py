"""Framing, reading by the writer's schema, and what is refused as unreadable."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.avsc import COMMANDS_SUBJECT, EVENTS_SUBJECT, Schema, load_schema
from schemas.codec import Codec, encode_by_reference, frame_header, schema_id_of
from schemas.errors import DecodeCode, DecodeError, EncodeError, RegistryUnavailable, UnknownType
from tests.support.avro_records import COMMAND, EVENT
from tierline.domain.events import OrderHeld

ABSENT_ID = 404
KNOWN = {7: COMMANDS_SUBJECT, 8: EVENTS_SUBJECT}


def writer_schema(schema_id: int) -> Schema:
    if schema_id not in KNOWN:
        raise DecodeError(DecodeCode.UNKNOWN_SCHEMA_ID, f"the registry has no schema {schema_id}")
    return load_schema(KNOWN[schema_id])


CODEC = Codec(7, 8, writer_schema)
FRAMED = CODEC.encode_command(COMMAND)


def test_a_value_is_a_zero_byte_the_schema_id_and_avro() -> None:
    """The Confluent wire format."""
    assert b"\x00\x00\x00\x00\x07" == FRAMED[:5]
    assert encode_by_reference(COMMAND, 7) == FRAMED


def test_a_framed_value_tells_the_schema_it_was_written_with() -> None:
    """Any id of 32 bits."""
    assert 2**31 - 1 == schema_id_of(frame_header(2**31 - 1))


def test_a_command_is_read_back() -> None:
    """Equal, and of the domain's own classes."""
    assert COMMAND == CODEC.to_command(CODEC.read(FRAMED))


def test_an_event_is_read_back() -> None:
    """Equal, and of the domain's own classes."""
    assert EVENT == CODEC.to_event(CODEC.read(CODEC.encode_event(EVENT)))


def test_a_decoded_body_is_a_plain_dict() -> None:
    """Instants are the integers that are on the wire."""
    raw = CODEC.read(FRAMED)

    assert ["sso-pack"] == raw["body"]["modules"]
    assert (1_795_428_131_104, 1_795_428_131_000) == (raw["received_at"], raw["body"]["requested_at"])


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (DecodeCode.NO_VALUE, None),
        (DecodeCode.NO_VALUE, b""),
        (DecodeCode.TRUNCATED, b"\x00\x00\x00"),
        (DecodeCode.BAD_MAGIC, b"\x01" + FRAMED[1:]),
        (DecodeCode.BAD_MAGIC, b'{"reference": 1}'),
        (DecodeCode.UNKNOWN_SCHEMA_ID, frame_header(ABSENT_ID) + FRAMED[5:]),
        (DecodeCode.TRUNCATED, FRAMED[:5]),
        (DecodeCode.TRUNCATED, FRAMED[:-1]),
        (DecodeCode.TRAILING_BYTES, FRAMED + b"\x00"),
        (DecodeCode.MALFORMED, FRAMED.replace(b"portal", b"\xff\xfertal")),
        (DecodeCode.TYPE_DISAGREES, FRAMED.replace(b"PlaceOrder", b"PlaceOrdex")),
    ],
)
def test_bytes_that_will_never_be_readable_have_a_code(code: DecodeCode, value: bytes | None) -> None:
    """The code of their dead letter, and no payload text beside it."""
    with pytest.raises(DecodeError) as refused:
        CODEC.read(value)

    assert code == refused.value.code
    assert "acc_204" not in str(refused.value)


def test_a_branch_that_the_union_does_not_have_is_malformed() -> None:
    """An index beyond the union is not a crash."""
    at = FRAMED.index(b"\x00\x02\x02\x1abusiness-year")

    with pytest.raises(DecodeError) as refused:
        CODEC.read(FRAMED[: at + 1] + b"\x7e" + FRAMED[at + 2 :])

    assert DecodeCode.MALFORMED == refused.value.code


@settings(deadline=None, max_examples=500)
@given(st.integers(5, len(FRAMED) - 1), st.binary(max_size=12), st.integers(0, 6))
@example(5, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 0)
def test_no_bytes_bring_the_reader_down(at: int, inserted: bytes, removed: int) -> None:
    """A record is read, unknown or unreadable: nothing else happens, however it was mangled."""
    value = FRAMED[:at] + inserted + FRAMED[at + removed :]
    with suppress(DecodeError, UnknownType):
        CODEC.to_command(CODEC.read(value))


def test_a_schema_is_asked_for_once() -> None:
    """The id of every record is looked up, the registry is not."""
    asked: list[int] = []

    def counting(schema_id: int) -> Schema:
        asked.append(schema_id)
        return writer_schema(schema_id)

    codec = Codec(7, 8, counting)
    for _ in range(3):
        codec.read(FRAMED)

    assert [7] == asked


def test_an_id_is_asked_for_again_after_the_registry_was_away() -> None:
    """An outage says nothing about a record."""
    answers: list[Any] = [RegistryUnavailable("away"), load_schema(COMMANDS_SUBJECT)]

    def flaky(_: int) -> Schema:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    codec = Codec(7, 8, flaky)
    with pytest.raises(RegistryUnavailable):
        codec.read(FRAMED)

    assert COMMAND == codec.to_command(codec.read(FRAMED))


def test_a_type_that_is_not_the_class_of_the_body_is_refused() -> None:
    """Readers choose by the type, so it must say the truth."""
    with pytest.raises(EncodeError, match="type: the body is a PlaceOrder"):
        CODEC.encode_command(replace(COMMAND, type="OpenSubscription"))
    with pytest.raises(EncodeError, match="type: the body is a OrderHeld"):
        CODEC.encode_event(replace(EVENT, body=OrderHeld(())))


def test_an_event_is_not_a_command() -> None:
    """A record of the other topic is of an unknown type here, not half a command."""
    with pytest.raises(UnknownType, match="TierChanged"):
        CODEC.to_command(CODEC.read(CODEC.encode_event(EVENT)))
