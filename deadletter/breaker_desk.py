"""What a person sees of the breakers and asks of them. The worker that holds the lease does it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from deadletter.breaker_store import Verb
from deadletter.hold_requests import NOTIFY_CHANNEL
from tierline.kit.database import Connection


@dataclass(frozen=True, slots=True)
class BreakerView:
    """One breaker as it was stored last. ``asked``: how many actions on it nobody has taken yet."""

    consumer: str
    topic: str
    partition: int
    channel: str
    state: str
    since: datetime
    cause: str | None
    lane: str
    episode: int
    seen: int
    dead: int
    consecutive: int
    probes: int
    alone: int
    passes: int
    good: int
    next_probe_at: datetime
    app_version: str
    head_offset: int | None
    head_class: str | None
    head_code: str | None
    head_field: str | None
    asked: int

    @property
    def is_closed(self) -> bool:
        """Whether dead letters are written as they come."""
        return self.state == "closed"


@dataclass(frozen=True, slots=True)
class Asked:
    """An action as it stands. ``outcome`` None: no worker has taken it yet."""

    action_id: int
    channel: str
    partition: int
    action: str
    count: int
    outcome: str | None


_VIEW = """
SELECT consumer, topic, partition, channel, state, since, cause, lane, episode, seen, dead, consecutive,
       probes, alone, passes, good, next_probe_at, app_version, head_offset, head_class, head_code,
       head_field,
       (SELECT count(*)::int FROM deadletter.breaker_action AS a
         WHERE taken_at IS NULL AND (a.consumer, a.topic, a.partition) = (b.consumer, b.topic, b.partition)
           AND a.episode = b.episode) AS asked
  FROM deadletter.breaker AS b
 WHERE %(closed_too)s OR state <> 'closed'
 ORDER BY state = 'closed', channel, partition
"""

_ASK = """
INSERT INTO deadletter.breaker_action (actor, action, consumer, topic, partition, episode, count, reason)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
RETURNING action_id
"""

_ASKED = """
SELECT action_id, channel, partition, action, count, outcome
  FROM deadletter.breaker_action JOIN deadletter.breaker USING (consumer, topic, partition)
 WHERE action_id = ANY(%s)
 ORDER BY action_id
"""


def read_breakers(connection: Connection, *, closed_too: bool = False) -> list[BreakerView]:
    """The breakers that are not closed; with ``closed_too`` every one that ever saw a dead record."""
    with connection.cursor(row_factory=class_row(BreakerView)) as cursor:
        return cursor.execute(_VIEW, {"closed_too": closed_too}).fetchall()


def ask(
    connection: Connection,
    breakers: Sequence[BreakerView],
    verb: Verb,
    *,
    count: int,
    actor: str,
    reason: str,
) -> list[int]:
    """Note that ``actor`` wants ``verb`` of each; returns the ids of the actions. The caller commits."""
    ids: list[int] = []
    for one in breakers:
        place = (one.consumer, one.topic, one.partition, one.episode)
        row: Any = connection.execute(_ASK, (actor, str(verb), *place, count, reason)).fetchone()
        ids.append(row[0])
    connection.execute("SELECT pg_notify(%s, '')", (NOTIFY_CHANNEL,))
    return ids


def read_asked(connection: Connection, action_ids: Collection[int]) -> list[Asked]:
    """How the actions stand now."""
    with connection.cursor(row_factory=class_row(Asked)) as cursor:
        return cursor.execute(_ASKED, (list(action_ids),)).fetchall()
