"""Identity: the same ask has the same id wherever and however often it arrives.

All ids are UUIDv5 under one namespace, over parts joined by U+001F (a character that no reference may
hold), so two different asks cannot meet by concatenation. Rules: design of the canonical model, identity.
"""

from __future__ import annotations

import hashlib
from uuid import UUID

NAMESPACE = UUID("5c1f1c7e-0f0b-5c1e-9d3a-7e1f5a4d2b10")
SEPARATOR = "\x1f"
_NAMESPACE_BYTES = NAMESPACE.bytes
# The hex digit that carries the variant bits: of any digit, the one with its two highest bits set to 10.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def uuid_of(*parts: str) -> str:
    """UUIDv5 (RFC 9562 §5.5) of ``parts`` under Tierline's namespace, as text.

    Written out because ``uuid.uuid5`` costs three times as much and this runs for every record.
    """
    name = SEPARATOR.join(parts).encode("utf-8", "surrogatepass")
    h = hashlib.sha1(_NAMESPACE_BYTES + name, usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


def order_command_id(channel: str, source: str, reference: str, subscription_id: str, kind: str) -> str:
    """Identity of an order intent. ``kind`` is ``order``, or ``validate`` for one that only asks."""
    return uuid_of("command", kind, channel, source, reference, subscription_id)


def opening_command_id(subscription_id: str) -> str:
    """Identity of the opening of a subscription."""
    return uuid_of("command", "open", subscription_id)


def payment_result_command_id(payment_id: str, status: str) -> str:
    """Identity of what a gateway said: one per gateway object and status."""
    return uuid_of("command", "payment-result", payment_id, status)


def review_command_id(kind: str, order_id: str, position: int) -> str:
    """Identity of a person's decision about an order: one per kind and hold (``position`` of its event)."""
    return uuid_of("command", kind, order_id, str(position))


def order_id_of(command_id: str, attempt: int) -> str:
    """The order that attempt ``attempt`` (from 1) of a command makes."""
    return uuid_of("order", command_id, str(attempt))


def payment_id_of(order_id: str, attempt: int) -> str:
    """The gateway object of one payment attempt (from 1) of an order."""
    return uuid_of("payment", order_id, str(attempt))


def dead_letter_id_of(group: str, topic: str, partition: int, offset: int, intent_index: int) -> str:
    """Identity of a dead letter: the same intent is dead once per consumer group."""
    return uuid_of("dead-letter", group, topic, str(partition), str(offset), str(intent_index))


def hold_id_of(group: str, topic: str, partition: int, key: str) -> str:
    """The hold of one key by ``group``; ``key`` is its text form, the same for every hold of that key."""
    return uuid_of("hold", group, topic, str(partition), key)


def reply_id_of(topic: str, partition: int, offset: int, intent_index: int, outcome: str) -> str:
    """Identity of a reply: one per intent and outcome, so a repeat is recognised."""
    return uuid_of("reply", topic, str(partition), str(offset), str(intent_index), outcome)


def correlation_id_of(topic: str, partition: int, offset: int) -> str:
    """What everything that comes of one original record has in common."""
    return uuid_of("correlation", topic, str(partition), str(offset))
