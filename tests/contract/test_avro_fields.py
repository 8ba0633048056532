"""The newest .avsc and the dataclasses of the domain say the same: names, order, types, what may be null."""

from __future__ import annotations

import dataclasses
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from schemas.avsc import (
    COMMANDS_SUBJECT,
    EVENTS_SUBJECT,
    Schema,
    load_schema,
    named_types,
    record_at,
    simple_name,
)
from schemas.builder import classes_in
from tierline.domain.commands import Command
from tierline.domain.events import RecordedEvent

ENVELOPES = [(COMMANDS_SUBJECT, Command), (EVENTS_SUBJECT, RecordedEvent)]
SCALARS = {str: "string", bool: "boolean"}


def shape_of_schema(schema: Any, named: dict[str, Schema]) -> Any:
    """A schema in words: int and long are one, records are (name, fields)."""
    match schema:
        case {"type": "array", "items": items}:
            return ["array", shape_of_schema(items, named)]
        case list(branches):
            return {"union": [shape_of_schema(branch, named) for branch in branches]}
        case {"type": "int" | "long"} | "int" | "long":
            return "integer"
    record = record_at(schema, named)
    if record is None:
        return schema["type"] if isinstance(schema, dict) else schema
    fields = [(field["name"], shape_of_schema(field["type"], named)) for field in record["fields"]]
    return (simple_name(record), fields)


def shape_of_hint(hint: Any) -> Any:
    """A type hint in the same words; null comes first, as in the schemas."""
    if get_origin(hint) in (Union, types.UnionType):
        members = sorted(get_args(hint), key=lambda member: member is not type(None))
        return {"union": [shape_of_hint(member) for member in members]}
    if get_origin(hint) is tuple:
        return ["array", shape_of_hint(get_args(hint)[0])]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        fields = [(field.name, shape_of_hint(hints[field.name])) for field in dataclasses.fields(hint)]
        return (hint.__name__, fields)
    return {type(None): "null", int: "integer", **SCALARS}[hint]


@pytest.mark.parametrize(("subject", "envelope"), ENVELOPES)
def test_the_schema_has_the_fields_of_the_dataclasses(subject: str, envelope: type) -> None:
    """Names, order, types, nullability, and every branch of the body."""
    schema = load_schema(subject)

    assert shape_of_hint(envelope) == shape_of_schema(schema, dict(named_types(schema)))


@pytest.mark.parametrize(("subject", "envelope"), ENVELOPES)
def test_a_field_that_may_be_null_is_null_by_default(subject: str, envelope: type) -> None:
    """So a later reader can drop it, and an older record can lack it."""
    nullable = [
        (name, field["name"], field.get("default", "none"))
        for name, record in named_types(load_schema(subject)).items()
        for field in record["fields"]
        if isinstance(field["type"], list) and field["type"][0] == "null"
    ]

    assert nullable
    assert [] == [entry for entry in nullable if entry[2] is not None]


@pytest.mark.parametrize(("subject", "envelope"), ENVELOPES)
def test_no_schema_has_a_float(subject: str, envelope: type) -> None:
    """Money is minor units, and nothing else here is a fraction."""
    assert not [kind for kind in ("float", "double", "decimal") if f'"{kind}"' in str(load_schema(subject))]


@pytest.mark.parametrize(("subject", "envelope"), ENVELOPES)
def test_every_dataclass_is_frozen_and_slotted(subject: str, envelope: type) -> None:
    """The builder fills slots, and a recorded fact does not change."""
    classes: list[Any] = [envelope, *classes_in(get_type_hints(envelope)["body"])]
    loose = [cls for cls in classes if not cls.__dataclass_params__.frozen or "__slots__" not in vars(cls)]

    assert [] == loose
