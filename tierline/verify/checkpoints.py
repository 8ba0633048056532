"""Signed checkpoints against topic and store: finds a tail that was cut and a chain that was hashed anew.

Who can rewrite database and topic can make them agree with each other; they cannot make them agree with what
was signed before and kept elsewhere. The format is C2SP signed-note; it is read here with code of its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tierline.verify.evidence import Finding, SignedNote, StoredEvent, TopicEvent
from tierline.verify.invariants import finding

INVARIANT = "signed checkpoints agree with topic and store"
ORIGIN = "oms.events.v1/"


class KeyUnreadable(ValueError):
    """A verifier key is not one. Action: take it from ``tierline checkpoint key`` as it is printed there."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key and the name it signs under."""

    name: str
    key_id: bytes
    public: Ed25519PublicKey

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read ``<name>+<key id>+<base64>``. Raises KeyUnreadable."""
        try:
            name, key_id, encoded = text.strip().split("+", 2)
            kind_and_key = base64.b64decode(encoded, validate=True)
            identified = bytes.fromhex(key_id)
        except ValueError:
            raise KeyUnreadable(f"{text!r} is not a verifier key: <name>+<key id>+<base64>") from None
        digest = hashlib.sha256(name.encode() + b"\n" + kind_and_key).digest()
        if len(kind_and_key) != 33 or kind_and_key[0] != 1:
            raise KeyUnreadable(f"the verifier key {name} is not of Ed25519")
        if digest[:4] != identified:
            raise KeyUnreadable(f"the verifier key {name} does not have the key id {key_id}: mistyped?")
        return cls(name, identified, Ed25519PublicKey.from_public_bytes(kind_and_key[1:]))


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a checkpoint says: ``size`` events in ``partition``, the last one with this hash."""

    partition: int
    size: int
    head: bytes


class NoteRefused(ValueError):
    """A note is damaged, or nobody known signed it."""


def opened(note: str, keys: Sequence[VerifierKey]) -> Claimed:
    """The claim of a note that one of ``keys`` signed. Raises NoteRefused."""
    text, blank, signatures = note.rpartition("\n\n")
    if not blank:
        raise NoteRefused("it has no signature")
    text += "\n"
    if not any(_signed_by(key, text, signatures) for key in keys):
        raise NoteRefused("no known key signed it")
    try:
        origin, size, head = text.splitlines()[:3]
        claimed = Claimed(int(origin.removeprefix(ORIGIN)), int(size), base64.b64decode(head, validate=True))
    except ValueError:
        raise NoteRefused("its text is not a checkpoint") from None
    if claimed.size < 1:
        raise NoteRefused("it claims no event")
    return claimed


def _signed_by(key: VerifierKey, text: str, signatures: str) -> bool:
    for line in signatures.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "—" or name != key.name:
            continue
        try:
            raw = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            continue
        if raw[:4] != key.key_id:
            continue
        try:
            key.public.verify(raw[4:], text.encode())
        except InvalidSignature:
            raise NoteRefused(f"the signature of {key.name} does not fit: it was changed") from None
        return True
    return False


def notes_in_file(file: Path) -> list[SignedNote]:
    """The notes of a checkpoint file; a line that is cut off is a note that cannot be opened."""
    notes = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        try:
            note = str(json.loads(line)["note"])
        except (ValueError, KeyError, TypeError):
            note = line
        notes.append(SignedNote(f"{file}:{number}", note))
    return notes


def checkpoints_agree(
    notes: Iterable[SignedNote],
    keys: Sequence[VerifierKey],
    settled: Mapping[int, Sequence[TopicEvent]],
    store: Iterable[StoredEvent],
) -> Finding:
    """Every checkpoint is signed by a known key, and topic and store have the event it ends with."""
    found = list(notes)
    heads = {(row.partition, row.position): row.hash for row in store}

    def offences() -> Iterator[str]:
        for signed in found:
            try:
                claimed = opened(signed.note, keys)
            except NoteRefused as refused:
                yield f"{signed.where}: {refused}"
                continue
            for place, link in (
                ("oms.events.v1", _in_topic(settled.get(claimed.partition, ()), claimed.size - 1)),
                ("oms.event", heads.get((claimed.partition, claimed.size - 1))),
            ):
                offence = _offence(claimed, link)
                if offence:
                    yield f"{signed.where}: {place} {offence}"

    return finding(INVARIANT, len(found), offences())


def _in_topic(events: Sequence[TopicEvent], position: int) -> bytes | None:
    return events[position].hash_header if position < len(events) else None


def _offence(claimed: Claimed, link: bytes | None) -> str | None:
    partition, size = claimed.partition, claimed.size
    if link is None:
        return f"partition {partition} ends before event {size - 1}, which was signed: its tail was cut off"
    if link != claimed.head:
        return f"partition {partition} has another event {size - 1} than the signed one: it was rewritten"
    return None
