"""An account and its subscriptions as the decider would load them, for those who only look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.deciding.external_refs import OWN
from streams.deciding.stream_loading import load_streams
from tierline.domain.account import OpenAccount
from tierline.domain.events import RecordedEvent
from tierline.domain.state import account_stream, subscription_stream
from tierline.domain.subscription import ActiveSubscription
from tierline.kit.database import Connection

_SUBSCRIPTIONS = """
SELECT subscription_id FROM oms.external_ref
 WHERE channel = %s AND source = %s AND kind = 'account' AND ref = %s
 ORDER BY subscription_id
"""


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """An account that was opened, and its subscriptions by id."""

    account: OpenAccount
    subscriptions: tuple[ActiveSubscription, ...]


def read_account(
    connection: Connection, account_id: str, decode: Callable[[bytes], RecordedEvent]
) -> KnownAccount | None:
    """The account as of now from snapshots and events, None when it was never opened. Writes nothing."""
    rows = connection.execute(_SUBSCRIPTIONS, (OWN, OWN, account_id)).fetchall()
    wanted = [account_stream(account_id), *(subscription_stream(row[0]) for row in rows)]
    streams = load_streams(connection, wanted, decode)
    account = streams[wanted[0]].state
    if not isinstance(account, OpenAccount):
        return None
    found = (streams[stream_id].state for stream_id in wanted[1:])
    return KnownAccount(account, tuple(state for state in found if isinstance(state, ActiveSubscription)))
