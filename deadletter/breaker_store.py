"""Breakers in PostgreSQL, one row for each channel and partition; and what people asked of them.

A row is written in the transaction that moves a lease or stores verdicts, by the holder of that lease only.
People never write a row: they add to ``deadletter.breaker_action``, and the holder does what was asked and
marks it in the transaction that stores the result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from deadletter.breaker import BreakerState, Lane, Snapshot
from deadletter.breaker_window import Cause, DeadRecord, Entry
from tierline.kit.database import Connection

Place = tuple[str, int]
"""Topic (without prefix) and partition."""


@dataclass(frozen=True, slots=True)
class Head:
    """The record that stands: its offset, and the class, code and field of what it would die of."""

    offset: int
    dead_letter_class: str
    code: str
    field: str | None


@dataclass(frozen=True, slots=True)
class StoredBreaker:
    """One row of ``deadletter.breaker``."""

    topic: str
    partition: int
    channel: str
    snapshot: Snapshot
    head: Head | None = None


class Verb(StrEnum):
    """What a person can ask of a breaker."""

    CLOSE = "close"
    PASS = "pass"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True)
class Action:
    """Something asked of one breaker; it is meant for one ``episode``. ``count``: how many may pass."""

    action_id: int
    topic: str
    partition: int
    episode: int
    verb: Verb
    count: int
    actor: str
    reason: str


class ActionOutcome(StrEnum):
    """What became of an action. ``outdated``: the breaker had closed, or opened anew, before it came."""

    DONE = "done"
    OUTDATED = "outdated"


_SAVE = """
INSERT INTO deadletter.breaker AS kept
       (consumer, topic, partition, channel, state, since, cause, lane, episode, seen, dead, consecutive,
        probes, tries, alone, passes, good, next_probe_at, seen_to, app_version,
        head_offset, head_class, head_code, head_field, entries)
SELECT %s, * FROM unnest(%s::text[], %s::int[], %s::text[], %s::text[], %s::timestamptz[], %s::text[],
                         %s::text[], %s::int[], %s::int[], %s::int[], %s::int[], %s::int[], %s::int[],
                         %s::int[], %s::int[], %s::int[], %s::timestamptz[], %s::bigint[], %s::text[],
                         %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bytea[])
ON CONFLICT (consumer, topic, partition) DO UPDATE
   SET (channel, state, since, cause, lane, episode, seen, dead, consecutive, probes, tries, alone, passes,
        good, next_probe_at, seen_to, app_version, head_offset, head_class, head_code, head_field, entries,
        updated_at)
     = (excluded.channel, excluded.state, excluded.since, excluded.cause, excluded.lane, excluded.episode,
        excluded.seen, excluded.dead, excluded.consecutive, excluded.probes, excluded.tries, excluded.alone,
        excluded.passes, excluded.good, excluded.next_probe_at, excluded.seen_to, excluded.app_version,
        excluded.head_offset, excluded.head_class, excluded.head_code, excluded.head_field, excluded.entries,
        clock_timestamp())
"""

_LOAD = """
SELECT topic, partition, channel, state, since, app_version, seen_to, episode, cause, lane, probes, tries,
       alone, passes, good, next_probe_at, head_offset, head_class, head_code, head_field, entries
  FROM deadletter.breaker
 WHERE consumer = %s AND (topic, partition) IN (SELECT * FROM unnest(%s::text[], %s::int[]))
"""

_ASKED = """
SELECT action_id, topic, partition, episode, action, count, actor, reason
  FROM deadletter.breaker_action
 WHERE taken_at IS NULL AND consumer = %s
   AND (topic, partition) IN (SELECT * FROM unnest(%s::text[], %s::int[]))
 ORDER BY action_id
"""

_TAKEN = """
UPDATE deadletter.breaker_action AS asked SET taken_at = clock_timestamp(), outcome = taken.outcome
  FROM unnest(%s::bigint[], %s::text[]) AS taken (action_id, outcome)
 WHERE asked.action_id = taken.action_id
