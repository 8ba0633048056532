"""When the tier of each order became visible: the commit time of its row in ``read.tier_history``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

_QUERY = """
SELECT status.channel, status.origin_topic, status.origin_partition, status.origin_offset,
       status.intent_index, extract(epoch FROM status.received_at) * 1000,
       extract(epoch FROM coalesce(history.committed_at, pg_xact_commit_timestamp(history.xmin))) * 1000
FROM read.tier_history AS history JOIN read.order_status AS status USING (order_id)
"""


@dataclass(frozen=True, slots=True)
class VisibleTier:
    """One order whose tier can be seen. Times in ms: the broker's append of the order, the commit."""

    channel: str
    topic: str
    partition: int
    offset: int
    intent_index: int
    received_ms: float
    visible_ms: float

    @property
    def latency_ms(self) -> float:
        """From the broker's append to the commit."""
        return self.visible_ms - self.received_ms


def visible_tiers(connection: psycopg.Connection[Any]) -> list[VisibleTier]:
    """Every order that changed a tier.

    Needs ``track_commit_timestamp = on`` (the local stack has it); without it PostgreSQL refuses with a
    message that names the setting.
    """
    rows = connection.execute(_QUERY).fetchall()
    return [
        VisibleTier(channel, topic, partition, offset, index, float(received), float(visible))
        for channel, topic, partition, offset, index, received, visible in rows
    ]
