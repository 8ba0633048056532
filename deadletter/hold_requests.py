"""What people see of holds, and what they ask of them.

Nobody but the normalizer that has the lease of a partition writes its holds, so an ask is a row that it
carries out, in order; it hears of it by NOTIFY, and finds it at its next start when nothing runs. The rows
stay: who asked what, when, why, and what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from psycopg.rows import dict_row

from tierline.kit.database import Connection

NOTIFY_CHANNEL = "tierline_hold_request"

RELEASE = "release"
DISCARD = "discard"

Row = Mapping[str, Any]

_HOLDS = """
WITH heads AS (
    SELECT DISTINCT ON (held.hold_id) held.*,
           count(*) OVER (PARTITION BY held.hold_id) AS records
      FROM deadletter.held_record AS held
     ORDER BY held.hold_id, held."offset"
)
SELECT hold.hold_id::text, hold.channel, hold.key, hold.by_reference, hold.topic, hold.partition, hold.parked,
       hold.since, coalesce(head.records, 0) AS records, head."offset" AS head_offset, head.reference,
       head.source, head.class, head.code, head.waits_for, head.attempts, head.next_attempt_at,
       extract(epoch FROM clock_timestamp() - hold.since)::int AS age_s,
       extract(epoch FROM head.next_attempt_at - clock_timestamp())::int AS next_attempt_s
  FROM deadletter.key_hold AS hold LEFT JOIN heads AS head USING (hold_id)
 WHERE (%(channel)s::text IS NULL OR hold.channel = %(channel)s)
   AND (%(beginning)s::text IS NULL OR hold.hold_id::text LIKE %(beginning)s || '%%')
   AND (%(key)s::bytea IS NULL OR hold.key = %(key)s)
 ORDER BY hold.parked DESC, hold.since, hold.hold_id
 LIMIT %(most)s
"""

_COUNTS = """
SELECT hold.channel, count(DISTINCT hold.hold_id) AS keys, count(held."offset") AS records,
       count(DISTINCT hold.hold_id) FILTER (WHERE hold.parked) AS parked,
       extract(epoch FROM clock_timestamp() - min(hold.since))::int AS oldest_s,
       extract(epoch FROM min(held.next_attempt_at) FILTER (WHERE NOT hold.parked) - clock_timestamp())::int
         AS next_attempt_s
  FROM deadletter.key_hold AS hold LEFT JOIN deadletter.held_record AS held USING (hold_id)
 GROUP BY 1 ORDER BY 1
"""

_RECORDS = """
SELECT topic, partition, "offset", source, reference, octet_length(value) AS bytes, value, received_at,
       held_at, class, code, field, detail, waits_for, intents, intent_count, attempts, next_attempt_at,
       released_at IS NOT NULL AS on_its_way,
       extract(epoch FROM clock_timestamp() - held_at)::int AS age_s,
       extract(epoch FROM next_attempt_at - clock_timestamp())::int AS next_attempt_s
  FROM deadletter.held_record WHERE hold_id = %s ORDER BY "offset" LIMIT %s
"""

_HISTORY = """
SELECT request_id::text, action, "offset", reason, requested_by, requested_at, done_at, result
  FROM deadletter.hold_request WHERE hold_id = %s ORDER BY requested_at
"""

_ASK = """
INSERT INTO deadletter.hold_request
  (request_id, hold_id, consumer, topic, partition, action, "offset", reason, requested_by)
SELECT %s, hold_id, consumer, topic, partition, %s, %s, %s, %s FROM deadletter.key_hold WHERE hold_id = %s
RETURNING request_id::text
"""

_LOOKED = """
INSERT INTO deadletter.audit (actor, action, hold_id, topic, partition, "offset")
SELECT %s, 'unmask', %s, * FROM unnest(%s::text[], %s::int[], %s::bigint[])
"""


def read_holds(
    connection: Connection,
    *,
    channel: str | None = None,
    key: bytes | None = None,
    beginning: str | None = None,
    most: int = 50,
) -> list[Row]:
    """Holds with their head, those that wait for a person first, then the oldest; at most ``most``."""
    asked = {"channel": channel, "key": key, "beginning": beginning, "most": most}
    with connection.cursor(row_factory=dict_row) as cursor:
        return list(cursor.execute(_HOLDS, asked).fetchall())


def count_holds(connection: Connection) -> list[Row]:
    """Keys, records, parked keys, the age of the oldest and when one is tried next, by channel."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return list(cursor.execute(_COUNTS).fetchall())


def read_records(connection: Connection, hold_id: str, most: int) -> list[Row]:
    """The records of one hold in order, its head first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return list(cursor.execute(_RECORDS, (hold_id, most)).fetchall())


def note_unmasked(connection: Connection, hold_id: str, records: Sequence[Row], actor: str) -> None:
    """Note, in the caller's transaction, that ``actor`` saw these records of one hold as they came."""
    places = [[record[name] for record in records] for name in ("topic", "partition", "offset")]
    connection.execute(_LOOKED, (actor, hold_id, *places))


def read_requests(connection: Connection, hold_id: str) -> Sequence[Row]:
    """What was asked of one hold, oldest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_HISTORY, (hold_id,)).fetchall()


def ask(
    connection: Connection, hold_id: str, action: str, *, offset: int | None, reason: str, requested_by: str
) -> str | None:
    """Ask something of a hold, and tell the normalizers; the request's id, None where the hold has gone."""
    asked = (str(uuid4()), action, offset, reason, requested_by, hold_id)
    row = connection.execute(_ASK, asked).fetchone()
    if row is None:
        connection.rollback()
        return None
    connection.execute("SELECT pg_notify(%s, %s)", (NOTIFY_CHANNEL, hold_id))
    connection.commit()
    return str(row[0])


def result_of(connection: Connection, request_id: str) -> str | None:
    """What came of a request; None while nobody has carried it out."""
    row = connection.execute(
        "SELECT result FROM deadletter.hold_request WHERE request_id = %s", (request_id,)
    ).fetchone()
    connection.rollback()
    return None if row is None or row[0] is None else str(row[0])
