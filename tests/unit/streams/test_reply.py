"""A reply is JSON with a fixed set of fields, keyed like the order it answers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from deadletter.classify import CLASSES
from deadletter.envelope import DeadLetter, Stage
from schemas.topics import NORMALIZER
from streams.answering.reply import dead_reply
from tierline.domain.commands import Origin
from tierline.domain.identity import reply_id_of
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.kit.records import Record

LETTER = DeadLetter(
    group=NORMALIZER,
    record=Record("orders.portal.v1", 2, 9, 100, b"k", b"x"),
    origin=Origin("orders.portal.v1", 2, 9),
    intent_index=1,
    intent_count=2,
    channel="portal",
    dead=Dead(DeadLetterClass.UNKNOWN_ACCOUNT, "UNKNOWN_REFERENCE", "account_id", "Nobody knows it."),
    stage=Stage.CONTEXT,
    app_version="1",
    failed_at=150,
    received_at=100,
    decide_by=8_100,
)


def test_the_answer_to_a_dead_intent_says_what_to_do() -> None:
    """Every field of the contract, with texts that may leave the house."""
    message = dead_reply(LETTER, "eu", "PO-1", 200)
    text = CLASSES[DeadLetterClass.UNKNOWN_ACCOUNT]
    expected = {
        "reply_id": reply_id_of("orders.portal.v1", 2, 9, 1, "dead"),
        "channel": "portal",
        "origin": {"topic": "orders.portal.v1", "partition": 2, "offset": 9},
        "intent_index": 1,
        "intent_count": 2,
        "outcome": "dead",
        "source": "eu",
        "reference": "PO-1",
        "order_id": None,
        "duplicate": False,
        "reasons": [
            {
                "code": "UNKNOWN_REFERENCE",
                "text": text.customer,
                "detail": "Nobody knows it.",
                "field": "account_id",
            }
        ],
        "retry": True,
        "amounts": None,
        "next_action": text.next_action,
        "received_at": 100,
        "answered_at": 200,
        "decide_by": 8_100,
    }
    assert ("orders.portal.replies.v1", expected) == (message.topic, json.loads(message.value or b""))


@pytest.mark.parametrize(
    ("key", "reference", "expected"), [(b"k", "PO-1", b"k"), (None, "PO-1", b"PO-1"), (None, None, None)]
)
def test_the_key_is_that_of_the_order_record_else_the_reference(
    key: bytes | None, reference: str | None, expected: bytes | None
) -> None:
    """Answers to one sender's key stay in order."""
    letter = replace(LETTER, record=replace(LETTER.record, key=key))

    assert expected == dead_reply(letter, "main", reference, 0).key


def test_a_dead_letter_without_channel_has_nobody_to_answer() -> None:
    """A bug of the caller, said clearly."""
    with pytest.raises(ValueError, match="no channel"):
        dead_reply(replace(LETTER, channel=None), "main", None, 0)
