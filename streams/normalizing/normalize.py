"""From an intent and its subscription to the command on ``oms.commands.v1``.

``Normalizer`` goes from an order's fields straight to Avro bytes, through a writer that is generated
per channel. ``command_of`` says the same as a value; the bytes of both are equal, by test. What is no order
is rare, and written from the value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypedDict, get_args

from schemas.avsc import COMMANDS_SUBJECT, load_schema
from schemas.codec import frame_header
from schemas.writer import compile_record, specialise
from streams.normalizing.resolve import Resolved
from streams.pipeline import CHANNELS
from streams.reading.intent import Intent, change_digest, content_digest
from tierline.domain.commands import ChangeStanding, Command, CommandBody, Origin, PlaceOrder
from tierline.domain.identity import correlation_id_of, order_command_id
from tierline.kit.partitioner import partition_of

PLACE_ORDER = PlaceOrder.__name__
TYPE = "type"
ORDER_TYPE = PLACE_ORDER.encode()

# The order of the arguments in Normalizer.command.
_VARYING = (
    "command_id",
    "account_id",
    "subscription_id",
    "source",
    "source_ref",
    "origin.partition",
    "origin.offset",
    "intent_index",
    "intent_count",
    "received_at",
    "decide_by",
    "actor",
    "correlation_id",
    "digest",
    "traceparent",
    "body.plan",
    "body.seats",
    "body.modules",
    "body.effective",
    "body.payment_method",
    "body.requested_by",
    "body.requested_at",
    "body.unavailable",
    "body.validate_only",
    "body.modules_complete",
)


class Deployment(TypedDict):
    """What all commands of one deployment have in common."""

    tenant_id: str
    livemode: bool
    app_version: str


class Framed(NamedTuple):
    """A command ready to be sent: its account and partition, key and value bytes, identity and type."""

    account_id: str
    partition: int
    key: bytes
    value: bytes
    command_id: str
    type: bytes = ORDER_TYPE


class Normalizer:
    """Makes commands for one deployment. Build one per process: it compiles a writer per channel.

    ``decide_within_ms``: how soon an order must be decided where the channel takes silence for a yes.
    """

    def __init__(
        self,
        schema_id: int,
        *,
        tenant_id: str,
        livemode: bool,
        app_version: str,
        partitions: int,
        decide_within_ms: int,
    ) -> None:
        self._partitions = partitions
        self._decide_within_ms = decide_within_ms
        deployment: Deployment = {"tenant_id": tenant_id, "livemode": livemode, "app_version": app_version}
        self._deployment = deployment
        fixed = {**deployment, "type": PLACE_ORDER}
        header = frame_header(schema_id)
        self._write = compile_record(
            load_schema(COMMANDS_SUBJECT), {kind.__name__: kind for kind in get_args(CommandBody)}, header
        ).write
        self._writers: dict[str, Callable[..., bytes]] = {
            channel.name: specialise(
                load_schema(COMMANDS_SUBJECT),
                constants={**fixed, "channel": channel.name, "origin.topic": channel.topic.name},
                parameters=_VARYING,
                branches={"body": PLACE_ORDER},
                prefix=header,
            ).write
            for channel in CHANNELS.values()
        }

    def command(self, intent: Intent, resolved: Resolved) -> Framed:
        """The command of ``intent`` for the account and subscription that it was resolved to."""
        if intent.change is not None:
            return self._changing(intent, resolved)
        account_id, subscription_id = resolved.account_id, resolved.subscription_id
        topic, partition, offset = intent.origin_topic, intent.origin_partition, intent.origin_offset
        command_id = _command_id(intent, subscription_id)
        requested_by, due_from = intent.requested_by, intent.due_from
        value = self._writers[intent.channel](
            command_id,
            account_id,
            subscription_id,
            intent.source,
            intent.reference,
            partition,
            offset,
            intent.intent_index,
            intent.intent_count,
            intent.received_at,
            None if due_from is None else due_from + self._decide_within_ms,
            requested_by,
            correlation_id_of(topic, partition, offset),
            content_digest(subscription_id, intent),
            intent.traceparent,
            intent.plan,
            intent.seats,
            intent.modules,
            intent.effective,
            intent.payment_method,
            requested_by,
            intent.requested_at,
            intent.unavailable,
            intent.validate_only,
            intent.modules_complete,
        )
        return Framed(
            account_id, partition_of(account_id, self._partitions), account_id.encode(), value, command_id
        )

    def _changing(self, intent: Intent, resolved: Resolved) -> Framed:
        command = command_of(intent, resolved, decide_within_ms=self._decide_within_ms, **self._deployment)
        account_id = command.account_id
        return Framed(
            account_id,
            partition_of(account_id, self._partitions),
            account_id.encode(),
            self._write(command),
            command.command_id,
            command.type.encode(),
        )


def command_of(
    intent: Intent,
    resolved: Resolved,
    *,
    tenant_id: str,
    livemode: bool,
    app_version: str,
    decide_within_ms: int,
) -> Command:
    """The command of ``intent`` as a value."""
    origin = Origin(intent.origin_topic, intent.origin_partition, intent.origin_offset)
    subscription_id, change = resolved.subscription_id, intent.change
    if change is None:
        digest = content_digest(subscription_id, intent)
    else:
        digest = change_digest(subscription_id, change)
    body = _order(intent) if change is None else change
    return Command(
        tenant_id=tenant_id,
        livemode=livemode,
        command_id=_command_id(intent, subscription_id),
        type=type(body).__name__,
        account_id=resolved.account_id,
        subscription_id=subscription_id,
        channel=intent.channel,
        source=intent.source,
        source_ref=intent.reference,
        origin=origin,
        intent_index=intent.intent_index,
        intent_count=intent.intent_count,
        received_at=intent.received_at,
        decide_by=None if intent.due_from is None else intent.due_from + decide_within_ms,
        actor=intent.requested_by,
        correlation_id=correlation_id_of(origin.topic, origin.partition, origin.offset),
        causation_id=None,
        purchase_order_ref=None,
        digest=digest,
        app_version=app_version,
        traceparent=intent.traceparent,
        body=body,
    )


def _order(intent: Intent) -> PlaceOrder:
    return PlaceOrder(
        plan=intent.plan,
        seats=intent.seats,
        modules=intent.modules,
        effective=intent.effective,
        payment_method=intent.payment_method,
        requested_by=intent.requested_by,
        requested_at=intent.requested_at,
        unavailable=intent.unavailable,
        validate_only=intent.validate_only,
        modules_complete=intent.modules_complete,
    )


def _command_id(intent: Intent, subscription_id: str) -> str:
    kind = "validate" if intent.validate_only else "order"
    if intent.change is not None:
        kind = "standing" if isinstance(intent.change, ChangeStanding) else "period"
    return order_command_id(intent.channel, intent.source, intent.reference, subscription_id, kind)
