"""The .avsc files: ``schemas/<subject>/v<N>.avsc``, read once, parsed for fastavro and the generated writer.

Logical types are dropped when a schema is parsed, so an instant stays the integer that it is on the wire.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, cast

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas import topics

Schema = dict[str, Any]

COMMANDS_SUBJECT = "oms.commands.v1-value"
EVENTS_SUBJECT = "oms.events.v1-value"


def subjects() -> tuple[str, ...]:
    """Every subject whose schemas are ours, in the order of the topics."""
    named = (topic.subject for topic in topics.all_topics())
    return tuple(dict.fromkeys(subject for subject in named if subject is not None))


@lru_cache
def versions(subject: str) -> tuple[int, ...]:
    """The versions of ``subject``, oldest first. Raises LookupError for a subject without any."""
    folder = files("schemas") / subject
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    found = sorted(int(name[1:-5]) for name in names if name.startswith("v") and name.endswith(".avsc"))
    if not found:
        raise LookupError(f"no schema under schemas/{subject}: add schemas/{subject}/v1.avsc")
    return tuple(found)


@lru_cache
def text_of(subject: str, version: int) -> str:
    """The text of one version as it is committed. Never change a released one: add the next version."""
    return (files("schemas") / subject / f"v{version}.avsc").read_text("utf-8")


@lru_cache
def load_schema(subject: str, version: int | None = None) -> Schema:
    """The parsed schema of ``subject``: ``version``, else the newest."""
    return parse(text_of(subject, version if version is not None else versions(subject)[-1]))


def parse(text: str) -> Schema:
    """Parse the text of a record schema; ValueError says what is wrong with it."""
    try:
        schema = fastavro.parse_schema(_without_logical_types(json.loads(text)))
    except (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, KeyError, TypeError) as error:
        raise ValueError(f"not an Avro schema: {error!r}") from error
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ValueError("not the schema of a record")
    return schema


def named_types(schema: Any) -> Mapping[str, Schema]:
    """Every record that a parsed schema defines, by its full name."""
    found: dict[str, Schema] = {}
    match schema:
        case {"type": "record", "name": str(name), "fields": list(fields)}:
            found[name] = schema
            for field in fields:
                found |= named_types(field["type"])
        case {"type": "array", "items": inner}:
            found |= named_types(inner)
        case list(branches):
            for branch in branches:
                found |= named_types(branch)
        case _:
            pass
    return found


def record_at(schema: Any, named: Mapping[str, Schema]) -> Schema | None:
    """The record that ``schema`` is, in place or by name; None if it is something else."""
    match schema:
        case {"type": "record"}:
            return cast("Schema", schema)
        case str(name):
            return named.get(name)
        case _:
            return None


def simple_name(record: Schema) -> str:
    """The name of a record without its namespace: the name of its dataclass."""
    return cast("str", record["name"].rpartition(".")[2])


def standalone(schema: Any, named: Mapping[str, Schema], known: set[str] | None = None) -> Any:
    """``schema`` with each name spelled out where it first occurs, so that it parses on its own."""
    known = set() if known is None else known
    record = record_at(schema, named)
    if record is not None:
        if record["name"] in known:
            return record["name"]
        known.add(record["name"])
        fields = [field | {"type": standalone(field["type"], named, known)} for field in record["fields"]]
        return {"type": "record", "name": record["name"], "fields": fields}
    match schema:
        case {"type": "array", "items": items}:
            return {"type": "array", "items": standalone(items, named, known)}
        case list(branches):
            return [standalone(branch, named, known) for branch in branches]
        case _:
            return schema


def fingerprint_of(text: str) -> str:
    """SHA-256 of the parsing canonical form, in hex: two texts that mean the same bytes have the same one."""
    return fingerprint(to_parsing_canonical_form(json.loads(text)), "sha256")


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _without_logical_types(value) for name, value in node.items() if name != "logicalType"}
    if isinstance(node, list):
        return [_without_logical_types(item) for item in node]
    return node
