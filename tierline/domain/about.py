"""Events about one order, each with the reason code that it is found by."""

from __future__ import annotations

from tierline.domain.events import (
    Event,
    EventBody,
    OrderCompleted,
    OrderConflictDetected,
    OrderFailed,
    OrderHeld,
    OrderRejected,
    OrderSuperseded,
)
from tierline.domain.reasons import ReasonCode


def about(order_id: str, *bodies: EventBody) -> tuple[Event, ...]:
    """``bodies`` as events of the subscription's stream about that order."""
    return tuple(Event("subscription", body, order_id, reason_code(body)) for body in bodies)


def reason_code(body: EventBody) -> str | None:
    """The code of the first reason that an ending, hold or conflict gives; None for everything else."""
    match body:
        case OrderRejected(reasons=reasons) | OrderFailed(reasons=reasons) | OrderHeld(reasons=reasons):
            return reasons[0].code
        case OrderSuperseded():
            return ReasonCode.SUPERSEDED
        case OrderConflictDetected():
            return ReasonCode.ORDER_CONFLICT
        case OrderCompleted(reason=reason):
            return reason
        case _:
            return None
