"""At the start of a worker: every schema is registered, and registry and event store agree on the ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog

from schemas.avsc import COMMANDS_SUBJECT, EVENTS_SUBJECT, fingerprint_of, subjects, text_of, versions
from schemas.errors import RegistryUnavailable, SchemaDisagreement
from schemas.registry import Registry
from schemas.schema_table import StoredSchema, store_schema, stored_schemas
from tierline.kit.database import Connection

_log = structlog.get_logger(__name__)

SAME_REGISTRY = (
    "Point TIERLINE_REGISTRY_URL at the registry this database was written with, or restore its storage."
)


@dataclass(frozen=True, slots=True)
class SchemaIds:
    """The ids to write with, and the texts of every id that the event store knows."""

    commands: int
    events: int
    known: Mapping[int, str]


def register_schemas(registry: Registry, connection: Connection) -> SchemaIds:
    """Register what is new, compare what is known, and return the ids of the newest versions.

    While the registry is away, the ids that the event store knows keep working; RegistryUnavailable is
    raised only if they are not all there. SchemaDisagreement and IncompatibleSchema need a person.
    """
    stored = stored_schemas(connection)
    try:
        _confirm(registry, stored.values())
        for subject in subjects():
            registry.require_compatibility(subject)
        for subject, version in _released():
            if _stored_id(stored, subject, version) is None:
                row = _register(registry, connection, subject, text_of(subject, version))
                stored[row.id] = row
    except RegistryUnavailable as away:
        if any(_stored_id(stored, subject, version) is None for subject, version in _released()):
            raise
        _log.warning(
            "registry_away", detail=str(away), consequence="ids of the event store are used unchecked"
        )
    return SchemaIds(
        commands=_newest_id(stored, COMMANDS_SUBJECT),
        events=_newest_id(stored, EVENTS_SUBJECT),
        known={row.id: row.text for row in stored.values()},
    )


def _confirm(registry: Registry, stored: Iterable[StoredSchema]) -> None:
    """Each id of the event store must mean the same to the registry."""
    for row in stored:
        text = registry.text_of(row.id)
        if text is None:
            raise SchemaDisagreement(
                f"the event store was written with schema {row.id} ({row.subject}), the registry has none",
                SAME_REGISTRY,
            )
        if fingerprint_of(text) != row.fingerprint:
            raise SchemaDisagreement(
                f"schema {row.id} is {row.subject} in the event store and another one in the registry",
                SAME_REGISTRY,
            )


def _register(registry: Registry, connection: Connection, subject: str, text: str) -> StoredSchema:
    found = registry.find(subject, text)
    return store_schema(
        connection, registry.register(subject, text) if found is None else found, subject, text
    )


def _released() -> list[tuple[str, int]]:
    return [(subject, version) for subject in subjects() for version in versions(subject)]


def _stored_id(stored: Mapping[int, StoredSchema], subject: str, version: int) -> int | None:
    fingerprint = fingerprint_of(text_of(subject, version))
    for row in stored.values():
        if (row.subject, row.fingerprint) == (subject, fingerprint):
            return row.id
    return None


def _newest_id(stored: Mapping[int, StoredSchema], subject: str) -> int:
    newest = _stored_id(stored, subject, versions(subject)[-1])
    if newest is None:
        raise LookupError(f"{subject} is not registered")
    return newest
