"""Account context: which account and subscription a channel's own reference means.

Written with SubscriptionOpened, in its transaction; the normalizers hear of it by NOTIFY at the commit.
Tierline's own account and subscription ids stand under channel and source '*'.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import NamedTuple

from tierline.domain.commands import ExternalRef
from tierline.kit.database import Connection

NOTIFY_CHANNEL = "tierline_external_ref"
OWN = "*"
_PAYLOAD_BYTES = 7_900

_TAKEN = """
SELECT channel, source, ref, subscription_id FROM oms.external_ref
 WHERE kind = 'subscription'
   AND (channel, source, ref) IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))
"""

_INSERT = """
INSERT INTO oms.external_ref (channel, source, kind, ref, account_id, subscription_id)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
"""


class NewRef(NamedTuple):
    """One row of ``oms.external_ref``; ``kind`` is account or subscription."""

    channel: str
    source: str
    kind: str
    ref: str
    account_id: str
    subscription_id: str


def refs_of_opening(
    account_id: str, subscription_id: str, external_refs: Collection[ExternalRef]
) -> tuple[NewRef, ...]:
    """The rows that an opened subscription gets: its channels' references, each once, and Tierline's own."""
    named = dict.fromkeys(external_refs)
    return (
        *(NewRef(r.channel, r.source, "subscription", r.ref, account_id, subscription_id) for r in named),
        NewRef(OWN, OWN, "subscription", subscription_id, account_id, subscription_id),
        NewRef(OWN, OWN, "account", account_id, account_id, subscription_id),
    )


def taken_refs(connection: Connection, refs: Collection[ExternalRef]) -> dict[ExternalRef, str]:
    """Which of ``refs`` a subscription holds already, and which one."""
    if not refs:
        return {}
    rows = connection.execute(
        _TAKEN, ([r.channel for r in refs], [r.source for r in refs], [r.ref for r in refs])
    )
    return {ExternalRef(channel, source, ref): holder for channel, source, ref, holder in rows}


def write_refs(connection: Connection, rows: Sequence[NewRef]) -> None:
    """Insert ``rows`` and tell the normalizers. A reference taken meanwhile raises UniqueViolation."""
    if not rows:
        return
    connection.execute(_INSERT, tuple(map(list, zip(*rows, strict=True))))
    connection.execute("SELECT pg_notify(%s, %s)", (NOTIFY_CHANNEL, _payload(rows)))


def _payload(rows: Sequence[NewRef]) -> str:
    """A JSON list of [channel, source, ref]; '' when it would be too long: forget every miss then."""
    payload = json.dumps([(r.channel, r.source, r.ref) for r in rows], ensure_ascii=False)
    return payload if len(payload.encode()) <= _PAYLOAD_BYTES else ""
