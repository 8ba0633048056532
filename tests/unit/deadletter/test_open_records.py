"""What the router wrote is read back to the last fact; what it did not write is kept as a stranger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from deadletter.envelope import dead_letter_message, source_headers
from deadletter.open_records import NOT_A_DEAD_LETTER, open_record_of
from tests.support.dead_letters import DLQ, FAILED_AT, letter, record_of
from tierline.kit.records import Record

BUG = letter(
    3,
    attempts=4,
    exhausted=True,
    exception="KeyError",
    frame="streams.channels.portal:intents",
    schema_id=7,
    command_id="c-1",
    last_failed_at=FAILED_AT + 60_000,
    traceparent="00-a-b-01",
    replays=1,
)


def test_every_fact_comes_back() -> None:
    """Facts that a header carries are equal to those of the letter."""
    row = open_record_of(record_of(dead_letter_message(BUG), 9))

    assert (BUG.id, BUG.fingerprint, 1) == (row.dead_letter_id, row.fingerprint, row.fingerprint_version)
    assert ("portal", "eu", "unknown_account", "UNKNOWN_REFERENCE", "subscription_id") == (
        row.channel,
        row.source,
        row.class_,
        row.code,
        row.field,
    )
    assert ("context", "KeyError", "streams.channels.portal:intents") == (
        row.stage,
        row.exception,
        row.function,
    )
    assert (True, True, 4, 1, 7, "c-1", "00-a-b-01") == (
        row.retryable,
        row.exhausted,
        row.attempts,
        row.replays,
        row.schema_id,
        row.command_id,
        row.traceparent,
    )
    assert ("orders.portal.v1", 1, 1) == (row.topic, row.partition, row.offset)
    assert ("orders.portal.v1", 1, 1, 0, 1) == (
        row.origin_topic,
        row.origin_partition,
        row.origin_offset,
        row.intent_index,
        row.intent_count,
    )
    assert datetime.fromtimestamp((FAILED_AT + 3_000) / 1000, UTC) == row.first_failed_at
    assert datetime.fromtimestamp((FAILED_AT + 60_000) / 1000, UTC) == row.last_failed_at
    assert (DLQ, 9, None) == (row.dead_letter_topic, row.dead_letter_offset, row.account)


@pytest.mark.parametrize(
    ("schema_id", "kept"),
    [(2_000_000_000, 2_000_000_000), (2**31 - 1, 2**31 - 1), (2**31, None), (2**32 - 1, None)],
)
def test_whatever_schema_id_a_damaged_value_names_the_dead_letter_is_ours(
    schema_id: int, kept: int | None
) -> None:
    """Four bytes of a frame can say anything; what no registry gives as an id is left out."""
    row = open_record_of(record_of(dead_letter_message(replace(BUG, schema_id=schema_id)), 9))

    assert (BUG.id, BUG.dead.code, kept) == (row.dead_letter_id, row.code, row.schema_id)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("oms.dlq.id", None),
        ("oms.dlq.id", b"12"),
        ("oms.dlq.class", b"tired"),
        ("oms.dlq.fingerprint", b"x" * 5_000),
        ("oms.dlq.attempts", b"-1"),
        ("oms.dlq.attempts", "٣".encode()),
        ("__dlq.errors.partition", b"99999999999"),
        ("oms.dlq.first.failed.at", b"yesterday"),
        ("__dlq.errors.message", None),
    ],
)
def test_headers_that_the_router_does_not_write_make_a_stranger(name: str, value: bytes | None) -> None:
    """A dead letter of its own place in the dead-letter topic, which keeps what was there."""
    record = record_of(dead_letter_message(letter(0)), 5)
    kept = tuple((n, v if n != name else value) for n, v in record.headers)
    spoiled = replace(record, headers=tuple((n, v) for n, v in kept if v is not None))

    row = open_record_of(spoiled)

    assert (NOT_A_DEAD_LETTER, DLQ, 0, 5) == (row.code, row.origin_topic, row.origin_partition, row.offset)
    assert (record.key, record.value) == (row.key, row.value)


def test_two_strangers_are_two_dead_letters() -> None:
    """Of one group."""
    rows = [open_record_of(Record(DLQ, 0, offset, 1, None, b"x")) for offset in (1, 2)]

    assert 2 == len({row.dead_letter_id for row in rows})
    assert 1 == len({row.fingerprint for row in rows})


def test_the_headers_of_the_source_are_told_from_ours() -> None:
    """What a replay has to send again."""
    assert (("source", b"eu"),) == source_headers(dead_letter_message(letter(0)).headers)
