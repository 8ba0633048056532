"""Takes a batch of events into the tables of read models, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row

from projections.copy_text import rows_as_copy_text
from projections.read_model import Event, ReadModel
from projections.table import Row, Table, copy_rows, create_stage, load_stored, merge_latest, merge_stage
from tierline.kit.database import Connection

Rows = Sequence[Mapping[str, Any]]

_BLOCK_ROWS = 250


def create_stages(connection: Connection, models: Iterable[ReadModel]) -> None:
    """Prepare a new session for ``apply``; undone when the caller rolls back."""
    for model in models:
        connection.execute(create_stage(model.table))


def apply(connection: Connection, model: ReadModel, target: str, events: Sequence[Event]) -> None:
    """Fold ``events`` (whole decisions, in order per partition) into ``target``, one of the model's tables.

    Handing the same events over again changes nothing.
    """
    _write(connection, model.table, target, model.fold(_stored(connection, model, target, events), events))


def apply_live(connection: Connection, model: ReadModel, events: Sequence[Event]) -> None:
    """``apply`` to the live tables of ``model`` and of its ``latest``: folded once, for both."""
    latest = model.latest
    if latest is None:
        apply(connection, model, model.table.live, events)
        return
    rows = model.fold(_stored(connection, latest, latest.table.live, events), events)
    _write(connection, model.table, model.table.live, rows)
    if rows:
        connection.execute(merge_latest(latest.table, model.table))


def append(connection: Connection, model: ReadModel, target: str, events: Iterable[Sequence[Event]]) -> bool:
    """Add the rows of ``events``, which are asked for part by part while the server takes in the part before.

    For a model whose table takes rows as they are. False when a row is there already: nothing is changed
    then, and ``events`` may not have been asked for to their end.
    """
    return _append(connection, model.table, target, (model.fold([], part) for part in events))


def _stored(connection: Connection, model: ReadModel, target: str, events: Sequence[Event]) -> list[Row]:
    """The rows of ``target``, a table of ``model``, that a fold of ``events`` continues."""
    keys = model.keys(events)
    if not keys:
        return []
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(load_stored(model.table, target), (list(keys),)).fetchall()


def _write(connection: Connection, table: Table, target: str, rows: Rows) -> None:
    if not rows:
        return
    if table.takes_rows_as_they_are and _append(connection, table, target, [rows]):
        return
    _copy(connection, table, table.stage, [rows])
    connection.execute(merge_stage(table, target))


def _append(connection: Connection, table: Table, target: str, parts: Iterable[Rows]) -> bool:
    """Add rows that are new, as all are but those of events that are handed over again.

    Half the price of the way over a stage. The savepoint ends with the transaction.
    """
    connection.execute("SAVEPOINT append")
    try:
        _copy(connection, table, target, parts)
    except UniqueViolation:
        connection.execute("ROLLBACK TO SAVEPOINT append")
        return False
    return True


def _copy(connection: Connection, table: Table, target: str, parts: Iterable[Rows]) -> None:
    """Block by block: the server takes one in while the next is being made."""
    with connection.cursor() as cursor, cursor.copy(copy_rows(table, target)) as copy:
        for rows in parts:
            for first in range(0, len(rows), _BLOCK_ROWS):
                copy.write(rows_as_copy_text(table.columns, rows[first : first + _BLOCK_ROWS]))
