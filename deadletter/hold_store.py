"""Held records, skipped intents and what people asked of them, in PostgreSQL.

Every function is one step of the caller's transaction, which also checks that the caller has the leases of
the partitions concerned.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from deadletter.held import HeldRecord, HoldChanges, HoldKey, RecordPlace, Request, SkippedRow, StoredHold
from deadletter.verdicts import storable
from tierline.domain.identity import hold_id_of
from tierline.domain.outcome import Dead, DeadLetterClass, SkipReason
from tierline.kit.database import Connection
from tierline.kit.records import Record

_INSERT_HOLD = """
INSERT INTO deadletter.key_hold (hold_id, consumer, topic, partition, channel, key, by_reference, since)
VALUES (%s, %s, %s, %s, %s, %s, %s, 'epoch'::timestamptz + %s * interval '1 ms')
ON CONFLICT (hold_id) DO NOTHING
"""

_INSERT_RECORD = """
INSERT INTO deadletter.held_record
  (consumer, topic, partition, "offset", hold_id, source, reference, key, value, header_names, header_values,
   received_at, intents, intent_count, class, code, field, detail, waits_for, attempts, held_at,
   next_attempt_at, decide_by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'epoch'::timestamptz + %s * interval '1 ms',
        %s, %s, %s, %s, %s, %s, %s, %s, 'epoch'::timestamptz + %s * interval '1 ms',
        'epoch'::timestamptz + %s * interval '1 ms', 'epoch'::timestamptz + %s * interval '1 ms')
ON CONFLICT DO NOTHING
"""

_INSERT_SKIPPED = """
INSERT INTO deadletter.skipped
  (consumer, topic, partition, "offset", intent_index, intent_count, reason, detail)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""

_OF_PLACES = """
  FROM unnest(%b::text[], %b::int[], %b::bigint[]) AS named (topic, partition, "offset")
 WHERE held.consumer = %b AND held.topic = named.topic AND held.partition = named.partition
   AND held."offset" = named."offset"
"""

_TELL = "UPDATE deadletter.held_record AS held SET told = true" + _OF_PLACES

_BEGIN = (
    "UPDATE deadletter.held_record AS held SET released_at = coalesce(held.released_at, clock_timestamp())"
    + _OF_PLACES
)

_ATTEMPT = """
UPDATE deadletter.held_record AS held
   SET attempts = tried.attempts, next_attempt_at = 'epoch'::timestamptz + tried.at * interval '1 ms'
  FROM unnest(%b::text[], %b::int[], %b::bigint[], %b::int[], %b::bigint[])
    AS tried (topic, partition, "offset", attempts, at)
 WHERE held.consumer = %b AND held.topic = tried.topic AND held.partition = tried.partition
   AND held."offset" = tried."offset"
"""

_DELETE = """
DELETE FROM deadletter.held_record AS held
 USING unnest(%b::text[], %b::int[], %b::bigint[]) AS named (topic, partition, "offset")
 WHERE held.consumer = %b AND held.topic = named.topic AND held.partition = named.partition
   AND held."offset" = named."offset"
RETURNING hold_id
"""

_PARK = """
UPDATE deadletter.key_hold AS hold SET parked = changed.behind IS NOT NULL, parked_behind = changed.behind
  FROM unnest(%b::uuid[], %b::bigint[]) AS changed (hold_id, behind) WHERE hold.hold_id = changed.hold_id
"""

_FORGET = """
DELETE FROM deadletter.key_hold AS hold
 WHERE hold_id = ANY(%b::uuid[]) AND NOT parked
   AND NOT EXISTS (SELECT FROM deadletter.held_record AS held WHERE held.hold_id = hold.hold_id)
"""

_DONE = """
UPDATE deadletter.hold_request AS request SET done_at = clock_timestamp(), result = said.result
  FROM unnest(%b::uuid[], %b::text[]) AS said (request_id, result)
 WHERE request.request_id = said.request_id AND request.done_at IS NULL
"""

