"""Channel ``marketplace``: operations of the Microsoft commercial marketplace, as its webhook posts them.

An operation of which the marketplace hears nothing for ten seconds counts as accepted there, and the customer
pays. So each order says from when that time runs: from ``timeStamp``, or from its arrival if that is earlier.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from streams.reading.contract import Contract, Document
from streams.reading.fields import Reference, Whole, Word, milliseconds_of
from streams.reading.intent import NOW, Arrival, Intent
from streams.reading.refusal import Code, Refused
from tierline.domain.calendar import billing_date, month_of
from tierline.domain.commands import ENDED, GOOD, SUSPENDED, ChangeStanding, RollPeriod
from tierline.domain.outcome import Skipped, SkipReason

CHANGE_PLAN = "ChangePlan"
RENEW = "Renew"
SUBSCRIBE = "Subscribe"
ORDERS = (CHANGE_PLAN, "ChangeQuantity")
IN_PROGRESS = "InProgress"
SUCCEEDED = "Succeeded"
STANDINGS: Mapping[str, str] = {"Suspend": SUSPENDED, "Reinstate": GOOD, "Unsubscribe": ENDED}

_OFFSET = re.compile(r"(?:[Zz]|[+-]\d{2}:?\d{2})$")
_UNIT = re.compile(r"P(?P<count>[1-9]\d?)(?P<unit>[MY])")
_DIGITS = re.compile(r"[0-9]{0,18}")


class Term(Struct, frozen=True, gc=False, rename="camel"):
    """What was bought: days or instants, ``end_date`` mostly the last day; ``term_unit`` such as P1M."""

    tolerated: ClassVar = ("chargeDuration",)

    start_date: Word | UnsetType | None = UNSET
    end_date: Word | UnsetType | None = UNSET
    term_unit: Word | UnsetType | None = UNSET


class Subscription(Struct, frozen=True, gc=False):
    """The subscription as the marketplace has it. Who bought and who uses it is nobody's business here."""

    tolerated: ClassVar = (
        "allowedCustomerOperations",
        "autoRenew",
        "beneficiary",
        "created",
        "id",
        "isFreeTrial",
        "isTest",
        "lastModified",
        "name",
        "offerId",
        "planId",
        "publisherId",
        "purchaser",
        "quantity",
        "saasSubscriptionStatus",
        "sandboxType",
        "sessionMode",
    )

    term: Term | UnsetType | None = UNSET


class Operation(Struct, frozen=True, gc=False, rename="camel"):
    """One operation. ``time_stamp``: RFC 3339, in UTC where it has no offset.

    ``quantity`` comes as a number or as its digits, and empty where the plan is not sold by seats.
    """

    tolerated: ClassVar = (
        "activityId",
        "offerId",
        "operationRequestSource",
        "publisherId",
        "purchaseToken",
    )

    id: Reference
    subscription_id: Reference
    time_stamp: Word
    action: Literal[
        "Subscribe", "ChangePlan", "ChangeQuantity", "Renew", "Suspend", "Reinstate", "Unsubscribe"
    ]
    status: Literal["NotStarted", "InProgress", "Succeeded", "Failed", "Conflict"]
    plan_id: Word | UnsetType | None = UNSET
    subscription: Subscription | UnsetType | None = UNSET
    quantity: Whole | Annotated[str, Meta(max_length=18)] | UnsetType | None = UNSET


CONTRACT = Contract(Operation, reference="id")


def intents(document: Document[Operation], arrival: Arrival) -> tuple[Intent, ...]:
    """The one order, or the one change of the subscription, that the operation asks for; or nothing."""
    operation, record = document.content, arrival.record
    began = min(_told_at(operation), record.timestamp_ms)
    skipped = _skipped(operation)
    is_order = skipped is None and operation.action in ORDERS
    plan, seats = _asked(operation) if is_order else (None, None)
    intent = Intent(
        arrival.channel,
        arrival.source,
        operation.id,
        None,
        operation.subscription_id,
        True,
        None if plan is None else arrival.plans[plan],
        seats,
        (),
        NOW,
        None,
        None,
        _told_at(operation),
        (),
        False,
        record.topic,
        record.partition,
        record.offset,
        record.timestamp_ms,
        0,
        1,
        arrival.traceparent,
        "subscriptionId",
        began if is_order else None,
        _change(operation, began) if skipped is None else None,
        skipped,
    )
    return (intent,)


def _skipped(operation: Operation) -> Skipped | None:
    """Why the operation asks for nothing: an order that is over, a change that did not happen (yet)."""
    if operation.action == SUBSCRIBE:
        return Skipped(SkipReason.ACTION_ASKS_NOTHING, f"action {SUBSCRIBE}")
    if operation.status == IN_PROGRESS or (operation.status == SUCCEEDED and operation.action not in ORDERS):
        return None
    return Skipped(
        SkipReason.OPERATION_NOT_IN_PROGRESS, f"action {operation.action}, status {operation.status}"
    )


def _change(operation: Operation, began: int) -> ChangeStanding | RollPeriod | None:
    standing = STANDINGS.get(operation.action)
    if standing is not None:
        return ChangeStanding(standing, began)
    if operation.action != RENEW:
        return None
    start, end = _term(operation.subscription.term or None) if operation.subscription else (None, None)
    return RollPeriod(start, end, began)


def _term(term: Term | None) -> tuple[str | None, str | None]:
    """First day and the day after the last; both or none."""
    if term is None or not term.start_date or not term.end_date:
        return None, None
    start = _day(term.start_date, "subscription.term.startDate")
    end = _day(term.end_date, "subscription.term.endDate")
    if end <= start:
        raise Refused(Code.INVALID_VALUE, "subscription.term.endDate")
    after = end + timedelta(days=1)
    if (unit := _UNIT.fullmatch(term.term_unit or "")) and end == _later(start, unit):
        after = end
    return start.isoformat(), after.isoformat()


def _later(day: date, unit: re.Match[str]) -> date:
    months = int(unit["count"]) * (12 if unit["unit"] == "Y" else 1)
    return billing_date(month_of(day) + months, day.day)


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise Refused(Code.INVALID_TIMESTAMP, field) from None


def _asked(operation: Operation) -> tuple[str | None, int | None]:
    """Plan and seats. A change of the quantity names the plan in force, which is not asked for."""
    plan, seats = operation.plan_id or None, _seats(operation)
    if operation.action == CHANGE_PLAN:
        if plan is None:
            raise Refused(Code.MISSING_FIELD, "planId")
        return plan, seats
    if seats is None:
        raise Refused(Code.MISSING_FIELD, "quantity")
    return None, seats


def _seats(operation: Operation) -> int | None:
    quantity = operation.quantity
    if quantity is UNSET or quantity is None or quantity == "":
        return None
    if isinstance(quantity, str):
        if not _DIGITS.fullmatch(quantity):
            raise Refused(Code.WRONG_TYPE, "quantity")
        return int(quantity)
    return quantity


def _told_at(operation: Operation) -> int:
    text = operation.time_stamp
    return milliseconds_of(text if _OFFSET.search(text) else f"{text}Z", "timeStamp")
