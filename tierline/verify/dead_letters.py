"""What holds for dead letters: their bytes, their store, and that nothing else became of their intents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from tierline.verify.evidence import (
    DeadLetter,
    Evidence,
    Finding,
    Intent,
    KeptDeadLetter,
    Place,
    RawRecord,
    TopicEvent,
)
from tierline.verify.invariants import finding, is_raw, settle


def dead_letters_keep_their_bytes(evidence: Evidence) -> Finding:
    """A dead letter holds the key and bytes of the record it came from, or the digest of larger ones."""
    sources: dict[Place, RawRecord] = {record.place: record for record in evidence.raw}
    sources.update(evidence.commands)

    def offences() -> Iterator[str]:
        for letter in evidence.dead_letters:
            source = sources.get(letter.source)
            if source is None:
                yield f"{letter.place}: says it came from {letter.source}, where no record stands"
            elif source.key != letter.key or not _same_value(letter, source.value):
                yield f"{letter.place}: key or bytes differ from {letter.source}"

    return finding("dead letters keep key and bytes", len(evidence.dead_letters), offences())


def dead_letters_are_kept(evidence: Evidence) -> Finding:
    """Each dead letter of the topics is in ``deadletter.record``: open with its bytes, or with a reason."""

    def offences() -> Iterator[str]:
        for letter in evidence.dead_letters:
            kept = evidence.kept.get(letter.id)
            if kept is None:
                yield f"{letter.place}: dead letter {letter.id} is not in deadletter.record"
            elif kept.intent != letter.intent:
                yield f"deadletter.record {letter.id}: is not about {letter.intent} as {letter.place} is"
            elif kept.closed_as is not None and not kept.reason:
                yield f"deadletter.record {letter.id}: {kept.closed_as} without a reason"
            elif not _is_intact(kept, letter):
                yield f"deadletter.record {letter.id}: key or bytes differ from {letter.place}"

    return finding("dead letters are kept until ended", len(evidence.dead_letters), offences())


def dead_intents_are_not_decided(evidence: Evidence, settled: Mapping[int, Sequence[TopicEvent]]) -> Finding:
    """No intent of a dead letter that is open or discarded has a decision."""

    def offences() -> Iterator[str]:
        decided = {
            Intent(Place(**event.envelope["origin"]), event.envelope["intent_index"]): event.place
            for events in settled.values()
            for event in events
            if event.envelope["decision_index"] == 0 and is_raw(event.envelope["origin"]["topic"])
        }
        for kept in evidence.kept.values():
            if kept.closed_as != "resolved" and kept.intent in decided:
                yield f"dead letter {kept.id}: {kept.intent} was decided at {decided[kept.intent]}"

    return finding("no dead intent is decided", len(evidence.kept), offences())


def judge_dead_letters(evidence: Evidence) -> list[Finding]:
    """Every invariant of dead letters."""
    return [
        dead_letters_keep_their_bytes(evidence),
        dead_letters_are_kept(evidence),
        dead_intents_are_not_decided(evidence, settle(evidence.topic)),
    ]


def _same_value(letter: DeadLetter, value: bytes | None) -> bool:
    if letter.value_sha256 is None:
        return letter.value == value
    return letter.value is None and hashlib.sha256(value or b"").digest() == letter.value_sha256


def _is_intact(kept: KeptDeadLetter, letter: DeadLetter) -> bool:
    digest = letter.value_sha256
    if digest is None and letter.value is not None:
        digest = hashlib.sha256(letter.value).digest()
    if kept.value_sha256 != digest:
        return False
    return kept.closed_as is not None or (kept.key, kept.value) == (letter.key, letter.value)