# Why an intent was skipped tells who let it go: only what a person discarded takes its record out.
_MS = "(extract(epoch FROM {}) * 1000)::bigint"
_RECORD_COLUMNS = f"""
    hold.topic, hold.partition, hold.key, hold.by_reference, hold.channel, held."offset", held.source,
    held.reference, held.key, held.value, held.header_names, held.header_values,
    {_MS.format("held.received_at")}, held.intents, held.intent_count, held.class, held.code,
    held.field, held.detail, held.waits_for,
    held.attempts, {_MS.format("held.held_at")}, {_MS.format("held.next_attempt_at")},
    {_MS.format("held.decide_by")}, held.released_at IS NOT NULL, EXISTS (
        SELECT FROM deadletter.skipped AS s
         WHERE s.consumer = held.consumer AND s.topic = held.topic AND s.partition = held.partition
           AND s."offset" = held."offset" AND s.intent_index = ANY(held.intents)
           AND s.reason = '{SkipReason.DISCARDED}')
"""
_WITHOUT_BYTES = _RECORD_COLUMNS.replace(
    "held.key, held.value, held.header_names, held.header_values",
    "NULL::bytea, NULL::bytea, '{}'::bytea[], '{}'::bytea[]",
)

_HOLDS = f"""
WITH held AS (
    SELECT DISTINCT ON (hold_id) held.*, count(*) OVER (PARTITION BY hold_id) AS records
      FROM deadletter.held_record AS held
     WHERE consumer = %s AND topic = %s AND partition = %s
     ORDER BY hold_id, "offset"
)
SELECT hold.parked, coalesce(held.records, 0),
       held.released_at IS NOT NULL OR EXISTS (
           SELECT FROM deadletter.verdict AS v
            WHERE v.consumer = hold.consumer AND v.topic = hold.topic AND v.partition = hold.partition
              AND v."offset" = held."offset" AND v.intent_index = ANY(held.intents)),
       {_WITHOUT_BYTES}
  FROM deadletter.key_hold AS hold LEFT JOIN held USING (hold_id)
 WHERE hold.consumer = %s AND hold.topic = %s AND hold.partition = %s
"""

_UNTOLD = f"""
SELECT {_WITHOUT_BYTES.replace("NULL::bytea, NULL::bytea", "held.key, NULL::bytea")}
  FROM deadletter.held_record AS held JOIN deadletter.key_hold AS hold USING (hold_id)
 WHERE held.consumer = %s AND held.topic = %s AND held.partition = %s AND NOT held.told
"""

# A record that is larger than the rest of the room is read when it is the first of its wave.
_WAVE = f"""
WITH wanted AS (
    SELECT * FROM unnest(%b::uuid[], %b::bigint[]) WITH ORDINALITY AS w (hold_id, after, place)
), sized AS (
    SELECT held.consumer, held.topic, held.partition, held."offset", wanted.place,
           row_number() OVER (PARTITION BY held.hold_id ORDER BY held."offset") AS number,
           octet_length(held.value) AS bytes
      FROM wanted JOIN deadletter.held_record AS held
        ON held.hold_id = wanted.hold_id AND held."offset" > wanted.after
), measured AS (
    SELECT *, row_number() OVER running AS so_many, sum(coalesce(bytes, 0)) OVER running AS so_large
      FROM sized WHERE number <= %b WINDOW running AS (ORDER BY place, number)
)
SELECT {_RECORD_COLUMNS}
  FROM measured
  JOIN deadletter.held_record AS held USING (consumer, topic, partition, "offset")
  JOIN deadletter.key_hold AS hold USING (hold_id)
 WHERE so_many <= %b AND (so_large <= %b OR so_many = 1)
 ORDER BY place, number
"""

_AGAIN = """
SELECT "offset" FROM deadletter.held_record
 WHERE consumer = %s AND topic = %s AND partition = %s AND "offset" >= %s
"""

_SKIPPED = """
SELECT "offset", intent_index FROM deadletter.skipped
 WHERE consumer = %s AND topic = %s AND partition = %s AND "offset" >= %s
"""

