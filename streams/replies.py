"""The replies worker: tells each channel how its orders ended, from the events.

An answer may be sent again after a crash; its id stays the same. Dead intents are answered where they
die, by normalizer and decider.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from schemas.codec import Codec, Raw
from schemas.topics import CHANNELS
from streams.answering.order_answers import (
    WRITTEN_WITH_ORDER,
    OrderFacts,
    answer,
    facts_by_order,
    is_answer,
    needs_beginning,
    order_meant,
)
from streams.answering.reply import reply_message
from streams.deciding.event_store import hash_at
from streams.event_following import Followed, follow
from tierline.kit.broker import Producer, send_all
from tierline.kit.clock import Clock
from tierline.kit.crash_points import reached
from tierline.kit.database import Connection
from tierline.kit.leased_worker import Batch
from tierline.kit.leases import Lease, Progress
from tierline.kit.records import Message

SEND_S = 30.0

_BEGINNINGS = """
SELECT value FROM oms.event
WHERE stream_id = ANY(%s) AND order_id = ANY(%s::uuid[]) AND type = ANY(%s) ORDER BY partition, position
"""


class Replies:
    """Handler of the leased worker on ``oms.events.v1``."""

    def __init__(self, *, codec: Codec, producer: Producer, clock: Clock) -> None:
        self._codec = codec
        self._producer = producer
        self._clock = clock

    def assigned(self, connection: Connection, lease: Lease) -> Lease:  # noqa: ARG002 - the port's
        """Every partition is read on from its lease."""
        return lease

    def process(
        self, connection: Connection, batch: Batch, leases: Mapping[int, Lease]
    ) -> Mapping[int, Progress]:
        """Answer what ended in ``batch``, by whole decisions; acknowledged before the lease moves."""
        events: list[Raw] = []
        moves: dict[int, Progress] = {}
        for partition, records in batch.items():
            fresh, progress = follow(records, leases[partition], partial(hash_at, connection, partition))
            whole, boundary = self._whole_decisions(fresh)
            events += whole
            if len(whole) == len(fresh):
                moves[partition] = progress
            elif boundary is not None:
                moves[partition] = boundary
        messages = self._answers(connection, [e for e in events if e["channel"] in CHANNELS])
        connection.commit()  # the broker may take longer to answer than a transaction may wait
        if messages:
            send_all(self._producer, messages, SEND_S)
            reached("replies.after_send")
        return moves

    def committed(self) -> None:
        """Nothing is kept."""

    def reset(self, partitions: Collection[int]) -> None:
        """Nothing is kept."""

    def _whole_decisions(self, fresh: Sequence[Followed]) -> tuple[list[Raw], Progress | None]:
        """The events up to the last decision that is here completely, and where a reader stands after it."""
        events = [self._codec.read(followed.record.value) for followed in fresh]
        last = len(events)
        while last and events[last - 1]["decision_index"] + 1 < events[last - 1]["decision_count"]:
            last -= 1
        return events[:last], fresh[last - 1].progress if last else None

    def _answers(self, connection: Connection, events: list[Raw]) -> list[Message]:
        answering = [event for event in events if is_answer(event)]
        if not answering:
            return []
        orders = facts_by_order(events)
        earlier = [e for e in answering if needs_beginning(e) and not _whole(orders, e)]
        orders |= self._beginnings(connection, earlier)
        previews = {e["command_id"]: e["body"] for e in events if _is_preview(e)}
        now = self._clock.now_ms()
        replies = (answer(e, orders, previews.get(e["command_id"]), now) for e in answering)
        return [reply_message(reply, None) for reply in replies if reply.channel in CHANNELS]

    def _beginnings(self, connection: Connection, events: Iterable[Raw]) -> dict[str, OrderFacts]:
        """The beginnings of orders that began in an earlier turn, from the event store."""
        streams = sorted({event["stream_id"] for event in events})
        order_ids = sorted({order_id for event in events if (order_id := order_meant(event))})
        if not order_ids:
            return {}
        rows = connection.execute(_BEGINNINGS, (streams, order_ids, list(WRITTEN_WITH_ORDER)))
        return facts_by_order(self._codec.read(bytes(value)) for (value,) in rows)


def _whole(orders: Mapping[str, OrderFacts], event: Raw) -> bool:
    """Whether this turn holds all that was written with the order: they are one decision, maybe cut."""
    facts = orders.get(order_meant(event) or "")
    return facts is not None and facts.received["command_id"] == event["command_id"]


def _is_preview(event: Raw) -> bool:
    return event["type"] == "QuoteIssued" and bool(event["body"]["validate_only"])
