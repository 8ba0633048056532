"""The checker finds dead letters that were lost, changed, ended without a reason, or decided after all."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from tierline.verify.dead_letters import judge_dead_letters
from tierline.verify.evidence import (
    DeadLetter,
    Evidence,
    Intent,
    KeptDeadLetter,
    Place,
    RawRecord,
    TopicEvent,
)

KEPT = "dead letters are kept until ended"
BYTES = "dead letters keep key and bytes"
UNDECIDED = "no dead intent is decided"
SOURCE = Place("orders.portal.v1", 0, 3)
DIGEST = hashlib.sha256(b"value").digest()
LETTER = DeadLetter(
    place=Place("orders.portal.v1.tierline-normalizer.dlq", 0, 0),
    id="letter-1",
    source=SOURCE,
    intent=Intent(SOURCE, 0),
    intent_count=1,
    dead_letter_class="decode",
    code="MALFORMED_JSON",
    key=b"key",
    value=b"value",
)
ROW = KeptDeadLetter("letter-1", Intent(SOURCE, 0), b"key", b"value", DIGEST, None, None)
ENDED = replace(ROW, key=None, value=None, closed_as="discarded", reason="a test order")


def broken_in(letter: DeadLetter = LETTER, row: KeptDeadLetter | None = ROW, **more: Any) -> dict[str, str]:
    """What the checker says about one dead letter, twice in its topic, and its row."""
    evidence = Evidence(
        raw=[RawRecord(SOURCE, b"key", b"value")],
        dead_letters=[letter, letter],
        kept={} if row is None else {row.id: row},
        **more,
    )
    return {found.invariant: str(found.first) for found in judge_dead_letters(evidence) if not found.holds}


@pytest.mark.parametrize("row", [ROW, ENDED], ids=["open", "discarded"])
def test_a_kept_dead_letter_breaks_nothing(row: KeptDeadLetter) -> None:
    """Open with its bytes, or ended with a reason."""
    assert {} == broken_in(row=row)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (None, "is not in deadletter.record"),
        (replace(ROW, value=b"other"), "key or bytes differ"),
        (replace(ROW, key=None), "key or bytes differ"),
        (replace(ROW, value_sha256=b"other"), "key or bytes differ"),
        (replace(ROW, intent=Intent(SOURCE, 1)), "is not about"),
        (replace(ENDED, reason=None), "discarded without a reason"),
        (replace(ENDED, value_sha256=None), "key or bytes differ"),
    ],
)
def test_a_row_that_is_lost_or_changed_is_found(row: KeptDeadLetter | None, said: str) -> None:
    """With the dead letter named."""
    assert said in broken_in(row=row)[KEPT]


def test_a_dead_letter_with_other_bytes_than_its_record_is_found() -> None:
    """A dead letter must hold what the channel sent."""
    assert "key or bytes differ" in broken_in(replace(LETTER, value=b"changed"))[BYTES]


def test_a_stand_in_holds_the_digest_of_its_record() -> None:
    """And no other; its row has no bytes either."""
    stand_in, row = replace(LETTER, value=None, value_sha256=DIGEST), replace(ROW, value=None)

    assert {} == broken_in(stand_in, row)
    assert {BYTES, KEPT} == set(broken_in(replace(stand_in, value_sha256=b"other"), row))


@pytest.mark.parametrize(("row", "is_found"), [(ROW, True), (ENDED, True), (None, False)])
def test_a_dead_intent_that_was_decided_is_found(row: KeptDeadLetter | None, is_found: bool) -> None:
    """Even when its dead letter has left the topic; one that was resolved is meant to be decided."""
    event = TopicEvent(
        place=Place("oms.events.v1", 0, 7),
        position=7,
        hash_header=b"",
        type_header="OrderReceived",
        value=b"",
        envelope={"origin": SOURCE._asdict(), "intent_index": 0, "decision_index": 0},
    )
    kept = row or replace(ENDED, closed_as="resolved")

    assert is_found == (UNDECIDED in broken_in(row=kept, topic=[event]))
