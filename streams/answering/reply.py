"""Replies: what a channel is told about one order intent, as JSON on ``orders.<channel>.replies.v1``."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from deadletter.classify import CLASSES
from deadletter.envelope import DeadLetter
from deadletter.held import HeldRecord
from schemas.topics import replies_topic
from tierline.domain.commands import Origin
from tierline.domain.identity import reply_id_of
from tierline.domain.outcome import SkipReason
from tierline.kit.records import Message

HELD_TEXT = "The order waits until what it refers to is known here."
HELD_ACTION = "Nothing to do: the order is kept and goes on by itself; another answer follows."
DISCARDED_TEXT = "The order was taken out by a person and will not be carried out."
DISCARDED_ACTION = "Send a new order if it is still wanted."


@dataclass(frozen=True, slots=True)
class ReplyReason:
    """One reason code with the text a customer may read and, if any, the detail for the channel.

    ``field``: path of the payload field that is wrong; None where it is not one field.
    """

    code: str
    text: str
    detail: str | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyAmounts:
    """Amounts of an order in minor units of ``currency``; None while it is not known."""

    currency: str
    net_minor: int | None
    due_minor: int | None
    charged_minor: int | None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. ``origin`` names the order record, the intent numbers which of its intents is meant.

    ``outcome``: in_progress, completed, rejected, failed, superseded, held, conflict, validated, dead or
    discarded.
    ``reference`` is None when the record could not be read. ``retry``: whether sending the same order again
    can help; None when nobody can say. ``decide_by``: until when a refusal counts, for a channel that takes
    silence for a yes; None when the record could not be read. Instants in ms.
    """

    channel: str
    origin: Origin
    intent_index: int
    intent_count: int
    outcome: str
    source: str
    reference: str | None
    order_id: str | None
    duplicate: bool
    reasons: tuple[ReplyReason, ...]
    retry: bool | None
    amounts: ReplyAmounts | None
    next_action: str
    received_at: int | None
    answered_at: int
    decide_by: int | None = None

    @property
    def id(self) -> str:
        """UUIDv5 of origin, intent and outcome: a repeat of the same answer has the same id."""
        origin = self.origin
        return reply_id_of(origin.topic, origin.partition, origin.offset, self.intent_index, self.outcome)


def reply_message(reply: Reply, source_key: bytes | None) -> Message:
    """The reply as a record of its channel's reply topic, keyed like the order record, else by reference."""
    key = source_key
    if key is None and reply.reference is not None:
        key = reply.reference.encode("utf-8", "replace")
    return Message(replies_topic(reply.channel).name, key, reply_json(reply))


def reply_json(reply: Reply) -> bytes:
    """The JSON of ``reply``: the fields of the value and its id, in a fixed order."""
    return msgspec.json.encode({"reply_id": reply.id} | msgspec.to_builtins(reply))


def dead_reply(letter: DeadLetter, source: str, reference: str | None, answered_at: int) -> Message:
    """The answer to a dead intent: what was wrong with it, in words that may leave the house."""
    told = CLASSES[letter.dead.dead_letter_class]
    if letter.channel is None:
        raise ValueError(f"dead letter {letter.id} has no channel to answer")
    reply = Reply(
        channel=letter.channel,
        origin=letter.origin,
        intent_index=letter.intent_index,
        intent_count=letter.intent_count,
        outcome="dead",
        source=source,
        reference=reference,
        order_id=None,
        duplicate=False,
        reasons=(ReplyReason(letter.dead.code, told.customer, letter.dead.detail, letter.dead.field),),
        retry=told.retryable,
        amounts=None,
        next_action=told.next_action,
        received_at=letter.received_at,
        answered_at=answered_at,
        decide_by=letter.decide_by,
    )
    return reply_message(reply, letter.record.key)


def held_reply(held: HeldRecord, intent_index: int, answered_at: int) -> Message:
    """The answer to an intent that waits: we are on it, and another answer follows."""
    reason = ReplyReason(held.cause.code, HELD_TEXT, held.cause.detail)
    return _intake_reply(held, intent_index, "held", (reason,), HELD_ACTION, answered_at)


def discarded_reply(held: HeldRecord, intent_index: int, answered_at: int) -> Message:
    """The answer to an intent that a person took out of the queue."""
    reason = ReplyReason(SkipReason.DISCARDED, DISCARDED_TEXT)
    return _intake_reply(held, intent_index, "discarded", (reason,), DISCARDED_ACTION, answered_at)


def _intake_reply(
    held: HeldRecord,
    intent_index: int,
    outcome: str,
    reasons: tuple[ReplyReason, ...],
    next_action: str,
    answered_at: int,
) -> Message:
    record = held.record
    reply = Reply(
        channel=held.channel,
        origin=Origin(*held.place),
        intent_index=intent_index,
        intent_count=held.intent_count,
        outcome=outcome,
        source=held.source,
        reference=held.reference,
        order_id=None,
        duplicate=False,
        reasons=reasons,
        retry=False,
        amounts=None,
        next_action=next_action,
        received_at=record.timestamp_ms,
        answered_at=answered_at,
        decide_by=held.decide_by,
    )
    return reply_message(reply, record.key)
