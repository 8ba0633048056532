"""From what a decision says to what the store keeps: envelope, place, bytes, hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from tierline.domain.claims import attempt_of
from tierline.domain.commands import Command
from tierline.domain.context import Context
from tierline.domain.events import Event, RecordedEvent
from tierline.domain.identity import uuid_of
from tierline.domain.values import quickly_made


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


class Recorder:
    """Gives events their envelope. ``encode`` makes the framed bytes; ``app_version`` is this release."""

    def __init__(self, encode: Callable[[RecordedEvent], bytes], app_version: str) -> None:
        self._encode = encode
        self._app_version = app_version

    def record(
        self,
        event: Event,
        command: Command,
        context: Context,
        *,
        stream_id: str,
        version: int,
        head: Head,
        decision: tuple[int, int],
    ) -> StoredEvent:
        """Put ``event`` at the head of its partition, which moves on by one.

        ``decision`` is the event's index in its decision and how many events that has.
        """
        position = head.next_position
        recorded = RecordedEvent(
            tenant_id=command.tenant_id,
            livemode=command.livemode,
            event_id=uuid_of("event", stream_id, str(version)),
            stream_id=stream_id,
            version=version,
            partition=head.partition,
            position=position,
            decision_index=decision[0],
            decision_count=decision[1],
            type=event.body.__class__.__name__,
            account_id=command.account_id,
            subscription_id=command.subscription_id,
            order_id=event.order_id,
            channel=command.channel,
            source=command.source,
            source_ref=command.source_ref,
            origin=command.origin,
            intent_index=command.intent_index,
            intent_count=command.intent_count,
            received_at=command.received_at,
            occurred_at=context.now,
            recorded_at=context.now,
            effective_at=context.now if event.effective_at is None else event.effective_at,
            actor=command.actor,
            reason_code=event.reason_code,
            command_id=command.command_id,
            command_type=command.type,
            attempt=attempt_of(context.identity),
            digest=command.digest,
            correlation_id=command.correlation_id,
            causation_id=command.causation_id,
            purchase_order_ref=command.purchase_order_ref,
            consent=None,
            policy_version=context.policy.version,
            catalog_version=event.catalog_version or context.catalog.version,
            app_version=self._app_version,
            traceparent=command.traceparent,
            body=event.body,
            decide_by=command.decide_by,
        )
        value = self._encode(recorded)
        link = chained(head.chain_hash, value)
        head.next_position = position + 1
        head.chain_hash = link
        return StoredEvent(recorded, value, link)


def chained(previous: bytes, value: bytes) -> bytes:
    """The link of ``value`` in its partition's chain: SHA-256 over the previous link and the bytes."""
    return hashlib.sha256(previous + value).digest()
