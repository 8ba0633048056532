"""Poison on the command topic becomes a dead letter with class, code and field; never an exception."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.errors import RegistryUnavailable
from streams.deciding.command_reading import Asked, CommandReader, Poison
from tests.support.order_records import CODEC, PARTITIONS, command_record
from tests.support.order_values import an_opening, an_order
from tierline.domain.commands import Command, ExternalRef
from tierline.kit.records import Record

RECORD = command_record(an_order())
VALUE = RECORD.value or b""


def read(record: Record) -> Asked | Poison:
    return CommandReader(CODEC, PARTITIONS).read(record)


def verdict(record: Record) -> tuple[str, str, str | None]:
    poison = read(record)
    assert isinstance(poison, Poison)
    return poison.dead.dead_letter_class, poison.dead.code, poison.dead.field


def test_a_sound_record_is_a_command() -> None:
    """What a producer sent comes back as it was."""
    assert Asked(RECORD, an_order()) == read(RECORD)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "NO_VALUE"),
        (b"", "NO_VALUE"),
        (b"{}", "TRUNCATED"),
        (b"\x01" + VALUE[1:], "BAD_MAGIC"),
        (b"\x00\x00\x00\x00\x63" + VALUE[5:], "UNKNOWN_SCHEMA_ID"),
        (VALUE[:-7], "TRUNCATED"),
        (VALUE + b"\x00", "TRAILING_BYTES"),
    ],
)
def test_bytes_that_are_no_command_are_dead_by_decode(value: bytes | None, code: str) -> None:
    """Wrong magic, unknown schema, cut or extended bytes: class decode with a code of its own."""
    assert ("decode", code, None) == verdict(replace(RECORD, value=value))


@pytest.mark.parametrize(
    ("record", "code", "field"),
    [
        (replace(RECORD, key=None), "MISSING_KEY", "key"),
        (replace(RECORD, key=b"acc_205"), "KEY_DISAGREES", "key"),
        (replace(RECORD, partition=(RECORD.partition + 1) % PARTITIONS), "WRONG_PARTITION", "key"),
    ],
)
def test_a_record_that_is_not_where_it_belongs_breaks_the_contract(
    record: Record, code: str, field: str
) -> None:
    """Key and partition must both be those of the account: one writer per account depends on it."""
    assert ("contract", code, field) == verdict(record)


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (an_order(account_id="acc\x00"), "account_id"),
        (an_order(account_id="a" * 257), "account_id"),
        (an_order(subscription_id=""), "subscription_id"),
        (replace(an_order(), command_id="PO-1"), "command_id"),
        (replace(an_order(), digest="not hex"), "digest"),
        (an_opening(external_refs=(ExternalRef("partner", "main", "x\x00"),)), "body.external_refs[0]"),
    ],
)
def test_ids_that_the_store_cannot_hold_break_the_contract(command: Command, field: str) -> None:
    """A value that would make every insert fail is refused before it stops the partition."""
    assert ("contract", "INVALID_VALUE", field) == verdict(command_record(command))


def test_a_registry_that_is_away_is_no_verdict() -> None:
    """While a schema cannot be had the record waits."""

    def away(_schema_id: int) -> object:
        raise RegistryUnavailable("connection refused")

    codec = type(CODEC)(1, 2, away)  # type: ignore[arg-type]
    with pytest.raises(RegistryUnavailable):
        CommandReader(codec, PARTITIONS).read(RECORD)
