"""Hypothesis strategies for every command and event that the schemas allow, made from the .avsc."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_type_hints

from hypothesis import strategies as st

from schemas.avsc import (
    COMMANDS_SUBJECT,
    EVENTS_SUBJECT,
    Schema,
    load_schema,
    named_types,
    record_at,
    simple_name,
)
from schemas.codec import body_classes
from schemas.varint import INT_MAX, INT_MIN, LONG_MAX, LONG_MIN, SMALL
from tierline.domain.commands import Command
from tierline.domain.events import RecordedEvent

EDGES = [0, 63, 64, -64, -65, SMALL - 1, SMALL, -SMALL, -SMALL - 1, 1_795_000_000_123, INT_MAX, INT_MIN]
TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(["", "é", "\x00", "🜁" * 20, "x" * 63, "x" * 64]))


def commands(*types: str) -> st.SearchStrategy[Command]:
    """Any command of these types, each body equally often; of all types by default."""
    return _envelopes(Command, load_schema(COMMANDS_SUBJECT), types)


def events() -> st.SearchStrategy[RecordedEvent]:
    """Any event, each body equally often."""
    return _envelopes(RecordedEvent, load_schema(EVENTS_SUBJECT))


def values_of(schema: Any, named: Mapping[str, Schema], hint: Any = None) -> st.SearchStrategy[Any]:
    """Values of ``schema``; records come as the dataclass that ``hint`` says."""
    match schema:
        case "string" | {"type": "string"}:
            return TEXTS
        case "int" | {"type": "int"}:
            return st.integers(INT_MIN, INT_MAX) | st.sampled_from(EDGES[:7])
        case "long" | {"type": "long"}:
            return st.integers(LONG_MIN, LONG_MAX) | st.sampled_from([*EDGES, LONG_MAX, LONG_MIN])
        case "boolean" | {"type": "boolean"}:
            return st.booleans()
        case "null":
            return st.none()
        case {"type": "array", "items": items}:
            return st.lists(values_of(items, named, hint), max_size=3).map(tuple)
        case list(branches):
            return st.one_of([values_of(branch, named, hint) for branch in branches])
    record = record_at(schema, named)
    assert record is not None, schema
    return _records(record, named, _classes(hint)[simple_name(record)])


def _envelopes(envelope: type, schema: Schema, types: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    named, classes = named_types(schema), body_classes(envelope)
    bodies = {simple_name(record): record for record in named.values() if simple_name(record) in classes}
    return st.one_of(
        [
            _records(schema, named, envelope, _records(body, named, classes[name]))
            for name, body in bodies.items()
            if not types or name in types
        ]
    )


def _records(
    schema: Schema, named: Mapping[str, Schema], cls: type, body: st.SearchStrategy[Any] | None = None
) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    fields = {
        field["name"]: values_of(field["type"], named, hints[field["name"]])
        for field in schema["fields"]
        if body is None or field["name"] not in ("type", "body")
    }
    if body is None:
        return st.builds(cls, **fields)
    whole = st.tuples(body, st.fixed_dictionaries(fields))
    return whole.map(lambda pair: cls(**pair[1], type=type(pair[0]).__name__, body=pair[0]))


def _classes(hint: Any) -> dict[str, type]:
    """Every class that stands somewhere in a type hint, by name."""
    found = {hint.__name__: hint} if isinstance(hint, type) else {}
    for inner in getattr(hint, "__args__", ()):
        found |= _classes(inner)
    return found
