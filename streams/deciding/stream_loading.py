"""Streams out of the store: the snapshot, and the events that came after it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from streams.deciding.event_store import read_streams
from streams.deciding.snapshots import Stream, load_snapshots
from streams.deciding.stream_cache import nothing_yet
from tierline.domain.account import AccountState, evolve_account
from tierline.domain.events import RecordedEvent
from tierline.domain.state import ACCOUNT_PREFIX
from tierline.domain.subscription import SubscriptionState
from tierline.domain.subscription_fold import evolve_subscription
from tierline.kit.database import Connection


def folded(stream: Stream, event: RecordedEvent) -> Stream:
    """The stream after ``event``."""
    state: AccountState | SubscriptionState
    if event.stream_id.startswith(ACCOUNT_PREFIX):
        state = evolve_account(stream.state, event)  # type: ignore[arg-type] # the id says which fold
    else:
        state = evolve_subscription(stream.state, event)  # type: ignore[arg-type]
    return Stream(event.version, state, stream.snapshot_version)


def load_streams(
    connection: Connection, stream_ids: Collection[str], decode: Callable[[bytes], RecordedEvent]
) -> dict[str, Stream]:
    """Every stream of ``stream_ids``, those without events too. ``decode`` reads a stored value."""
    if not stream_ids:
        return {}
    streams = {stream_id: nothing_yet(stream_id) for stream_id in stream_ids}
    streams.update(load_snapshots(connection, stream_ids))
    behind = {stream_id: stream.version for stream_id, stream in streams.items()}
    for stream_id, value in read_streams(connection, behind):
        streams[stream_id] = folded(streams[stream_id], decode(value))
    return streams
