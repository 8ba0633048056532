"""Signed checkpoints against topic and store: what a cut tail and a rewritten chain look like."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tierline.kit.signed_note import NoteSigner
from tierline.verify.checkpoints import (
    Claimed,
    KeyUnreadable,
    NoteRefused,
    VerifierKey,
    checkpoints_agree,
    notes_in_file,
    opened,
)
from tierline.verify.evidence import Finding, Place, SignedNote, StoredEvent, TopicEvent

# The example of the specification of signed notes (C2SP), with its published key.
FOREIGN_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOREIGN_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


@pytest.fixture
def signer(tmp_path: Path) -> NoteSigner:
    """A key of our own."""
    return NoteSigner.create("tierline.test", tmp_path / "key")


@pytest.fixture
def key(signer: NoteSigner) -> VerifierKey:
    """Its public half."""
    return VerifierKey.parse(signer.verifier_key)


def link(position: int) -> bytes:
    """The hash of the event at ``position``."""
    return bytes([position + 1]) * 32


def checkpoint(size: int, head: bytes, partition: int = 0) -> str:
    """The text that is signed."""
    return f"oms.events.v1/{partition}\n{size}\n{base64.b64encode(head).decode()}\n"


def topic(count: int) -> dict[int, list[TopicEvent]]:
    """Partition 0 of the topic with so many events."""
    return {
        0: [
            TopicEvent(Place("oms.events.v1", 0, n), n, link(n), "OrderReceived", b"", {})
            for n in range(count)
        ]
    }


def store(count: int) -> list[StoredEvent]:
    """Partition 0 of the store with so many events."""
    return [StoredEvent(0, n, "s", n + 1, link(n), b"") for n in range(count)]


def judged(note: str, key: VerifierKey, in_topic: int = 5, in_store: int = 5) -> Finding:
    """The finding about one note."""
    return checkpoints_agree([SignedNote("here", note)], [key], topic(in_topic), store(in_store))


def test_a_note_of_another_tool_is_verified() -> None:
    """The specification's own example; its text is no checkpoint, which only a verified note gets told."""
    with pytest.raises(NoteRefused, match="its text is not a checkpoint"):
        opened(FOREIGN_NOTE, [VerifierKey.parse(FOREIGN_KEY)])
    with pytest.raises(NoteRefused, match="does not fit"):
        opened(FOREIGN_NOTE.replace("an example", "no example"), [VerifierKey.parse(FOREIGN_KEY)])


def test_a_checkpoint_that_topic_and_store_agree_with(signer: NoteSigner, key: VerifierKey) -> None:
    """Also when both have gone on since."""
    found = judged(signer.sign(checkpoint(3, link(2))), key)

    assert (True, 1) == (found.holds, found.checked)


@pytest.mark.parametrize(("in_topic", "in_store", "place"), [(4, 5, "oms.events.v1"), (5, 4, "oms.event")])
def test_a_cut_tail_is_found(
    signer: NoteSigner, key: VerifierKey, in_topic: int, in_store: int, place: str
) -> None:
    """The signed event is not there any more, and the message says in which of the two."""
    found = judged(signer.sign(checkpoint(5, link(4))), key, in_topic, in_store)

    assert (
        f"here: {place} partition 0 ends before event 4, which was signed: its tail was cut off"
        == found.first
    )


def test_a_chain_that_was_hashed_anew_is_found(signer: NoteSigner, key: VerifierKey) -> None:
    """Topic and store agree with each other, but not with what was signed."""
    found = judged(signer.sign(checkpoint(5, bytes(32))), key)

    assert 2 == found.broken
    assert "partition 0 has another event 4 than the signed one" in str(found.first)


def test_a_note_that_was_changed_is_refused(signer: NoteSigner, key: VerifierKey) -> None:
    """A smaller size would hide a cut tail."""
    note = signer.sign(checkpoint(5, link(4))).replace("\n5\n", "\n4\n")

    assert "here: the signature of tierline.test does not fit: it was changed" == judged(note, key).first


def test_a_note_of_an_unknown_key_is_refused(tmp_path: Path, key: VerifierKey) -> None:
    """Whoever rewrites the chain can sign it with a key of his own."""
    other = NoteSigner.create("tierline.test", tmp_path / "other")

    assert "here: no known key signed it" == judged(other.sign(checkpoint(5, link(4))), key).first


def test_a_second_signature_does_not_disturb(signer: NoteSigner, key: VerifierKey, tmp_path: Path) -> None:
    """Witnesses add lines of their own."""
    text = checkpoint(3, link(2))
    witness = NoteSigner.create("witness.test", tmp_path / "witness").sign(text).rpartition("\n\n")[2]

    assert Claimed(0, 3, link(2)) == opened(signer.sign(text) + witness, [key])


@pytest.mark.parametrize("note", ["", "oms.events.v1/0\n3\nAAAA\n", "text\n\nno signature line\n"])
def test_what_nobody_signed_is_refused(key: VerifierKey, note: str) -> None:
    """Garbage in topic or file is an offence, not a crash."""
    assert 1 == judged(note, key).broken


@pytest.mark.parametrize(
    "text",
    [
        "tierline.test",
        "tierline.test+zzzzzzzz+AAAA",
        FOREIGN_KEY.replace("530d903a", "530d903b"),
        FOREIGN_KEY[:-4],
    ],
)
def test_a_mistyped_key_is_refused(text: str) -> None:
    """The key id is a checksum over name and key."""
    with pytest.raises(KeyUnreadable, match="verifier key"):
        VerifierKey.parse(text)


def test_a_line_that_was_cut_off_is_an_offence(tmp_path: Path, signer: NoteSigner, key: VerifierKey) -> None:
    """The others of the file are read; the place names file and line."""
    file = tmp_path / "kept.ndjson"
    good = signer.sign(checkpoint(3, link(2)))
    file.write_text('{"partition": 0, "size": 3, "note": ' + json.dumps(good) + '}\n{"partition": 0, "si')
    notes = notes_in_file(file)

    found = checkpoints_agree(notes, [key], topic(5), store(5))

    assert (2, 1) == (found.checked, found.broken)
    assert f"{file}:2: it has no signature" == found.first
