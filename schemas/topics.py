"""Every topic, declared once: who reads this knows what flows where.

A topic is created with its declaration and compared with it at every start. Retention -1 keeps a topic
for ever. ``max_message_bytes`` bounds one record with its framing; a dead-letter twin takes 64 KiB more
than its source, because the headers grow while the bytes stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KIB = 1024
MIB = 1024 * KIB
DAY_MS = 24 * 60 * 60 * 1000

CHANNELS = (
    "portal",
    "partner",
    "marketplace",
    "sales_desk",
)
"""Every channel: it gets its topics here, and is read by the file of its name in ``streams/channels``."""

# Consumer groups are bookmarks: a renamed group starts from the beginning. Never rename one.
NORMALIZER = "tierline-normalizer"
ORDERS = "tierline-orders"
PAYMENTS = "tierline-payments"
REPLIES = "tierline-replies"
PROJECTOR = "tierline-projector"
TRIAGE = "tierline-triage"
GROUPS = (NORMALIZER, ORDERS, PAYMENTS, REPLIES, PROJECTOR, TRIAGE)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name without prefix, what its key means, its subject (None: the bytes are not ours)."""

    name: str
    key: str
    subject: str | None
    retention_ms: int
    timestamp_type: Literal["CreateTime", "LogAppendTime"]
    max_message_bytes: int
    dead_letter_group: str | None = None

    @property
    def dead_letter(self) -> Topic | None:
        """The twin that takes what ``dead_letter_group`` could not decide; None for a topic without one."""
        if self.dead_letter_group is None:
            return None
        return Topic(
            name=f"{self.name}.{self.dead_letter_group}.dlq",
            key="as on the source record",
            subject=None,
            retention_ms=30 * DAY_MS,
            timestamp_type="CreateTime",
            max_message_bytes=self.max_message_bytes + 64 * KIB,
        )


def orders_topic(channel: str) -> Topic:
    """The raw orders of one channel: the channel's own bytes, stamped by the broker."""
    return Topic(
        name=f"orders.{channel}.v1",
        key="the channel's reference of the account or subscription, or null",
        subject=None,
        retention_ms=14 * DAY_MS,
        timestamp_type="LogAppendTime",
        max_message_bytes=4 * MIB,
        dead_letter_group=NORMALIZER,
    )


def replies_topic(channel: str) -> Topic:
    """Tierline's answers to one channel, JSON."""
    return Topic(
        name=f"orders.{channel}.replies.v1",
        key="as on the order record, else the order's reference",
        subject=None,
        retention_ms=14 * DAY_MS,
        timestamp_type="CreateTime",
        max_message_bytes=1 * MIB,
    )


COMMANDS = Topic(
    name="oms.commands.v1",
    key="account_id",
    subject="oms.commands.v1-value",
    retention_ms=14 * DAY_MS,
    timestamp_type="CreateTime",
    max_message_bytes=4 * MIB,
    dead_letter_group=ORDERS,
)

EVENTS = Topic(
    name="oms.events.v1",
    key="account_id",
    subject="oms.events.v1-value",
    retention_ms=-1,
    timestamp_type="CreateTime",
    max_message_bytes=4 * MIB,
)

CHECKPOINTS = Topic(
    name="oms.checkpoints.v1",
    key="the partition of oms.events.v1",
    subject=None,
    retention_ms=-1,
    timestamp_type="LogAppendTime",
    max_message_bytes=1 * MIB,
)


def dead_letter_topics() -> tuple[Topic, ...]:
    """Every topic that dead letters are written to."""
    sources = (*(orders_topic(channel) for channel in CHANNELS), COMMANDS)
    return tuple(twin for twin in (topic.dead_letter for topic in sources) if twin is not None)


def all_topics() -> tuple[Topic, ...]:
    """Every topic of Tierline, dead-letter twins included."""
    declared = (
        [orders_topic(c) for c in CHANNELS]
        + [replies_topic(c) for c in CHANNELS]
        + [COMMANDS, EVENTS, CHECKPOINTS]
    )
    twins = [t.dead_letter for t in declared]
    return tuple(declared + [t for t in twins if t is not None])


READERS: tuple[tuple[Topic, str], ...] = (
    *((orders_topic(channel), NORMALIZER) for channel in CHANNELS),
    (COMMANDS, ORDERS),
    (EVENTS, PAYMENTS),
    (EVENTS, REPLIES),
    (EVENTS, PROJECTOR),
    *((topic, TRIAGE) for topic in dead_letter_topics()),
)
"""Which consumer reads which topic, upstream first."""


def kafka_groups() -> dict[str, str]:
    """The consumer behind every Kafka group, by the group's name without prefix.

    Triage has a group per topic: members of one group with different topics would wait for each other.
    """
    return {f"{c}.{t.name}" if c == TRIAGE else c: c for t, c in READERS}
