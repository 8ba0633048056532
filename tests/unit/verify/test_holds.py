"""Held and skipped intents are outcomes like any other, and held bytes are the published ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tierline.verify import invariants
from tierline.verify.evidence import DeadLetter, Evidence, HeldRecord, Intent, Place, RawRecord, SkippedIntent
from tierline.verify.invariants import HAS_NO_SECOND, HAS_OUTCOME
from tierline.verify.outcomes import tally_by_channel

PLACES = [Place("orders.portal.v1", 0, offset) for offset in range(3)]
RAW = [RawRecord(place, b"key", b"value") for place in PLACES]
HELD = HeldRecord(PLACES[0], (0, 1), 2, "unknown_account", "UNKNOWN_REFERENCE", b"key", b"value")
SKIPPED = SkippedIntent(Intent(PLACES[1], 0), 1, "DISCARDED")
LETTER = DeadLetter(
    place=Place("orders.portal.v1.tierline-normalizer.dlq", 0, 0),
    id="letter",
    source=PLACES[2],
    intent=Intent(PLACES[2], 0),
    intent_count=1,
    dead_letter_class="decode",
    code="MALFORMED_JSON",
    key=b"key",
    value=b"value",
)
CLEAN = Evidence(raw=RAW, held=[HELD], skipped=[SKIPPED], dead_letters=[LETTER])


def broken_in(evidence: Evidence) -> dict[str, str | None]:
    """The first offender of every invariant about intents that does not hold."""
    found = [
        *invariants.each_intent_has_one_outcome(evidence, {}),
        invariants.held_records_keep_their_bytes(evidence),
    ]
    return {one.invariant: one.first for one in found if not one.holds}


def test_held_skipped_and_dead_intents_each_have_their_outcome() -> None:
    """Nothing is broken, and all are counted."""
    assert {} == broken_in(CLEAN)
    tally = tally_by_channel({}, CLEAN)["portal"]
    assert (2, 1, 1, 4) == (tally.held, tally.skipped, tally.dead_lettered, tally.outcomes)
    assert {"unknown_account UNKNOWN_REFERENCE": 2} == tally.why_held
    assert {"DISCARDED": 1} == tally.why_skipped


@pytest.mark.parametrize(
    ("evidence", "invariant", "offence"),
    [
        (replace(CLEAN, held=[]), HAS_OUTCOME, "lost"),
        (replace(CLEAN, held=[replace(HELD, intents=(1,))]), HAS_OUTCOME, "intent 0 is lost"),
        (
            replace(CLEAN, skipped=[SKIPPED, replace(SKIPPED, intent=Intent(PLACES[0], 1), intent_count=2)]),
            HAS_NO_SECOND,
            "intent 1 ended more than once: held, skipped DISCARDED",
        ),
        (
            replace(CLEAN, dead_letters=[LETTER, replace(LETTER, id="two", intent=SKIPPED.intent)]),
            HAS_NO_SECOND,
            "ended more than once",
        ),
        (
            replace(CLEAN, held=[HELD, replace(HELD, place=Place("orders.portal.v1", 1, 9))]),
            "held records keep key and bytes",
            "no such record was published",
        ),
        (
            replace(CLEAN, held=[replace(HELD, value=b"Value")]),
            "held records keep key and bytes",
            "key or bytes of the held record differ",
        ),
        (
            replace(CLEAN, held=[replace(HELD, key=None)]),
            "held records keep key and bytes",
            "key or bytes of the held record differ",
        ),
    ],
    ids=["lost", "intent lost", "held and skipped", "skipped and dead", "invented", "value", "key"],
)
def test_what_is_wrong_with_a_held_record_is_named(evidence: Evidence, invariant: str, offence: str) -> None:
    """The record, and what happened to it."""
    assert offence in str(broken_in(evidence)[invariant])
