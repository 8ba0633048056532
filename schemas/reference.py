"""The reference writer: a checked walk over the schema, then fastavro.

The generated writer must give the same bytes. It comes here for whatever its tables do not hold, and to
find out which field a value does not fit.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import fastavro

from schemas.avsc import Schema, named_types, record_at, simple_name, standalone
from schemas.errors import EncodeError
from schemas.varint import INT_MAX, INT_MIN, LONG_MAX, LONG_MIN

RANGES = {"int": (INT_MIN, INT_MAX), "long": (LONG_MIN, LONG_MAX)}


def encode(schema: Schema, value: Any) -> bytes:
    """The Avro binary of ``value``: an object with the fields as attributes, or a mapping.

    A record in a union is chosen by the name of its class; a mapping there comes as ``(name, mapping)``.
    Raises EncodeError with the path of the first value that does not fit.
    """
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, datum_of(schema, value))
    return out.getvalue()


def encode_part(root: Schema, schema: Any, value: Any, path: str) -> bytes:
    """The Avro binary of one value at ``path``, whose ``schema`` is a part of ``root``."""
    named = named_types(root)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, standalone(schema, named), _Walk(named).datum(schema, value, path))
    return out.getvalue()


def datum_of(schema: Schema, value: Any) -> Any:
    """``value`` as fastavro takes it, every field checked: type, range, and text that UTF-8 can hold."""
    return _Walk(named_types(schema)).datum(schema, value, "")


def assembled(given: Mapping[str, Any], branches: Mapping[str, str]) -> Any:
    """A record from values by dotted path, with the records of ``branches`` named in their unions."""
    root: dict[str, Any] = {}
    for path, value in given.items():
        *parents, name = path.split(".")
        _descend(root, parents)[name] = value
    for path in sorted(branches, key=len, reverse=True):
        *parents, name = path.split(".")
        parent = _descend(root, parents)
        parent[name] = (branches[path], parent.get(name, {}))
    return root


def _descend(root: dict[str, Any], names: list[str]) -> dict[str, Any]:
    for name in names:
        root = root.setdefault(name, {})
    return root


class _Walk:
    """One walk over a schema whose named types are ``named``."""

    def __init__(self, named: Mapping[str, Schema]) -> None:
        self._named = named

    def datum(self, schema: Any, value: Any, path: str) -> Any:
        match schema:
            case "string" | {"type": "string"}:
                return _text(value, path)
            case "int" | "long" | {"type": "int" | "long"}:
                return _integer(schema if isinstance(schema, str) else schema["type"], value, path)
            case "boolean" | {"type": "boolean"}:
                return _boolean(value, path)
            case {"type": "array", "items": items}:
                return self._array(items, value, path)
            case list(branches):
                return self._union(branches, value, path)
            case _:
                record = record_at(schema, self._named)
                if record is None:
                    raise EncodeError(path, f"no values of schema {schema!r} are written here")
                return self._record(record, value, path)

    def _record(self, schema: Schema, value: Any, path: str) -> dict[str, Any]:
        return {
            field["name"]: self.datum(field["type"], _field(field, value, path), _joined(path, field["name"]))
            for field in schema["fields"]
        }

    def _array(self, items: Any, value: Any, path: str) -> list[Any]:
        if not isinstance(value, tuple | list):
            raise EncodeError(path, f"expected an array, got {_shown(value)}")
        return [self.datum(items, item, _joined(path, str(index))) for index, item in enumerate(value)]

    def _union(self, branches: list[Any], value: Any, path: str) -> Any:
        if value is None and "null" in branches:
            return None
        others = [branch for branch in branches if branch != "null"]
        if len(others) == 1:
            return self.datum(others[0], value, path)
        named_pair = isinstance(value, tuple) and len(value) == 2
        name, content = value if named_pair else (type(value).__name__, value)
        for branch in others:
            record = record_at(branch, self._named)
            if record is not None and simple_name(record) == name:
                return record["name"], self.datum(record, content, path)
        raise EncodeError(path, f"{_shown(value)} is none of the {len(others)} records that may stand here")


def _field(field: Mapping[str, Any], value: Any, path: str) -> Any:
    name = field["name"]
    if isinstance(value, Mapping):
        if name in value or "default" in field:
            return value.get(name, field.get("default"))
    elif hasattr(value, name):
        return getattr(value, name)
    raise EncodeError(_joined(path, name), f"missing: {_shown(value)} has no such field")


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise EncodeError(path, f"expected a string, got {_shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise EncodeError(path, f"a lone surrogate at character {error.start} is not text") from error
    return value


def _integer(kind: str, value: Any, path: str) -> int:
    if type(value) is not int:
        raise EncodeError(path, f"expected an integer, got {_shown(value)}")
    low, high = RANGES[kind]
    if not low <= value <= high:
        raise EncodeError(path, f"outside the range of Avro's {kind}: {low} to {high}")
    return value


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise EncodeError(path, f"expected true or false, got {_shown(value)}")
    return value


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    """The type of a value; never the value, which may be a customer's."""
    return "null" if value is None else f"a value of type {type(value).__name__}"
