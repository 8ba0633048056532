"""A dead command is shown field by field, as far as its fields hold no words."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from deadletter.masked_command import CommandMask
from schemas.avsc import COMMANDS_SUBJECT, text_of, versions
from schemas.codec import encode_by_reference
from tests.support.avro_records import COMMAND, ORDER

NEWEST = versions(COMMANDS_SUBJECT)[-1]
BROKEN = 99
MASK = CommandMask({NEWEST: text_of(COMMANDS_SUBJECT, NEWEST), BROKEN: "{}"})
SOUND = encode_by_reference(COMMAND, NEWEST)


def test_what_is_asked_of_whom_stays_and_words_do_not() -> None:
    """What an operator needs to find the order, by the names of the writer's own schema."""
    command = replace(COMMAND, actor="Jane", body=replace(ORDER, plan="jane@example.org"))
    shown = json.loads(MASK(encode_by_reference(command, NEWEST)).replace("<number>", '"<number>"'))

    assert ("PlaceOrder", "acc_204", "web-20261123-0001", 123_456) == (
        shown["type"],
        shown["account_id"],
        shown["source_ref"],
        shown["origin"]["offset"],
    )
    assert ("<4 characters>", "<number>", "<16 characters>", 15, ["sso-pack"]) == (
        shown["actor"],
        shown["received_at"],
        shown["body"]["plan"],
        shown["body"]["seats"],
        shown["body"]["modules"],
    )
    assert "*" not in shown.keys() | shown["body"].keys()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "(no value)"),
        (b"", "(empty value)"),
        (b"{}", "(2 bytes that cannot be read as a command: TRUNCATED: 2 bytes, less than a header)"),
        (
            SOUND[:40],
            "(40 bytes that cannot be read as a command: TRUNCATED: 40 bytes end inside the record)",
        ),
        (b"\x01" + SOUND[1:], "BAD_MAGIC: the first byte is 1, not 0"),
        (SOUND + b"Jane", "TRAILING_BYTES: 4 bytes follow the record"),
        (b"\0\0\0\0\x07" + SOUND[5:], "UNKNOWN_SCHEMA_ID: the event store has no schema 7"),
        (b"\0\0\0\0" + bytes([BROKEN]) + SOUND[5:], f"UNREADABLE_SCHEMA: schema {BROKEN}: "),
    ],
)
def test_what_cannot_be_read_says_why(value: bytes | None, told: str) -> None:
    """As its dead letter does, without a byte of it."""
    assert told in MASK(value)
    assert "Jane" not in MASK(value)
