"""Records of older versions in today's shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.avsc import parse
from schemas.errors import DecodeCode, DecodeError
from schemas.upcast import to_newest

NEWEST = parse(
    json.dumps(
        {
            "type": "record",
            "name": "Envelope",
            "fields": [
                {"name": "type", "type": "string"},
                {"name": "reference", "aliases": ["ref"], "type": "string"},
                {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
                {
                    "name": "body",
                    "type": [
                        {
                            "type": "record",
                            "name": "Opened",
                            "fields": [
                                {"name": "seats", "type": "long", "default": 1},
                                {
                                    "name": "rows",
                                    "default": [],
                                    "type": {
                                        "type": "array",
                                        "items": {
                                            "type": "record",
                                            "name": "Row",
                                            "fields": [
                                                {"name": "minor", "type": "long"},
                                                {"name": "mode", "type": ["null", "string"], "default": None},
                                            ],
                                        },
                                    },
                                },
                            ],
                        },
                        {
                            "type": "record",
                            "name": "Closed",
                            "fields": [
                                {"name": "last", "type": ["null", "Row"], "default": None},
                                {"name": "why", "type": "string", "default": "unknown"},
                            ],
                        },
                    ],
                },
            ],
        }
    )
)


def envelope(type_: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": type_, "reference": "r", "tags": [], "body": body, **more}


@pytest.mark.parametrize(
    ("expected", "older"),
    [
        (
            envelope("Opened", {"seats": 4, "rows": []}),
            {"type": "Opened", "reference": "r", "body": {"seats": 4}},
        ),
        (envelope("Closed", {"last": None, "why": "unknown"}), envelope("Closed", {})),
        (
            envelope("Closed", {"last": {"minor": 1, "mode": None}, "why": "w"}),
            envelope("Closed", {"last": {"minor": 1}, "why": "w"}),
        ),
        (
            envelope("Opened", {"seats": 1, "rows": [{"minor": 2, "mode": None}]}),
            envelope("Opened", {"rows": [{"minor": 2}]}),
        ),
        (envelope("Future", {"x": 1}, region="eu"), envelope("Future", {"x": 1}, region="eu")),
    ],
)
def test_what_an_older_writer_did_not_know_takes_the_default(
    expected: dict[str, Any], older: dict[str, Any]
) -> None:
    """At every depth; what is unknown stays as it is."""
    assert expected == to_newest(NEWEST, older)


def test_a_renamed_field_is_found_under_its_alias() -> None:
    """The old name stays in the record, the new one has the value."""
    older = {"type": "Opened", "ref": "old", "body": {}}

    assert "old" == to_newest(NEWEST, older)["reference"]


def test_a_default_is_never_shared_between_records() -> None:
    """A list that one reader fills is not the next one's default."""
    first = to_newest(NEWEST, {"type": "Opened", "ref": "r", "body": {}})
    first["tags"].append("mine")

    assert [] == to_newest(NEWEST, {"type": "Opened", "ref": "r", "body": {}})["tags"]


def test_a_missing_field_without_a_default_is_malformed() -> None:
    """Named by its path."""
    with pytest.raises(DecodeError, match=r"body\.rows\.minor is missing") as refused:
        to_newest(NEWEST, envelope("Opened", {"rows": [{}]}))

    assert DecodeCode.MALFORMED == refused.value.code
