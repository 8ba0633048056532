"""Channel ``portal``: Tierline's own JSON, one order per record."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from streams.reading.contract import Contract, Document
from streams.reading.fields import MAX_MODULES, Reference, Token, Whole, Word, milliseconds_of, start_of
from streams.reading.intent import NOW, Arrival, Intent
from streams.reading.refusal import Code, Refused


class Target(Struct, frozen=True, gc=False):
    """What shall be in force; what is left out stays as it is."""

    plan: Word | UnsetType | None = UNSET
    seats: Whole | UnsetType | None = UNSET
    modules: Annotated[list[Word], Meta(max_length=MAX_MODULES)] | UnsetType | None = UNSET


class PortalOrder(Struct, frozen=True, gc=False):
    """One order. ``requested_at``: RFC 3339; ``effective``: now, next_cycle or a day."""

    reference: Reference
    target: Target
    account_id: Reference | UnsetType | None = UNSET
    subscription_id: Reference | UnsetType | None = UNSET
    effective: Word | UnsetType | None = UNSET
    quote: Token | UnsetType | None = UNSET
    payment_method: Reference | UnsetType | None = UNSET
    requested_by: Reference | UnsetType | None = UNSET
    requested_at: Word | UnsetType | None = UNSET
    validate_only: bool | UnsetType | None = UNSET


CONTRACT = Contract(PortalOrder, reference="reference")


def intents(document: Document[PortalOrder], arrival: Arrival) -> tuple[Intent, ...]:
    """The one intent of a portal order."""
    order, record = document.content, arrival.record
    account, subscription = order.account_id or None, order.subscription_id or None
    if account is None and subscription is None:
        raise Refused(Code.MISSING_REFERENCE, "subscription_id")
    plan, seats, modules = _asked(order.target)
    effective = order.effective or NOW
    if effective != NOW:
        effective = start_of(effective, "effective", record.timestamp_ms)
    requested_at = order.requested_at or None
    intent = Intent(
        arrival.channel,
        arrival.source,
        order.reference,
        account,
        subscription,
        True,
        None if plan is None else arrival.plans[plan],
        seats,
        modules or (),
        effective,
        order.payment_method or None,
        order.requested_by or None,
        None if requested_at is None else milliseconds_of(requested_at, "requested_at"),
        _unavailable(order, effective) if order.quote or effective != NOW else (),
        order.validate_only is True,
        record.topic,
        record.partition,
        record.offset,
        record.timestamp_ms,
        0,
        1,
        arrival.traceparent,
        "account_id" if subscription is None else "subscription_id",
        modules_complete=modules is not None,
    )
    return (intent,)


def _asked(target: Target) -> tuple[str | None, int | None, tuple[str, ...] | None]:
    """Plan, seats and modules, None where they stay. An empty list of modules asks for none."""
    plan = target.plan or None
    seats = None if target.seats is UNSET else target.seats
    named = None if target.modules is UNSET else target.modules
    modules = None if named is None else tuple(sorted(set(named)))
    if plan is None and seats is None and modules is None:
        raise Refused(Code.NOTHING_ORDERED, "target")
    return plan, seats, modules


def _unavailable(order: PortalOrder, effective: str) -> tuple[str, ...]:
    asked = (
        ("effective", effective != NOW),
        ("quote", bool(order.quote)),
    )
    return tuple(field for field, is_asked in asked if is_asked)
