"""What a read model is: a table and the pure fold that fills it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from projections.table import Row, Table

Event = Mapping[str, Any]
"""An event as the codec reads it: envelope, ``body`` as a mapping, and ``hash``, its link of the chain."""


@dataclass(frozen=True, slots=True)
class ReadModel:
    """One question and how it is answered.

    ``fold(stored, events)`` gives the rows to write; ``events`` hold whole decisions, in order per
    partition; ``stored`` are the rows that the table has for ``keys(events)``. A fold is pure, never raises
    on a recorded fact, ignores types that it does not know, and gives the same when it is handed events
    that it has seen. A changed fold gets the next ``version``: the rows are then rebuilt. ``latest`` is a
    model of the same columns that holds the last row of each of its keys: live, its rows are what the fold
    continues, and it takes over what the fold gives instead of folding the same once more.
    """

    table: Table
    version: int
    fold: Callable[[Sequence[Row], Sequence[Event]], Sequence[Mapping[str, Any]]]
    keys: Callable[[Sequence[Event]], Collection[str]] = lambda _events: ()
    latest: ReadModel | None = None

    @property
    def name(self) -> str:
        """The name on the command line: that of the table."""
        return self.table.name


def folding(models: Sequence[ReadModel]) -> list[ReadModel]:
    """Those of ``models`` that fold for themselves: all but the ``latest`` of another."""
    filled = [model.latest for model in models if model.latest]
    return [model for model in models if model not in filled]


def reason_codes(event: Event) -> list[str]:
    """The codes an event gives as its reasons, whatever its type."""
    reasons = event["body"].get("reasons")
    if isinstance(reasons, list):
        codes = [reason.get("code") for reason in reasons if isinstance(reason, Mapping)]
        if codes:
            return [code for code in codes if isinstance(code, str)]
    return [event["reason_code"]] if event["reason_code"] else []


@lru_cache(maxsize=4096)
def day(text: str) -> str | None:
    """The day of an ISO date or date-time; None where there is none, for a fold never refuses a fact."""
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return None


def last_per_key(rows: Iterable[Row], key: str) -> list[Row]:
    """Of each ``key`` the last row."""
    return list({row[key]: row for row in rows}.values())
