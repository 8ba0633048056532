"""Records of older versions in today's shape.

A schema only ever grows by fields with a default (BACKWARD_TRANSITIVE), so the newest schema says how an
older record reads today: a field it lacks stands under an alias, or takes the default. A change that this
cannot express is not a new version but a new type name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.avsc import Schema, named_types, record_at, simple_name
from schemas.errors import DecodeCode, DecodeError


def to_newest(newest: Schema, raw: Mapping[str, Any]) -> dict[str, Any]:
    """``raw`` with every field of ``newest``; fields of a still newer writer stay as they are.

    The record of a union is the one that the field ``type`` beside it names; a record that ``newest`` does
    not have stays as it is. Raises DecodeError for a missing field without a default.
    """
    return _record(newest, raw, named_types(newest), "")


def _record(schema: Schema, raw: Mapping[str, Any], named: Mapping[str, Schema], path: str) -> dict[str, Any]:
    result = dict(raw)
    for field in schema["fields"]:
        name = field["name"]
        result[name] = _value(
            field["type"], _given(field, raw, path), named, f"{path}{name}.", raw.get("type")
        )
    return result


def _given(field: Mapping[str, Any], raw: Mapping[str, Any], path: str) -> Any:
    for name in (field["name"], *field.get("aliases", ())):
        if name in raw:
            return raw[name]
    if "default" in field:
        return field["default"]
    raise DecodeError(DecodeCode.MALFORMED, f"field {path}{field['name']} is missing and has no default")


def _value(schema: Any, value: Any, named: Mapping[str, Schema], path: str, type_: str | None) -> Any:
    if isinstance(schema, dict) and schema["type"] == "array" and isinstance(value, list):
        return [_value(schema["items"], item, named, path, None) for item in value]
    if isinstance(schema, list):
        return _value(_branch(schema, value, named, type_), value, named, path, None)
    record = record_at(schema, named)
    return value if record is None or not isinstance(value, Mapping) else _record(record, value, named, path)


def _branch(branches: list[Any], value: Any, named: Mapping[str, Schema], type_: str | None) -> Any:
    others = [branch for branch in branches if branch != "null"]
    if value is None:
        return "null"
    if len(others) == 1:
        return others[0]
    records = [record for branch in others if (record := record_at(branch, named)) is not None]
    return next((record for record in records if simple_name(record) == type_), "null")
