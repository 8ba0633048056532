"""A read model's table as the projector sees it, and the SQL that follows from it.

Rows are dictionaries by column. In a row an instant is milliseconds since the epoch, a date ISO text, a
uuid text: the form in which they stand in events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Row = dict[str, Any]
Kind = Literal["text", "uuid", "integer", "flag", "instant", "date", "texts", "json", "bytes"]

# How a stored value comes back in the form that it has in a row.
_LOADED = {
    "uuid": "{0}::text AS {0}",
    "date": "{0}::text AS {0}",
    "instant": "(extract(epoch FROM {0}) * 1000)::bigint AS {0}",
}


@dataclass(frozen=True, slots=True)
class Table:
    """One table of schema ``read``.

    ``columns`` are those the projector fills. ``appends``: rows are only ever added; otherwise a row
    replaces the one of the same ``key`` at a lower position. ``stored`` is the query for the rows that a
    fold continues, given a list of keys; {columns} and {target} are filled in. ``looked_up`` fills a column
    by an SQL expression over ``new``, the row on its way in; ``carried`` does so in a rebuild alone.
    """

    name: str
    columns: Mapping[str, Kind]
    key: tuple[str, ...]
    appends: bool
    stored: str = ""
    looked_up: Mapping[str, str] = field(default_factory=dict)
    carried: Mapping[str, str] = field(default_factory=dict)

    @property
    def live(self) -> str:
        """The table that is asked."""
        return f"read.{self.name}"

    @property
    def next(self) -> str:
        """The table that a rebuild fills beside it."""
        return f"read.{self.name}__next"

    @property
    def takes_rows_as_they_are(self) -> bool:
        """Whether a row that is not there yet needs nothing that only the server knows."""
        return self.appends and not self.looked_up and not self.carried

    @property
    def stage(self) -> str:
        """A session's own landing place for rows on their way in."""
        return f"stage_{self.name}"


def create_stage(table: Table) -> str:
    """Make the landing place where the session has none; every commit empties it."""
    return f"CREATE TEMP TABLE IF NOT EXISTS {table.stage} (LIKE {table.live}) ON COMMIT DELETE ROWS"


def copy_rows(table: Table, target: str) -> str:
    """Take rows into ``target``, a table of this shape, in the text form of ``copy_text``."""
    return f"COPY {target} ({', '.join(table.columns)}) FROM STDIN"


def merge_stage(table: Table, target: str) -> str:
    """Take the staged rows over into ``target``; one that is there already changes nothing."""
    return _merge(table, target, table.stage)


def merge_latest(table: Table, source: Table) -> str:
    """Take the last row of each key that is staged for ``source``, of the same columns, into ``table``."""
    key = ", ".join(table.key)
    latest = f"SELECT DISTINCT ON ({key}) * FROM {source.stage} ORDER BY {key}, position DESC"
    return _merge(table, table.live, f"({latest})")


def _merge(table: Table, target: str, rows: str) -> str:
    filled = {column: f"new.{column}" for column in table.columns} | dict(table.looked_up)
    if target == table.next:
        filled |= table.carried
    return (
        f"INSERT INTO {target} AS held ({', '.join(filled)}) "
        f"SELECT {', '.join(filled.values())} FROM {rows} AS new "
        f"ON CONFLICT ({', '.join(table.key)}) {_on_conflict(table)}"
    )


def load_stored(table: Table, target: str) -> str:
    """The rows of ``target`` that a fold continues; takes a list of keys."""
    return table.stored.format(columns=column_list(table), target=target)


def column_list(table: Table) -> str:
    """The columns for a SELECT that gives values in the form that they have in a row."""
    return ", ".join(_LOADED.get(kind, "{0}").format(name) for name, kind in table.columns.items())


def _on_conflict(table: Table) -> str:
    if table.appends:
        return "DO NOTHING"
    changes = [f"{column} = excluded.{column}" for column in table.columns if column not in table.key]
    return f"DO UPDATE SET {', '.join(changes)} WHERE held.position < excluded.position"
