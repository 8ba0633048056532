"""Table ``oms.schema``: the registry's ids and texts as this event store was written with them."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.avsc import fingerprint_of
from schemas.errors import SchemaDisagreement
from tierline.kit.database import Connection


@dataclass(frozen=True, slots=True)
class StoredSchema:
    """One row: ``fingerprint`` is the hex SHA-256 of the parsing canonical form of ``text``."""

    id: int
    subject: str
    fingerprint: str
    text: str


def stored_schemas(connection: Connection) -> dict[int, StoredSchema]:
    """Every row by its id."""
    with connection.transaction():
        rows = connection.execute("SELECT id, subject, fingerprint, avsc FROM oms.schema").fetchall()
    return {row[0]: StoredSchema(*row) for row in rows}


def store_schema(connection: Connection, schema_id: int, subject: str, text: str) -> StoredSchema:
    """Insert a row, or find that another worker did; commits unless the caller is in a transaction.

    Raises SchemaDisagreement when the id stands for another schema.
    """
    row = StoredSchema(schema_id, subject, fingerprint_of(text), text)
    with connection.transaction():
        connection.execute(
            "INSERT INTO oms.schema (id, subject, fingerprint, avsc) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (id) DO NOTHING",
            (row.id, row.subject, row.fingerprint, row.text),
        )
    there = stored_schemas(connection)[schema_id]
    if (there.subject, there.fingerprint) != (row.subject, row.fingerprint):
        raise SchemaDisagreement(
            f"the registry gave id {schema_id} to {subject}, the event store knows it as {there.subject}",
            "Point TIERLINE_REGISTRY_URL at the registry this database was written with.",
        )
    return there
