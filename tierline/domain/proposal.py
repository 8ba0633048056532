"""What an order asks of its subscription: the plan it means, the direction, and what that would cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from tierline.domain.account import OpenAccount
from tierline.domain.billing import AccountTerms, Change
from tierline.domain.calendar import Moment, instant_of, local_date, zone_named
from tierline.domain.catalog import Catalog, Plan
from tierline.domain.commands import Command, PlaceOrder
from tierline.domain.direction import Choice, Direction, direction
from tierline.domain.events import Reason
from tierline.domain.moments import instant_of_ms, moment_of_text
from tierline.domain.proration import quote_change
from tierline.domain.quote import Quote
from tierline.domain.reasons import ReasonCode
from tierline.domain.refusal import InputRefused
from tierline.domain.schedule import billing_of
from tierline.domain.subscription import ActiveSubscription

MOST_SEATS = 1_000_000
NOW = "now"


@dataclass(frozen=True, slots=True)
class Asked:
    """One order against the subscription as it stands. ``at`` is when the broker took it in."""

    account: OpenAccount
    subscription: ActiveSubscription
    catalog: Catalog
    command: Command
    request: PlaceOrder
    zone: ZoneInfo
    at: datetime
    today: date


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The order asks for what is in force."""


@dataclass(frozen=True, slots=True)
class Target:
    """The change that is asked for. ``quote`` is None where the order came outside the period in force."""

    current: Plan
    plan: Plan
    seats: int
    direction: Direction
    quote: Quote | None


@dataclass(frozen=True, slots=True)
class Impossible:
    """The order cannot be understood or priced against this catalog and subscription."""

    reasons: tuple[Reason, ...]


Proposal = Unchanged | Target | Impossible


def asked(
    account: OpenAccount,
    subscription: ActiveSubscription,
    catalog: Catalog,
    command: Command,
    request: PlaceOrder,
) -> Asked:
    """The order with its local day."""
    zone = zone_named(account.time_zone)
    at = instant_of_ms(command.received_at)
    return Asked(account, subscription, catalog, command, request, zone, at, local_date(at, zone))


def proposal_of(order: Asked) -> Proposal:
    """What the order comes to; every reason why it cannot come to anything, where it cannot."""
    unavailable = _unavailable(order.request)
    if not unavailable and _asks_for_what_is_in_force(order):
        return Unchanged()
    current, plan = order.catalog.plan(order.subscription.plan), _target_plan(order)
    seats = order.subscription.seats if order.request.seats is None else order.request.seats
    reasons = [*unavailable, *_unknown_plans(order, current, plan), *_seats_out_of_range(plan, seats)]
    if reasons or current is None or plan is None:
        return Impossible(tuple(reasons))
    quote = price(order, current, plan, seats) if is_within_period(order) else None
    if isinstance(quote, Impossible):
        return quote
    modules = frozenset(order.subscription.modules)
    way = direction(
        order.catalog, Choice(current, order.subscription.seats, modules), Choice(plan, seats, modules)
    )
    return Target(current, plan, seats, way, quote)


def is_within_period(order: Asked) -> bool:
    """Whether the order was taken in during the period in force (half-open)."""
    schedule = order.subscription.schedule
    start, end = moment_of_text(schedule.period_start), moment_of_text(schedule.period_end)
    return not _is_before(order, start) and _is_before(order, end)


def price(order: Asked, current: Plan, plan: Plan, seats: int) -> Quote | Impossible:
    """The price of the change at the moment the order was taken in."""
    items = order.catalog.items(plan, order.account.currency, seats, order.subscription.modules)
    if items is None:
        detail = f"{plan.id} has no price in {order.account.currency}"
        return Impossible((Reason(ReasonCode.PLAN_NOT_SOLD, detail),))
    terms = AccountTerms(order.account.time_zone, order.account.currency)
    change = Change(order.at, items, mode=plan.mode, cycle=order.catalog.cycle(current, plan))
    try:
        return quote_change(terms, billing_of(order.subscription.schedule), change)
    except InputRefused as refused:
        return Impossible((Reason(ReasonCode.PRICE_REFUSED, str(refused)),))


def _is_before(order: Asked, boundary: Moment) -> bool:
    if isinstance(boundary, datetime):
        return order.at < instant_of(boundary, order.zone)
    return order.today < boundary


def _unavailable(request: PlaceOrder) -> list[Reason]:
    fields = list(request.unavailable)
    if request.modules and "modules" not in fields:
        fields.append("modules")
    if request.effective != NOW and "effective" not in fields:
        fields.append("effective")
    return [Reason(ReasonCode.NOT_AVAILABLE_YET, field) for field in fields]


def _asks_for_what_is_in_force(order: Asked) -> bool:
    request, subscription = order.request, order.subscription
    if request.seats not in (None, subscription.seats):
        return False
    if request.plan in (None, subscription.plan):
        return True
    plan = _target_plan(order)
    return plan is not None and plan.id == subscription.plan


def _target_plan(order: Asked) -> Plan | None:
    """Our own id first: the normalizer has already replaced the aliases that it knew."""
    wanted = order.request.plan or order.subscription.plan
    return order.catalog.plan(wanted) or order.catalog.plan_for_alias(order.command.channel, wanted)


def _unknown_plans(order: Asked, current: Plan | None, plan: Plan | None) -> list[Reason]:
    version = order.catalog.version
    reasons = []
    if plan is None:
        wanted = order.request.plan or order.subscription.plan
        reasons.append(Reason(ReasonCode.PLAN_UNKNOWN, f"{wanted!r} is not in catalog {version}"))
    elif current is None:
        detail = f"the plan in force, {order.subscription.plan!r}, is not in catalog {version}"
        reasons.append(Reason(ReasonCode.PLAN_UNKNOWN, detail))
    return reasons


def _seats_out_of_range(plan: Plan | None, seats: int) -> list[Reason]:
    most = MOST_SEATS if plan is None else min(MOST_SEATS, plan.limits.get("seats", MOST_SEATS))
    if 1 <= seats <= most:
        return []
    return [Reason(ReasonCode.SEATS_OUT_OF_RANGE, f"{seats} seats; possible are 1 to {most}")]
