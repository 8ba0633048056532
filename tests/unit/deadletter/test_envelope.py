"""A dead-letter record is the original, untouched, with headers that say why, where and when."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from deadletter.classify import CLASSES, fingerprint_of
from deadletter.envelope import (
    DETAIL_BYTES,
    DeadLetter,
    Stage,
    bounded,
    dead_letter_message,
    dead_letter_without_value,
)
from schemas.topics import NORMALIZER, orders_topic
from tierline.domain.commands import Origin
from tierline.domain.identity import dead_letter_id_of
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.kit.records import Message, Record

RECORD = Record(
    topic="orders.portal.v1",
    partition=3,
    offset=41,
    timestamp_ms=1_700_000_000_123,
    key=b"sub_1",
    value=b"\xff{poison\x00",
    headers=(("source", b"eu"), ("traceparent", b"00-a-b-01")),
)
LETTER = DeadLetter(
    group=NORMALIZER,
    record=RECORD,
    origin=Origin("orders.portal.v1", 3, 41),
    intent_index=1,
    intent_count=2,
    channel="portal",
    dead=Dead(DeadLetterClass.CONTRACT, "MISSING_FIELD", "productOrderItem[2].action", "A field is missing."),
    stage=Stage.CONTRACT,
    app_version="9.9.9",
    failed_at=1_700_000_001_000,
    received_at=1_700_000_000_123,
    source="eu",
)


def headers_of(message: Message) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers}


def test_key_bytes_partition_and_source_headers_stay_as_they_were() -> None:
    """Replaying a dead letter must be able to send the very record again."""
    message = dead_letter_message(LETTER)

    twin = orders_topic("portal").dead_letter
    assert twin is not None
    assert (twin.name, b"sub_1", b"\xff{poison\x00", 3) == (
        message.topic,
        message.key,
        message.value,
        message.partition,
    )
    assert RECORD.headers == message.headers[:2]


def test_every_fact_has_its_header() -> None:
    """The whole record form, as operators and tools read it."""
    expected = {
        "source": "eu",
        "traceparent": "00-a-b-01",
        "__dlq.errors.topic": "orders.portal.v1",
        "__dlq.errors.partition": "3",
        "__dlq.errors.offset": "41",
        "__dlq.errors.group": "tierline-normalizer",
        "__dlq.errors.delivery.count": "1",
        "__dlq.errors.message": "A field is missing.",
        "oms.dlq.id": dead_letter_id_of(NORMALIZER, "orders.portal.v1", 3, 41, 1),
        "oms.dlq.class": "contract",
        "oms.dlq.code": "MISSING_FIELD",
        "oms.dlq.field": "productOrderItem[2].action",
        "oms.dlq.retryable": "false",
        "oms.dlq.stage": "contract",
        "oms.dlq.fingerprint": LETTER.fingerprint,
        "oms.dlq.fingerprint.v": "1",
        "oms.dlq.attempts": "1",
        "oms.dlq.replays": "0",
        "oms.dlq.exhausted": "false",
        "oms.dlq.channel": "portal",
        "oms.dlq.source": "eu",
        "oms.dlq.origin.topic": "orders.portal.v1",
        "oms.dlq.origin.partition": "3",
        "oms.dlq.origin.offset": "41",
        "oms.dlq.origin.timestamp": "2023-11-14T22:13:20.123Z",
        "oms.dlq.intent.index": "1",
        "oms.dlq.intent.count": "2",
        "oms.dlq.first.failed.at": "2023-11-14T22:13:21.000Z",
        "oms.dlq.last.failed.at": "2023-11-14T22:13:21.000Z",
        "oms.dlq.app.version": "9.9.9",
    }
    assert expected == headers_of(dead_letter_message(LETTER))


def test_facts_of_a_dead_command_name_the_order_record_and_the_command() -> None:
    """`__dlq.errors.` speaks of what was consumed, `oms.dlq.origin.` of the original order."""
    command = replace(RECORD, topic="oms.commands.v1", partition=7, offset=900)
    letter = replace(
        LETTER, record=command, schema_id=12, command_id="c-1", exception="KeyError", exhausted=True
    )

    headers = headers_of(dead_letter_message(letter))
    assert ("oms.commands.v1", "7", "900") == tuple(
        headers[f"__dlq.errors.{part}"] for part in ("topic", "partition", "offset")
    )
    assert ("orders.portal.v1", "3", "41") == tuple(
        headers[f"oms.dlq.origin.{part}"] for part in ("topic", "partition", "offset")
    )
    assert ("12", "c-1", "KeyError", "true") == tuple(
        headers[f"oms.dlq.{part}"] for part in ("schema.id", "command.id", "exception", "exhausted")
    )


def test_headers_under_our_names_on_the_source_record_are_not_believed() -> None:
    """A channel cannot bring its own dead-letter id or origin."""
    forged = replace(
        RECORD, headers=(("oms.dlq.id", b"forged"), ("__dlq.errors.topic", b"x"), ("kept", b"1"))
    )
    message = dead_letter_message(replace(LETTER, record=forged))

    names = [name for name, _ in message.headers]
    assert (1, 1) == (names.count("oms.dlq.id"), names.count("__dlq.errors.topic"))
    assert ("kept", b"1") == message.headers[0]


def test_a_record_too_large_for_its_copy_leaves_length_and_digest() -> None:
    """The dead letter exists even when the bytes cannot be copied."""
    message = dead_letter_without_value(LETTER)

    headers = headers_of(message)
    assert (None, b"sub_1", 3) == (message.value, message.key, message.partition)
    assert str(len(b"\xff{poison\x00")) == headers["oms.dlq.value.bytes"]
    assert hashlib.sha256(b"\xff{poison\x00").hexdigest() == headers["oms.dlq.value.sha256"]
    assert LETTER.id == headers["oms.dlq.id"]
    assert "source" not in headers
    assert "00-a-b-01" == headers["traceparent"]


def test_a_command_without_a_trace_of_its_own_gets_that_of_its_order() -> None:
    """One trace goes from the channel to the dead letter, and never stands there twice."""
    command = replace(LETTER, record=replace(RECORD, headers=()), traceparent="00-c-d-01")
    traced = replace(LETTER, traceparent="00-c-d-01")

    assert "00-c-d-01" == headers_of(dead_letter_message(command))["traceparent"]
    assert "00-c-d-01" == headers_of(dead_letter_without_value(command))["traceparent"]
    assert [b"00-a-b-01"] == [v for n, v in dead_letter_message(traced).headers if n == "traceparent"]


def test_a_bug_names_the_function_it_was_met_in() -> None:
    """Beside the type of the exception; there is no stack and no line."""
    bug = replace(LETTER, exception="KeyError", frame="streams.channels.portal:intents")

    assert "streams.channels.portal:intents" == headers_of(dead_letter_message(bug))["oms.dlq.function"]


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 10, b"short"),
        ("cut here", 3, b"cut"),
        ("aä", 2, b"a"),
        ("a\ud800b", 10, b"a?b"),
    ],
)
def test_texts_are_cut_at_a_character_and_stay_utf8(text: str, limit: int, expected: bytes) -> None:
    """A header is bounded and always readable."""
    assert expected == bounded(text, limit)


def test_the_message_is_at_most_512_bytes() -> None:
    """However long the detail is."""
    long = replace(LETTER, dead=replace(LETTER.dead, detail="é" * 1000))

    assert DETAIL_BYTES >= len(dict(dead_letter_message(long).headers)["__dlq.errors.message"]) > 500


def test_ids_differ_by_group_and_intent_only() -> None:
    """The same intent is dead once per consumer group, however often it is delivered."""
    again = replace(LETTER, failed_at=1, attempts=9, stage=Stage.CONTEXT)
    others = [replace(LETTER, intent_index=0), replace(LETTER, group="other")]

    assert LETTER.id == again.id
    assert 3 == len({LETTER.id, *(other.id for other in others)})


def test_a_fingerprint_is_the_cause_not_the_place() -> None:
    """Two items of one list, or two texts, are one group; another code or frame is another."""

    def fingerprint(**changed: str | None) -> str:
        facts: dict[str, str | None] = {
            "channel": "partner",
            "stage": "contract",
            "dead_letter_class": "contract",
            "code": "MISSING_FIELD",
            "field": "productOrderItem[2].action",
            "exception": None,
            "frame": None,
        }
        return fingerprint_of(**(facts | changed))  # type: ignore[arg-type] # the fields are those above

    assert fingerprint() == fingerprint(field="productOrderItem[17].action")
    assert fingerprint() == fingerprint(field="productOrderItem[0].action")
    assert 4 == len(
        {
            fingerprint(),
            fingerprint(code="WRONG_TYPE"),
            fingerprint(frame="streams.channels.portal:intents"),
            fingerprint(field="productOrderItem[2].product.id"),
        }
    )


def test_every_class_has_its_texts() -> None:
    """Owner, customer text, next action and operator action: nobody is left without a word."""
    assert set(DeadLetterClass) == set(CLASSES)
    for text in CLASSES.values():
        assert text.owner in {"channel", "tierline"}
        assert all(sentence.endswith(".") for sentence in (text.customer, text.next_action, text.operator))
