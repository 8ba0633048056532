"""A renewal that the sender tells of: the period after the one in force begins.

The sender's dates say which period that is, and when it ends if that is earlier than by the calendar: then a
part is invoiced, and the next period starts where it ends. Without dates, or where they still name the period
that is ending, the calendar says both. Nothing is rolled while an order is being paid: it was priced in the
period before, and the next order begins what has elapsed by then.
"""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from tierline.domain.calendar import Period, instant_of, zone_named
from tierline.domain.claims import NewAttempt, Redelivery, ReferenceReused, Repeat
from tierline.domain.commands import ENDED, Command, RollPeriod
from tierline.domain.context import Context
from tierline.domain.events import Event, Reason
from tierline.domain.moments import instant_of_ms
from tierline.domain.reasons import ReasonCode
from tierline.domain.rolling import Current, roll_until
from tierline.domain.standing import ignored
from tierline.domain.state import State, addressed
from tierline.domain.subscription import ActiveSubscription


def decide_roll(state: State, command: Command, roll: RollPeriod, context: Context) -> tuple[Event, ...]:
    """The periods that began, or why none did; () only for a redelivery."""
    account, subscription = addressed(state, command)
    match context.identity:
        case Redelivery():
            return ()
        case Repeat():
            return ignored(command, roll.told_at, Reason(ReasonCode.OPERATION_REPEATED, ""))
        case NewAttempt() | ReferenceReused():
            pass
    zone = zone_named(account.time_zone)
    reason = _against(subscription)
    if reason is None:
        current = roll_until(account, subscription, _begins(subscription, roll, zone), zone, _told(roll))
        if isinstance(current, Current) and current.events:
            return current.events
        reason = _in_force(subscription) if isinstance(current, Current) else current
    return ignored(command, roll.told_at, reason)


def _against(subscription: ActiveSubscription) -> Reason | None:
    if subscription.standing == ENDED:
        return Reason(ReasonCode.SUBSCRIPTION_ENDED, "it takes no renewal")
    if subscription.live is not None:
        return Reason(ReasonCode.ORDER_IN_PROGRESS, "it is being paid; the next order begins the period")
    return None


def _in_force(subscription: ActiveSubscription) -> Reason:
    schedule = subscription.schedule
    return Reason(ReasonCode.PERIOD_IN_FORCE, f"{schedule.period_start} to {schedule.period_end}")


def _told(roll: RollPeriod) -> Period | None:
    if roll.period_start is None or roll.period_end is None:
        return None
    return Period(date.fromisoformat(roll.period_start), date.fromisoformat(roll.period_end))


def _begins(subscription: ActiveSubscription, roll: RollPeriod, zone: ZoneInfo) -> datetime:
    """The moment whose period shall be in force."""
    told = instant_of_ms(roll.told_at)
    start = roll.period_start
    if start is None or start <= subscription.schedule.period_start[: len(start)]:
        return told
    return max(told, instant_of(date.fromisoformat(start), zone))
