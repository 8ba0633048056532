"""Readers are deployed before writers, yet a newer writer must never stop an older reader."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

import fastavro
import pytest

from schemas import reference
from schemas.avsc import COMMANDS_SUBJECT, EVENTS_SUBJECT, Schema, load_schema, parse, text_of, versions
from schemas.codec import Codec, envelope_of, frame_header
from schemas.errors import UnknownType
from tests.support.avro_records import EVENT

FUTURE_ID = 99
NEW_BODY = {
    "type": "record",
    "name": "SomethingNewHappened",
    "fields": [{"name": "what", "type": "string"}, {"name": "level", "type": "int"}],
}
NEW_FIELD = {"name": "region", "type": ["null", "string"], "default": None}


def future_schema() -> Schema:
    """The events of a later release: one more type, one more field in the envelope and in a body."""
    raw = json.loads(text_of(EVENTS_SUBJECT, versions(EVENTS_SUBJECT)[-1]))
    body = next(field for field in raw["fields"] if field["name"] == "body")
    tier_changed = next(branch for branch in body["type"] if branch["name"] == "TierChanged")
    tier_changed["fields"].append({"name": "proof", "type": "string", "default": ""})
    body["type"].append(NEW_BODY)
    raw["fields"].insert(3, NEW_FIELD)
    return parse(json.dumps(raw))


FUTURE = future_schema()


def writer_schema(schema_id: int) -> Schema:
    """A registry that knows today's schemas and the future one."""
    return {1: load_schema(COMMANDS_SUBJECT), 2: load_schema(EVENTS_SUBJECT), FUTURE_ID: FUTURE}[schema_id]


CODEC = Codec(1, 2, writer_schema)


def written_in_the_future(type_: str, body: dict[str, Any]) -> bytes:
    datum = reference.datum_of(load_schema(EVENTS_SUBJECT), EVENT)
    datum |= {"type": type_, "region": "eu", "body": (f"tierline.oms.{type_}", body)}
    out = io.BytesIO(frame_header(FUTURE_ID))
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(out, FUTURE, datum)
    return out.getvalue()


def test_a_type_of_the_future_is_read_but_not_understood() -> None:
    """The dict is whole; as an event it is unknown, by name."""
    raw = CODEC.read(written_in_the_future("SomethingNewHappened", {"what": "it", "level": 3}))

    assert {"what": "it", "level": 3} == raw["body"]
    with pytest.raises(UnknownType, match="SomethingNewHappened") as unknown:
        CODEC.to_event(raw)
    assert "SomethingNewHappened" == unknown.value.type


def test_the_envelope_of_an_unknown_type_is_readable() -> None:
    """Readers skip and count by it, audit stores it: place, time, order, and the field they do not know."""
    raw = CODEC.read(written_in_the_future("SomethingNewHappened", {"what": "it", "level": 3}))

    today = envelope_of(reference.datum_of(load_schema(EVENTS_SUBJECT), EVENT))
    assert today | {"type": "SomethingNewHappened", "region": "eu"} == envelope_of(raw)


def test_new_fields_of_a_known_type_are_ignored() -> None:
    """A reader acts on what it knows."""
    body = reference.datum_of(load_schema(EVENTS_SUBJECT), EVENT)["body"][1]

    raw = CODEC.read(written_in_the_future("TierChanged", body | {"proof": "signed"}))

    assert EVENT == CODEC.to_event(raw)


def test_a_reader_fills_what_an_older_writer_did_not_know() -> None:
    """The writer's schema decodes, today's defaults complete."""
    older = copy.deepcopy(json.loads(text_of(EVENTS_SUBJECT, 1)))
    older["fields"] = [field for field in older["fields"] if field["name"] != "traceparent"]
    older_schema = parse(json.dumps(older))
    datum = reference.datum_of(load_schema(EVENTS_SUBJECT), EVENT)
    del datum["traceparent"]
    out = io.BytesIO()
    fastavro.schemaless_writer(out, older_schema, datum)
    codec = Codec(1, 2, lambda _: older_schema)

    assert EVENT == codec.to_event(codec.read(frame_header(3) + out.getvalue()))
