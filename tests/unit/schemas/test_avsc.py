"""The .avsc files as they are loaded."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest

from schemas.avsc import (
    COMMANDS_SUBJECT,
    EVENTS_SUBJECT,
    fingerprint_of,
    load_schema,
    named_types,
    parse,
    simple_name,
    standalone,
    subjects,
    text_of,
    versions,
)


def test_the_subjects_are_those_of_the_topics() -> None:
    """Commands and events; the other topics carry bytes that are not ours."""
    assert (COMMANDS_SUBJECT, EVENTS_SUBJECT) == subjects()


@pytest.mark.parametrize("subject", subjects())
def test_versions_are_counted_without_a_gap(subject: str) -> None:
    """From v1 on."""
    assert tuple(range(1, len(versions(subject)) + 1)) == versions(subject)


def test_a_subject_without_a_schema_says_which_file_is_missing() -> None:
    """A topic that was declared before its schema was written."""
    with pytest.raises(LookupError, match=r"schemas/oms\.nothing-value/v1\.avsc"):
        versions("oms.nothing-value")


def test_logical_types_are_dropped() -> None:
    """An instant stays an integer."""
    assert "timestamp-millis" in text_of(EVENTS_SUBJECT, 1)
    assert "logicalType" not in str(load_schema(EVENTS_SUBJECT, 1))


def test_a_fingerprint_ignores_what_does_not_change_the_bytes() -> None:
    """Words, spaces and defaults are no part of the canonical form; types and names are."""
    text = '{"type": "record", "name": "R", "fields": [{"name": "f", "type": "long"}]}'
    worded = text.replace('"long"', '"long", "doc": "words", "default": 0')

    assert fingerprint_of(text) == fingerprint_of(worded)
    assert fingerprint_of(text) != fingerprint_of(text.replace("long", "int"))


@pytest.mark.parametrize("name", sorted(named_types(load_schema(EVENTS_SUBJECT, 1))))
def test_every_part_of_a_schema_stands_on_its_own(name: str) -> None:
    """Names are spelled out where they first occur, once."""
    named = named_types(load_schema(EVENTS_SUBJECT, 1))

    assert simple_name(named[name]) == simple_name(parse(json.dumps(standalone(named[name], named))))


def test_a_part_that_uses_a_type_twice_defines_it_once() -> None:
    """Avro forbids a second definition."""
    named = named_types(load_schema(EVENTS_SUBJECT, 1))
    quote = standalone(named["tierline.oms.QuoteIssued"], named)
    lines: list[Any] = [field["type"]["items"] for field in quote["fields"] if "lines" in field["name"]]

    assert ["dict", "str"] == [type(line).__name__ for line in lines]
    fastavro.schemaless_writer(io.BytesIO(), {"type": "array", "items": quote}, [])
