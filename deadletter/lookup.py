"""Finds dead letters by what a person has in hand: an id, a fingerprint, or how one of them begins."""

from __future__ import annotations

import re
from typing import Any

from psycopg.rows import dict_row

from tierline.kit.database import Connection

Row = dict[str, Any]
SHORTEST = 4
_BEGINNING = re.compile("[0-9a-f-]{4,64}")

# What waits behind a dead letter waits for a person, in the hold that is parked behind its record.
_LETTERS = """
SELECT record.*, behind.hold_id AS parked_hold_id, coalesce(behind.records, 0) AS held_behind
  FROM deadletter.record
  LEFT JOIN LATERAL (
      SELECT hold.hold_id::text, (SELECT count(*) FROM deadletter.held_record AS held
                                   WHERE held.hold_id = hold.hold_id) AS records
        FROM deadletter.key_hold AS hold
       WHERE hold.consumer = record.consumer AND hold.topic = record.topic
         AND hold.partition = record.partition AND hold.parked_behind = record."offset"
  ) AS behind ON true
"""
_BY_ID = f"""{_LETTERS}
 WHERE dead_letter_id::text LIKE %s || '%%' ORDER BY first_failed_at LIMIT 20
"""
_FINGERPRINTS = """
SELECT DISTINCT fingerprint FROM deadletter.record
 WHERE closed_as IS NULL AND fingerprint LIKE %s || '%%' ORDER BY 1 LIMIT 20
"""
_OF_GROUP = f"""{_LETTERS}
 WHERE closed_as IS NULL AND fingerprint = %s
 ORDER BY first_failed_at DESC, dead_letter_id LIMIT %s
"""
_ACCOUNTS = """
SELECT coalesce(channel, '') AS channel, coalesce(source, '') AS source, account, count(*) AS records
  FROM deadletter.record WHERE closed_as IS NULL AND fingerprint = %s AND account IS NOT NULL
 GROUP BY 1, 2, 3 ORDER BY records DESC, account LIMIT %s
"""
_PAGE = f"""{_LETTERS}
 WHERE closed_as IS NULL AND (%(fingerprint)s::text IS NULL OR fingerprint = %(fingerprint)s)
   AND (%(at)s::timestamptz IS NULL OR (first_failed_at, dead_letter_id) > (%(at)s, %(id)s))
 ORDER BY first_failed_at, dead_letter_id LIMIT %(limit)s
"""


class NotAnId(ValueError):
    """What was asked for cannot be the beginning of an id or fingerprint."""


def by_id(connection: Connection, beginning: str) -> list[Row]:
    """Dead letters, open or ended, whose id begins so; at most 20. Raises NotAnId.

    A row has the columns of ``deadletter.record``; ``parked_hold_id``, the hold that waits behind it for a
    person, or None; and ``held_behind``, how many records that are.
    """
    return _rows(connection, _BY_ID, (_checked(beginning),))


def fingerprints(connection: Connection, beginning: str) -> list[str]:
    """Fingerprints of open dead letters that begin so; at most 20. Raises NotAnId."""
    return [row[0] for row in connection.execute(_FINGERPRINTS, (_checked(beginning),)).fetchall()]


def of_group(connection: Connection, fingerprint: str, limit: int) -> list[Row]:
    """Open dead letters of one cause, the newest first."""
    return _rows(connection, _OF_GROUP, (fingerprint, limit))


def accounts_of(connection: Connection, fingerprint: str, limit: int) -> list[Row]:
    """The accounts that one cause touches, as their senders call them, those with most records first."""
    return _rows(connection, _ACCOUNTS, (fingerprint, limit))


def open_page(connection: Connection, fingerprint: str | None, after: Row | None, limit: int) -> list[Row]:
    """The next open dead letters, of all causes or one, the oldest first; ``after``: the last one before."""
    place = {"at": None, "id": None} if after is None else _place(after)
    return _rows(connection, _PAGE, {"fingerprint": fingerprint, "limit": limit, **place})


def _place(row: Row) -> Row:
    return {"at": row["first_failed_at"], "id": row["dead_letter_id"]}


def _rows(connection: Connection, query: str, arguments: tuple[Any, ...] | Row) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, arguments).fetchall()


def _checked(beginning: str) -> str:
    wanted = beginning.lower()
    if not _BEGINNING.fullmatch(wanted):
        raise NotAnId(f"{beginning!r} is not a dead letter's id, a fingerprint, or {SHORTEST} signs of one")
    return wanted
