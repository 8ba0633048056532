"""From what a decision says to what the store keeps: envelope, place, bytes, hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.codec import SHARED_BY_A_DECISION, Codec
from tierline.domain.claims import attempt_of
from tierline.domain.commands import Command
from tierline.domain.context import Context
from tierline.domain.events import Event, RecordedEvent
from tierline.domain.identity import uuid_of
from tierline.domain.values import quickly_made, replace


@quickly_made
@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with the bytes that the store keeps and the topic carries, and their link in the chain."""

    event: RecordedEvent
    value: bytes
    hash: bytes


@dataclass(slots=True)
class Head:
    """Where a partition's chain stands: the position that comes next and the hash of the one before."""

    partition: int
    next_position: int
    chain_hash: bytes


Place = tuple[str, int]
"""The stream that an event goes into, and its version there."""


class Recorder:
    """Gives events their envelope. ``codec`` makes the framed bytes; ``app_version`` is this release."""

    def __init__(self, codec: Codec, app_version: str) -> None:
        self._writer = codec.event_writer_sharing(SHARED_BY_A_DECISION)
        self._app_version = app_version

    def record(
        self,
        decision: Sequence[Event],
        places: Sequence[Place],
        command: Command,
        context: Context,
        head: Head,
    ) -> list[StoredEvent]:
        """Put the events of one decision at the head of their partition, which moves on behind them."""
        recorded = self._recorded(decision, places, command, context, head)
        shared = self._writer.share(recorded[0])
        return [self._stored(event, shared, head) for event in recorded]

    def _recorded(
        self,
        decision: Sequence[Event],
        places: Sequence[Place],
        command: Command,
        context: Context,
        head: Head,
    ) -> list[RecordedEvent]:
        own = [
            _own(event, place, index, head.next_position, context)
            for index, (event, place) in enumerate(zip(decision, places, strict=True))
        ]
        first = RecordedEvent(
            **own[0],
            tenant_id=command.tenant_id,
            livemode=command.livemode,
            partition=head.partition,
            decision_count=len(decision),
            account_id=command.account_id,
            subscription_id=command.subscription_id,
            channel=command.channel,
            source=command.source,
            source_ref=command.source_ref,
            origin=command.origin,
            intent_index=command.intent_index,
            intent_count=command.intent_count,
            received_at=command.received_at,
            occurred_at=context.now,
            recorded_at=context.now,
            actor=command.actor,
            command_id=command.command_id,
            command_type=command.type,
            attempt=attempt_of(context.identity),
            digest=command.digest,
            correlation_id=command.correlation_id,
            causation_id=command.causation_id,
            purchase_order_ref=command.purchase_order_ref,
            consent=None,
            policy_version=context.policy.version,
            app_version=self._app_version,
            traceparent=command.traceparent,
            decide_by=command.decide_by,
        )
        return [first, *(replace(first, **others) for others in own[1:])]

    def _stored(self, event: RecordedEvent, shared: tuple[bytes, ...], head: Head) -> StoredEvent:
        value = self._writer.write(event, shared)
        head.next_position = event.position + 1
        head.chain_hash = chained(head.chain_hash, value)
        return StoredEvent(event, value, head.chain_hash)


def _own(event: Event, place: Place, index: int, first_position: int, context: Context) -> dict[str, Any]:
    """The fields ``OF_ONE_EVENT`` of the event with that index in its decision."""
    stream_id, version = place
    return {
        "event_id": uuid_of("event", stream_id, str(version)),
        "stream_id": stream_id,
        "version": version,
        "position": first_position + index,
        "decision_index": index,
        "type": event.body.__class__.__name__,
        "order_id": event.order_id,
        "effective_at": context.now if event.effective_at is None else event.effective_at,
        "reason_code": event.reason_code,
        "catalog_version": event.catalog_version or context.catalog.version,
        "body": event.body,
    }


def chained(previous: bytes, value: bytes) -> bytes:
    """The link of ``value`` in its partition's chain: SHA-256 over the previous link and the bytes."""
    return hashlib.sha256(previous + value).digest()
