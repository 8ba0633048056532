"""Channel ``marketplace``: operations of the Microsoft commercial marketplace, as its webhook posts them.

An operation of which the marketplace hears nothing for ten seconds counts as accepted there, and the customer
pays. So each order says from when that time runs: from ``timeStamp``, or from its arrival if that is earlier.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from streams.reading.contract import Contract, Document
from streams.reading.fields import Reference, Whole, Word, milliseconds_of
from streams.reading.intent import NOW, Arrival, Intent
from streams.reading.refusal import Code, Refused
from tierline.domain.commands import ChangeStanding
from tierline.domain.subscription import ENDED, GOOD, SUSPENDED

CHANGE_PLAN = "ChangePlan"
IN_PROGRESS = "InProgress"
STANDINGS: Mapping[str, str] = {"Suspend": SUSPENDED, "Reinstate": GOOD, "Unsubscribe": ENDED}

_OFFSET = re.compile(r"(?:[Zz]|[+-]\d{2}:?\d{2})$")
_DIGITS = re.compile(r"[0-9]{0,18}")


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
        "subscription",
    )

    id: Reference
    subscription_id: Reference
    time_stamp: Word
    action: Literal["ChangePlan", "ChangeQuantity", "Suspend", "Reinstate", "Unsubscribe"]
    status: Literal["InProgress", "Succeeded"]
    plan_id: Word | UnsetType | None = UNSET
    quantity: Whole | Annotated[str, Meta(max_length=18)] | UnsetType | None = UNSET


CONTRACT = Contract(Operation, reference="id")


def intents(document: Document[Operation], arrival: Arrival) -> tuple[Intent, ...]:
    """The one order, or the one change of the subscription's standing, that the operation is."""
    operation, record = document.content, arrival.record
    began = min(_told_at(operation), record.timestamp_ms)
    standing = STANDINGS.get(operation.action)
    if standing is not None:
        plan, seats, change = None, None, ChangeStanding(standing, began)
    elif operation.status != IN_PROGRESS:
        raise Refused(Code.INVALID_VALUE, "status")
    else:
        (plan, seats), change = _asked(operation), None
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
        began if change is None else None,
        change,
    )
    return (intent,)


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