"""


def save_breakers(connection: Connection, consumer: str, breakers: Sequence[StoredBreaker]) -> None:
    """Store ``breakers`` in the caller's transaction, which must hold the leases of their places."""
    if not breakers:
        return
    columns = zip(*map(_cells, breakers), strict=True)
    connection.execute(_SAVE, (consumer, *map(list, columns)))


def load_breakers(connection: Connection, consumer: str, places: Collection[Place]) -> list[StoredBreaker]:
    """The breakers that were ever stored for ``places``."""
    rows = connection.execute(_LOAD, (consumer, *_columns(places))).fetchall()
    return [_stored(row) for row in rows]


def asked_of(connection: Connection, consumer: str, places: Collection[Place]) -> list[Action]:
    """What people asked of the breakers of ``places`` and nobody has done yet, oldest first."""
    rows = connection.execute(_ASKED, (consumer, *_columns(places))).fetchall()
    return [_action(*row) for row in rows]


def mark_taken(connection: Connection, outcomes: Iterable[tuple[Action, ActionOutcome]]) -> None:
    """Note what became of actions, in the transaction that stores their breakers."""
    taken = list(outcomes)
    if taken:
        connection.execute(_TAKEN, ([a.action_id for a, _ in taken], [str(o) for _, o in taken]))


def _action(
    action_id: int, topic: str, partition: int, episode: int, verb: str, count: int, actor: str, reason: str
) -> Action:
    return Action(action_id, topic, partition, episode, Verb(verb), count, actor, reason)


def _columns(places: Collection[Place]) -> tuple[list[str], list[int]]:
    return [topic for topic, _ in places], [partition for _, partition in places]


def _cells(kept: StoredBreaker) -> tuple[Any, ...]:
    at, head = kept.snapshot, kept.head
    consecutive = 0
    for entry in reversed(at.entries):
        if isinstance(entry, str):
            break
        consecutive += 1
    return (
        kept.topic,
        kept.partition,
        kept.channel,
        str(at.state),
        _instant(at.since),
        None if at.cause is None else str(at.cause),
        str(at.lane),
        at.episode,
        len(at.entries),
        sum(isinstance(entry, DeadRecord) for entry in at.entries),
        consecutive,
        at.probes,
        at.tries,
        at.alone,
        at.passes,
        at.good,
        _instant(at.next_probe_at),
        at.seen_to,
        at.app_version,
        head and head.offset,
        head and head.dead_letter_class,
        head and head.code,
        head and head.field,
        packed(at.entries),
    )


def _stored(row: tuple[Any, ...]) -> StoredBreaker:
    topic, partition, channel, state, since, app_version, seen_to, episode, cause, lane = row[:10]
    probes, tries, alone, passes, good, next_probe_at, *head, entries = row[10:]
    snapshot = Snapshot(
        BreakerState(state),
        _milliseconds(since),
        app_version,
        seen_to,
        episode,
        None if cause is None else Cause(cause),
        Lane(lane),
        probes,
        tries,
        alone,
        passes,
        good,
        _milliseconds(next_probe_at),
        unpacked(bytes(entries)),
    )
    return StoredBreaker(topic, partition, channel, snapshot, None if head[0] is None else Head(*head))


def packed(entries: Sequence[Entry]) -> bytes:
    """The window in a few kilobytes: the senders once, then a number or a short list for each record."""
    numbers: dict[str, int] = {}
    told: list[Any] = []
    for entry in entries:
        if isinstance(entry, DeadRecord):
            at = numbers.setdefault(entry.source, len(numbers))
            told.append([at, entry.key, entry.spread, entry.heals])
        else:
            told.append(numbers.setdefault(entry, len(numbers)))
    return msgspec.msgpack.encode((list(numbers), told))


def unpacked(value: bytes) -> tuple[Entry, ...]:
    """The window that ``packed`` made."""
    sources, told = msgspec.msgpack.decode(value)
    return tuple(
        sources[one] if isinstance(one, int) else DeadRecord(one[1], sources[one[0]], one[2], one[3])
        for one in told
    )


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)
