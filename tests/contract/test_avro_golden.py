"""Golden bytes: each released version reads and writes what it always did, and today's reader knows all."""

from __future__ import annotations

import io

import fastavro
import pytest

from schemas.avsc import (
    COMMANDS_SUBJECT,
    fingerprint_of,
    load_schema,
    subjects,
    text_of,
    versions,
)
from schemas.codec import Codec, frame_header
from schemas.golden_bytes import Golden, file_of, read_golden, samples, written

RELEASED = [(subject, version) for subject in subjects() for version in versions(subject)]
CASES = [
    pytest.param(subject, version, golden, id=f"{subject} v{version} {golden.case}")
    for subject, version in RELEASED
    if file_of(subject, version).exists()
    for golden in read_golden(subject, version)[1]
]
WRITER_ID = 1


def reader_of(subject: str, version: int) -> Codec:
    """Today's reader of records that ``version`` wrote."""
    return Codec(WRITER_ID, WRITER_ID, lambda _: load_schema(subject, version))


@pytest.mark.parametrize(("subject", "version"), RELEASED)
def test_a_released_schema_never_changes(subject: str, version: int) -> None:
    """If this fails: put the change into the next version, do not touch the released one."""
    assert file_of(subject, version).exists(), "run: python -m schemas.golden_bytes"

    assert read_golden(subject, version)[0] == fingerprint_of(text_of(subject, version))


@pytest.mark.parametrize(("subject", "version"), RELEASED)
def test_every_body_has_golden_bytes(subject: str, version: int) -> None:
    """Full and bare, for each record of the union."""
    there = [golden.case for golden in read_golden(subject, version)[1]]

    assert [case for case, _ in samples(load_schema(subject, version))] == there


@pytest.mark.parametrize(("subject", "version", "golden"), CASES)
def test_a_record_has_its_golden_bytes(subject: str, version: int, golden: Golden) -> None:
    """Written with its own version."""
    assert golden.avro == written(load_schema(subject, version), golden.record)


@pytest.mark.parametrize(("subject", "version", "golden"), CASES)
def test_golden_bytes_give_their_record(subject: str, version: int, golden: Golden) -> None:
    """Read with its own version."""
    assert golden.record == reader_of(subject, version).read(frame_header(WRITER_ID) + golden.avro)


@pytest.mark.parametrize(("subject", "version", "golden"), CASES)
def test_golden_bytes_are_understood_today(subject: str, version: int, golden: Golden) -> None:
    """Old ones become today's commands and events; the newest ones are written back to the byte."""
    codec = reader_of(subject, version)
    raw = codec.read(frame_header(WRITER_ID) + golden.avro)

    back = (
        codec.encode_command(codec.to_command(raw))
        if subject == COMMANDS_SUBJECT
        else codec.encode_event(codec.to_event(raw))
    )

    assert version != versions(subject)[-1] or frame_header(WRITER_ID) + golden.avro == back


@pytest.mark.parametrize(("subject", "version", "golden"), CASES)
def test_the_newest_schema_can_read_every_older_one(subject: str, version: int, golden: Golden) -> None:
    """BACKWARD_TRANSITIVE, by Avro's own resolution."""
    newest = load_schema(subject)

    resolved = fastavro.schemaless_reader(io.BytesIO(golden.avro), load_schema(subject, version), newest)

    assert isinstance(resolved, dict)
    assert {field["name"] for field in newest["fields"]} == resolved.keys()