_REQUESTS = """
SELECT request.request_id::text, request.hold_id::text, request.action, request."offset", request.reason,
       hold.topic, hold.partition, hold.key, hold.by_reference
  FROM deadletter.hold_request AS request
  LEFT JOIN deadletter.key_hold AS hold USING (hold_id)
 WHERE request.done_at IS NULL AND request.consumer = %s
   AND (request.topic, request.partition) IN (SELECT * FROM unnest(%s::text[], %s::int[]))
 ORDER BY request.requested_at
"""


def hold_id(consumer: str, key: HoldKey) -> str:
    """The id of a key's hold: the same whenever that key is held."""
    topic, partition, own = key
    kind = "reference" if isinstance(own, str) else "key"
    return hold_id_of(consumer, topic, partition, f"{kind}:{_key_bytes(own).hex()}")


def write_changes(connection: Connection, consumer: str, changes: HoldChanges) -> None:
    """Write ``changes``; writing the same again changes nothing more."""
    cursor = connection.cursor()
    if changes.skipped:
        cursor.executemany(_INSERT_SKIPPED, [_skipped(consumer, row) for row in changes.skipped])
    if changes.held:
        holds = {held.hold_key: held for held in reversed(changes.held)}
        cursor.executemany(_INSERT_HOLD, [_hold(consumer, held) for held in holds.values()])
        cursor.executemany(_INSERT_RECORD, [_held(consumer, held) for held in changes.held])
    if changes.told:
        cursor.execute(_TELL, (*_columns(changes.told), consumer))
    if changes.attempts:
        cursor.execute(
            _ATTEMPT,
            (
                *_columns([attempt.place for attempt in changes.attempts]),
                [attempt.attempts for attempt in changes.attempts],
                [attempt.next_attempt_at for attempt in changes.attempts],
                consumer,
            ),
        )
    touched = [hold_id(consumer, key) for key in changes.parked]
    if changes.parked:
        cursor.execute(_PARK, (touched, list(changes.parked.values())))
    if changes.removed:
        cursor.execute(_DELETE, (*_columns(changes.removed), consumer))
        touched += [str(row[0]) for row in cursor.fetchall()]
    if touched:
        cursor.execute(_FORGET, (list(dict.fromkeys(touched)),))
    if changes.done:
        cursor.execute(
            _DONE, ([request for request, _ in changes.done], [storable(said) for _, said in changes.done])
        )


def begin_release(connection: Connection, consumer: str, places: Sequence[RecordPlace]) -> None:
    """From here on commands of these records may be sent, so nobody may discard them."""
    connection.execute(_BEGIN, (*_columns(places), consumer))


def load_holds(connection: Connection, consumer: str, topic: str, partition: int) -> list[StoredHold]:
    """Every hold of one partition with its head."""
    place = (consumer, topic, partition)
    return [
        StoredHold(
            key=_key(*row[3:7]),
            channel=row[7],
            parked=row[0],
            records=row[1],
            head=_record(row[3:]) if row[1] else None,
            begun=row[2] or row[-1],
        )
        for row in connection.execute(_HOLDS, place * 2).fetchall()
    ]


def load_untold(connection: Connection, consumer: str, topic: str, partition: int) -> list[HeldRecord]:
    """The held records (without value) whose channel has not acknowledged that it was told."""
    return [_record(row) for row in connection.execute(_UNTOLD, (consumer, topic, partition)).fetchall()]


def load_wave(
    connection: Connection,
    consumer: str,
    wanted: Mapping[HoldKey, int],
    *,
    most_records: int,
    most_bytes: int,
    most_of_a_key: int,
) -> list[HeldRecord]:
    """The first records after the given offset of each key, in order, as many as there is room for."""
    ids = [hold_id(consumer, key) for key in wanted]
    rows = connection.execute(
        _WAVE, (ids, list(wanted.values()), most_of_a_key, most_records, most_bytes)
    ).fetchall()
    return [_record(row) for row in rows]


