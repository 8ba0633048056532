"""Verdicts: an intent that was once called dead stays dead, whatever is known when it is delivered again.

A verdict is written before its dead letter is sent. Records are delivered at least once; without this row a
second delivery could find the account that was missing, and one intent would end twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.kit.database import Connection


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of ``deadletter.verdict``. Topic, partition and offset are those of the original record."""

    dead_letter_id: str
    consumer: str
    topic: str
    partition: int
    offset: int
    intent_index: int
    intent_count: int
    dead: Dead


_COLUMNS = (
    'dead_letter_id, consumer, topic, partition, "offset", '
    "intent_index, intent_count, class, code, field, detail"
)

_INSERT = f"""
INSERT INTO deadletter.verdict ({_COLUMNS})
SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::int[], %b::bigint[], %b::int[], %b::int[],
                     %b::text[], %b::text[], %b::text[], %b::text[])
ON CONFLICT (dead_letter_id) DO NOTHING
RETURNING dead_letter_id::text
"""

_BY_ID = f"SELECT {_COLUMNS} FROM deadletter.verdict WHERE dead_letter_id = ANY(%s::uuid[])"

_TO_COME = f"""
SELECT {_COLUMNS} FROM deadletter.verdict
 WHERE consumer = %(consumer)s AND topic = %(topic)s AND partition = %(partition)s
   AND ("offset" >= %(offset)s OR "offset" IN (
       SELECT "offset" FROM deadletter.held_record
        WHERE consumer = %(consumer)s AND topic = %(topic)s AND partition = %(partition)s))
"""


def write_verdicts(connection: Connection, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Store ``verdicts`` in the caller's transaction and return, in the same order, what is stored now.

    The first verdict on an intent wins: where one was there already, that one is returned. Send the dead
    letters only after the commit.
    """
    if not verdicts:
        return ()
    written = connection.execute(
        _INSERT,
        (
            [v.dead_letter_id for v in verdicts],
            [v.consumer for v in verdicts],
            [v.topic for v in verdicts],
            [v.partition for v in verdicts],
            [v.offset for v in verdicts],
            [v.intent_index for v in verdicts],
            [v.intent_count for v in verdicts],
            [str(v.dead.dead_letter_class) for v in verdicts],
            [storable(v.dead.code) for v in verdicts],
            [None if v.dead.field is None else storable(v.dead.field) for v in verdicts],
            [storable(v.dead.detail) for v in verdicts],
        ),
    ).fetchall()
    new = {row[0] for row in written}
    earlier = stored_verdicts(connection, [v.dead_letter_id for v in verdicts if v.dead_letter_id not in new])
    return tuple(earlier.get(v.dead_letter_id, v) for v in verdicts)


def stored_verdicts(connection: Connection, dead_letter_ids: Collection[str]) -> dict[str, Verdict]:
    """The verdicts that exist among ``dead_letter_ids``, by id."""
    if not dead_letter_ids:
        return {}
    rows = connection.execute(_BY_ID, (list(dead_letter_ids),)).fetchall()
    return {verdict.dead_letter_id: verdict for verdict in map(_verdict, rows)}


def load_verdicts(
    connection: Connection, consumer: str, topic: str, partition: int, from_offset: int
) -> list[Verdict]:
    """The verdicts on what is still to be delivered (again) from ``from_offset`` on, and on what is held."""
    place = {"consumer": consumer, "topic": topic, "partition": partition, "offset": from_offset}
    return [_verdict(row) for row in connection.execute(_TO_COME, place).fetchall()]


def storable(text: str) -> str:
    """``text`` without what PostgreSQL's text cannot hold: NUL and lone surrogates become '?'."""
    return text.replace("\x00", "?").encode("utf-8", "replace").decode("utf-8")


def _verdict(row: tuple[object, ...]) -> Verdict:
    dead_letter_id, consumer, topic, partition, offset, index, count, class_, code, field, detail = row
    return Verdict(
        dead_letter_id=str(dead_letter_id),
        consumer=str(consumer),
        topic=str(topic),
        partition=int(str(partition)),
        offset=int(str(offset)),
        intent_index=int(str(index)),
        intent_count=int(str(count)),
        dead=Dead(
            DeadLetterClass(str(class_)), str(code), None if field is None else str(field), str(detail)
        ),
    )
