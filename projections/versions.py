"""Which version of its fold wrote the rows of a read model: table ``read.read_model``."""

from __future__ import annotations

from collections.abc import Iterable

from projections.read_model import ReadModel
from tierline.kit.database import Connection


def note_versions(connection: Connection, models: Iterable[ReadModel]) -> None:
    """Write down the version of models that have none yet: their tables are filled by this code."""
    for model in models:
        connection.execute(
            "INSERT INTO read.read_model (name, version) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (model.name, model.version),
        )


def version_of_rebuild(connection: Connection, model: ReadModel) -> int | None:
    """The version that a rebuild under way is made with; None without one."""
    row = connection.execute(
        "SELECT next_version FROM read.read_model WHERE name = %s", (model.name,)
    ).fetchone()
    return None if row is None else row[0]


def note_rebuild(connection: Connection, model: ReadModel, version: int | None) -> None:
    """Write down that a rebuild with ``version`` began; None: there is none any more."""
    note_versions(connection, [model])
    connection.execute("UPDATE read.read_model SET next_version = %s WHERE name = %s", (version, model.name))


def note_swap(connection: Connection, model: ReadModel) -> None:
    """Write down that the rebuilt table is the live one from this transaction on."""
    connection.execute(
        "UPDATE read.read_model SET version = %s, next_version = NULL, rebuilt_at = clock_timestamp() "
        "WHERE name = %s",
        (model.version, model.name),
    )
