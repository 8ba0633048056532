"""Open dead letters by cause: what failed, since when, and how many customers wait for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from deadletter.classify import CLASSES, place_of
from tierline.domain.outcome import DeadLetterClass
from tierline.kit.database import Connection


@dataclass(frozen=True, slots=True)
class Group:
    """One cause. ``accounts``: different references that could be read; ``unread``: records without one;
    ``held_behind``: later records of their keys, which wait for a person to end or replay these.
    """

    fingerprint: str
    channel: str | None
    stage: str
    class_: str
    code: str
    field: str | None
    exception: str | None
    function: str | None
    records: int
    accounts: int
    unread: int
    held_behind: int
    exhausted: int
    sources: tuple[str, ...]
    app_versions: tuple[str, ...]
    first_failed_at: datetime
    last_failed_at: datetime
    example: str

    def to_json(self) -> dict[str, Any]:
        """The group for a program."""
        told = {name: getattr(self, name) for name in self.__slots__}
        told["class"] = told.pop("class_")
        told["owner"] = CLASSES[DeadLetterClass(self.class_)].owner
        return told


_GROUPS = """
WITH behind AS (
    SELECT dead.fingerprint, count(*) AS records
      FROM (SELECT DISTINCT fingerprint, consumer, topic, partition, "offset"
              FROM deadletter.record WHERE closed_as IS NULL) AS dead
      JOIN deadletter.key_hold AS hold
        ON hold.consumer = dead.consumer AND hold.topic = dead.topic AND hold.partition = dead.partition
       AND hold.parked_behind = dead."offset"
      JOIN deadletter.held_record AS held USING (hold_id)
     GROUP BY 1
)
SELECT fingerprint, min(channel) AS channel, min(stage) AS stage, min(class) AS class_, min(code) AS code,
       min(field) AS field, min(exception) AS exception, min(function) AS function, count(*) AS records,
       count(DISTINCT (channel, source, account)) FILTER (WHERE account IS NOT NULL) AS accounts,
       count(*) FILTER (WHERE account IS NULL) AS unread,
       coalesce((SELECT behind.records FROM behind WHERE behind.fingerprint = record.fingerprint), 0)
         AS held_behind,
       count(*) FILTER (WHERE exhausted) AS exhausted,
       coalesce(array_agg(DISTINCT source) FILTER (WHERE source IS NOT NULL), '{}') AS sources,
       array_agg(DISTINCT app_version) AS app_versions,
       min(first_failed_at) AS first_failed_at, max(last_failed_at) AS last_failed_at,
       (array_agg(dead_letter_id ORDER BY last_failed_at DESC, dead_letter_id))[1]::text AS example
  FROM deadletter.record WHERE closed_as IS NULL GROUP BY fingerprint
"""


def open_groups(connection: Connection) -> tuple[Group, ...]:
    """Every cause with open dead letters, the one that concerns most customers first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_GROUPS).fetchall()
    return ranked(
        Group(
            **{
                **row,
                "field": place_of(row["field"]) or None,
                "sources": tuple(row["sources"]),
                "app_versions": tuple(row["app_versions"]),
            }
        )
        for row in rows
    )


def ranked(groups: Iterable[Group]) -> tuple[Group, ...]:
    """By accounts touched, then records and those held behind them; then what is ours to mend before what is
    the channel's; then age.

    A record whose account cannot be read counts as an account of its own: it may well be one.
    """
    return tuple(sorted(groups, key=_rank))


def _rank(group: Group) -> tuple[Any, ...]:
    ours = CLASSES[DeadLetterClass(group.class_)].owner == "tierline"
    return (
        -(group.accounts + group.unread),
        -(group.records + group.held_behind),
        not ours,
        group.first_failed_at,
        group.fingerprint,
    )
