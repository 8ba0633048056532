"""The table that a rebuild fills beside the live one: made, found again, swapped in, thrown away."""

from __future__ import annotations

from psycopg import sql

from projections.read_model import ReadModel
from projections.table import Table
from projections.versions import note_rebuild, note_swap, version_of_rebuild
from schemas.topics import EVENTS
from tierline.kit.database import Connection

_MARK = "__next"
_SHAPE = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
 WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attname
"""
_DRESS = "SELECT obj_description(oid), reloptions FROM pg_class WHERE oid = to_regclass(%s)"
_INDEXES = "SELECT indexname FROM pg_indexes WHERE schemaname = 'read' AND tablename = %s"


def consumer_of(model: ReadModel) -> str:
    """The consumer whose leases say how far a rebuild of ``model`` got. A bookmark: never rename it."""
    return f"rebuild.{model.name}"


def begin(connection: Connection, model: ReadModel) -> bool:
    """Make the next table, or find the one of a rebuild that was stopped; True when there was one.

    One that another version of the fold began, or that has other columns, is thrown away first.
    """
    table = model.table
    built, wanted = (connection.execute(_SHAPE, (name,)).fetchall() for name in (table.next, table.live))
    if built == wanted and version_of_rebuild(connection, model) == model.version:
        return True
    abandon(connection, model)
    _create(connection, table)
    note_rebuild(connection, model, model.version)
    return False


def abandon(connection: Connection, model: ReadModel) -> None:
    """Throw away what a rebuild has built so far, its places too; the live table is not touched."""
    connection.execute(f"DROP TABLE IF EXISTS {model.table.next}")
    _forget_places(connection, model)
    note_rebuild(connection, model, None)


def swap(connection: Connection, model: ReadModel) -> None:
    """Give the next table the name of the live one, which is dropped; all in the caller's transaction."""
    table = model.table
    connection.execute(f"DROP TABLE {table.live}")
    connection.execute(f"ALTER TABLE {table.next} RENAME TO {table.name}")
    for (index,) in connection.execute(_INDEXES, (table.name,)).fetchall():
        usual = index.replace(_MARK, "")
        connection.execute(
            sql.SQL("ALTER INDEX read.{} RENAME TO {}").format(sql.Identifier(index), sql.Identifier(usual))
        )
    _forget_places(connection, model)
    note_swap(connection, model)


def count_rows(connection: Connection, table: str) -> int:
    """How many rows ``table`` has."""
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return row[0] if row else 0


def _create(connection: Connection, table: Table) -> None:
    connection.execute(f"CREATE TABLE {table.next} (LIKE {table.live} INCLUDING ALL)")
    # LIKE brings columns, indexes and their comments, but neither the table's own comment nor its options.
    row = connection.execute(_DRESS, (table.live,)).fetchone()
    comment, options = row or (None, None)
    if comment:
        connection.execute(sql.SQL(f"COMMENT ON TABLE {table.next} IS {{}}").format(sql.Literal(comment)))
    if options:
        connection.execute(f"ALTER TABLE {table.next} SET ({', '.join(options)})")


def _forget_places(connection: Connection, model: ReadModel) -> None:
    connection.execute(
        "DELETE FROM oms.lease WHERE consumer = %s AND topic = %s", (consumer_of(model), EVENTS.name)
    )