def held_again(
    connection: Connection, consumer: str, topic: str, partition: int, from_offset: int
) -> tuple[set[RecordPlace], set[tuple[str, int, int, int]]]:
    """Of what will be delivered again: the records that are held, and the intents that were skipped."""
    place = (consumer, topic, partition, from_offset)
    held = connection.execute(_AGAIN, place).fetchall()
    skipped = connection.execute(_SKIPPED, place).fetchall()
    return (
        {(topic, partition, row[0]) for row in held},
        {(topic, partition, row[0], row[1]) for row in skipped},
    )


def open_requests(
    connection: Connection, consumer: str, places: Collection[tuple[str, int]]
) -> list[Request]:
    """What people asked of the holds of these partitions and nobody has done yet, oldest first."""
    topics, partitions = [topic for topic, _ in places], [partition for _, partition in places]
    rows = connection.execute(_REQUESTS, (consumer, topics, partitions)).fetchall()
    return [
        Request(row[0], None if row[5] is None else _key(*row[5:9]), row[1], row[2], row[3], row[4])
        for row in rows
    ]


def _hold(consumer: str, held: HeldRecord) -> tuple[Any, ...]:
    topic, partition, own = held.hold_key
    return (
        hold_id(consumer, held.hold_key), consumer, topic, partition, held.channel, _key_bytes(own),
        isinstance(own, str), held.held_at,
    )  # fmt: skip


def _held(consumer: str, held: HeldRecord) -> tuple[Any, ...]:
    record, cause = held.record, held.cause
    return (
        consumer,
        *held.place,
        hold_id(consumer, held.hold_key),
        storable(held.source),
        None if held.reference is None else storable(held.reference),
        record.key,
        record.value,
        [name.encode("utf-8", "surrogatepass") for name, _ in record.headers],
        [value for _, value in record.headers],
        record.timestamp_ms,
        list(held.intents),
        held.intent_count,
        str(cause.dead_letter_class),
        cause.code,
        None if cause.field is None else storable(cause.field),
        storable(cause.detail),
        [storable(ref) for ref in held.waits_for],
        held.attempts,
        held.held_at,
        held.next_attempt_at,
        held.decide_by,
    )


def _skipped(consumer: str, row: SkippedRow) -> tuple[Any, ...]:
    return consumer, *row.place, row.intent_index, row.intent_count, str(row.reason), storable(row.detail)


def _columns(places: Sequence[RecordPlace]) -> tuple[list[str], list[int], list[int]]:
    return [p[0] for p in places], [p[1] for p in places], [p[2] for p in places]


def _key_bytes(own: bytes | str) -> bytes:
    return own.encode("utf-8", "surrogatepass") if isinstance(own, str) else own


def _key(topic: str, partition: int, key: bytes, by_reference: bool) -> HoldKey:
    return topic, partition, key.decode("utf-8", "surrogatepass") if by_reference else bytes(key)


def _record(row: Sequence[Any]) -> HeldRecord:
    (
        topic, partition, hold_key, by_reference, channel, offset, source, reference, key, value, names,
        values, received_at, intents, intent_count, class_, code, place, detail, waits_for, attempts, held_at,
        next_attempt_at, decide_by, begun, discarded,
    ) = row  # fmt: skip
    headers = tuple(
        (n.decode("utf-8", "surrogatepass"), bytes(v)) for n, v in zip(names, values, strict=True)
    )
    return HeldRecord(
        record=Record(topic, partition, offset, received_at, key, value, headers),
        hold_key=_key(topic, partition, hold_key, by_reference),
        channel=channel,
        source=source,
        reference=reference,
        intents=tuple(intents),
        intent_count=intent_count,
        cause=Dead(DeadLetterClass(class_), code, place, detail),
        waits_for=tuple(waits_for),
        held_at=held_at,
        next_attempt_at=next_attempt_at,
        attempts=attempts,
        begun=begun,
        discarded=discarded,
        decide_by=decide_by,
    )
