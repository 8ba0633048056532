"""What an order asks of its subscription: the plan it means, the direction, and what that would cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from tierline.domain.account import OpenAccount
from tierline.domain.account_credit import open_to
from tierline.domain.billing import AccountTerms, Change
from tierline.domain.calendar import instant_of, local_date, zone_named
from tierline.domain.catalog import Catalog, Plan
from tierline.domain.commands import Command, PlaceOrder
from tierline.domain.context import Context
from tierline.domain.direction import Choice, Direction, direction
from tierline.domain.events import Event, Reason
from tierline.domain.module_choice import ModuleChoice, ModuleWish, choose_modules
from tierline.domain.moments import instant_of_ms, moment_of_text
from tierline.domain.proration import quote_change
from tierline.domain.quote import Quote
from tierline.domain.reasons import ReasonCode
from tierline.domain.refusal import InputRefused
from tierline.domain.rolling import Current, is_before, roll_until
from tierline.domain.schedule import billing_of
from tierline.domain.subscription import ActiveSubscription
from tierline.domain.values import quickly_made, replace

MOST_SEATS = 1_000_000
NOW = "now"


@quickly_made
@dataclass(frozen=True, slots=True)
class Asked:
    """One order against the subscription as it stands when the broker took the order in.

    ``catalog`` is the newest price book, ``kept`` the one that the plan in force was bought under, None where
    that is not known here. ``subscription`` has the period of that moment in force; ``rolled`` are the
    events that lead there, ``behind`` is why it could not be brought there. ``at`` is the moment from which
    the change counts: when the order was taken in, or the start of the period in force where that came
    later; ``today`` is the local day on which it was taken in.
    """

    account: OpenAccount
    subscription: ActiveSubscription
    catalog: Catalog
    kept: Catalog | None
    command: Command
    request: PlaceOrder
    zone: ZoneInfo
    at: datetime
    today: date
    rolled: tuple[Event, ...] = ()
    behind: Reason | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The order asks for what is in force."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Target:
    """The change that is asked for, its price, and the price book that it is made by."""

    catalog: Catalog
    current: Plan
    plan: Plan
    seats: int
    choice: ModuleChoice
    direction: Direction
    quote: Quote


@dataclass(frozen=True, slots=True)
class Impossible:
    """The order cannot be understood or priced against this catalog and subscription."""

    reasons: tuple[Reason, ...]


Proposal = Unchanged | Target | Impossible


def asked(
    account: OpenAccount,
    subscription: ActiveSubscription,
    context: Context,
    command: Command,
    request: PlaceOrder,
) -> Asked:
    """The order against the period that it falls into.

    One received before the period in force (its roll overtook the order) counts from that period's start:
    what is invoiced and closed is not opened again.
    """
    zone = zone_named(account.time_zone)
    received = instant_of_ms(command.received_at)
    order = Asked(
        account,
        subscription,
        context.catalog,
        context.catalog_named(subscription.catalog_version),
        command,
        request,
        zone,
        received,
        local_date(received, zone),
    )
    current = roll_until(account, subscription, received, zone)
    if not isinstance(current, Current):
        return replace(order, behind=current)
    opening = moment_of_text(current.schedule.period_start)
    if is_before(received, order.today, opening, zone):
        return replace(order, at=instant_of(opening, zone))
    if not current.events:
        return order
    rolled = replace(subscription, schedule=current.schedule)
    return replace(order, subscription=rolled, rolled=current.events)


def proposal_of(order: Asked) -> Proposal:
    """What the order comes to; every reason why it cannot come to anything, where it cannot."""
    unavailable = _unavailable(order.request)
    if not unavailable and _asks_for_what_is_in_force(order):
        return Unchanged()
    if order.behind is not None:
        return Impossible((*unavailable, order.behind))
    current, plan = _plan_in_force(order), _target_plan(order)
    seats = order.subscription.seats if order.request.seats is None else order.request.seats
    reasons = [*unavailable, *_unknown_plans(order, current, plan), *_seats_out_of_range(plan, seats)]
    if current is None or plan is None:
        return Impossible(tuple(reasons))
    catalog = _price_book(order, current, plan)
    if isinstance(catalog, Reason):
        return Impossible((*reasons, catalog))
    choice = _choice(order, catalog, plan)
    if not isinstance(choice, ModuleChoice):
        return Impossible((*reasons, *choice))
    if reasons:
        return Impossible(tuple(reasons))
    quote = price(order, catalog, current, plan, seats, choice)
    if isinstance(quote, Impossible):
        return quote
    before = Choice(current, order.subscription.seats, frozenset(order.subscription.modules))
    way = direction(catalog, before, Choice(plan, seats, frozenset(choice.modules)))
    return Target(catalog, current, plan, seats, choice, way, quote)


def _choice(order: Asked, catalog: Catalog, plan: Plan) -> ModuleChoice | tuple[Reason, ...]:
    wish = ModuleWish(_named_modules(order, catalog), order.request.modules_complete)
    return choose_modules(catalog, plan, order.account.currency, order.subscription.modules, wish)


def price(
    order: Asked, catalog: Catalog, current: Plan, plan: Plan, seats: int, choice: ModuleChoice
) -> Quote | Impossible:
    """The price of the change from the moment on from which it counts."""
    items = catalog.items(plan, order.account.currency, seats, choice.modules)
    if items is None:
        detail = f"{plan.id} has no price in {order.account.currency}"
        return Impossible((Reason(ReasonCode.PLAN_NOT_SOLD, detail),))
    account = order.account
    terms = AccountTerms(account.time_zone, account.currency, open_to(account, order.subscription))
    change = Change(order.at, items, mode=plan.mode, cycle=catalog.cycle(current, plan))
    try:
        return quote_change(terms, billing_of(order.subscription.schedule), change)
    except InputRefused as refused:
        return Impossible((Reason(ReasonCode.PRICE_REFUSED, str(refused)),))


def _unavailable(request: PlaceOrder) -> list[Reason]:
    fields = list(request.unavailable)
    if request.effective != NOW and "effective" not in fields:
        fields.append("effective")
    return [Reason(ReasonCode.NOT_AVAILABLE_YET, field) for field in fields]


def _asks_for_what_is_in_force(order: Asked) -> bool:
    request, subscription = order.request, order.subscription
    if request.seats not in (None, subscription.seats):
        return False
    if request.plan in (None, subscription.plan):
        return _has_the_modules(order)
    plan = _target_plan(order)
    return plan is not None and plan.id == subscription.plan and _has_the_modules(order)


def _has_the_modules(order: Asked) -> bool:
    """A module that the tier includes is there without being an item."""
    request, present = order.request, frozenset(order.subscription.modules)
    if not request.modules:
        return not request.modules_complete or not present
    catalog, plan = order.kept or order.catalog, _plan_in_force(order)
    included = catalog.tier(plan.tier).includes if plan else frozenset[str]()
    wished = included.union(_named_modules(order, catalog)) - included
    return wished == present if request.modules_complete else wished <= present


def _named_modules(order: Asked, catalog: Catalog) -> tuple[str, ...]:
    """By our own ids; a word of the channel that the price book does not know stays as it is."""
    found = {name: catalog.module_for_alias(order.command.channel, name) for name in order.request.modules}
    return tuple(name if module is None else module.id for name, module in found.items())


def _plan_in_force(order: Asked) -> Plan | None:
    """As it was bought; where that price book is not known here, as it is sold now."""
    return (order.kept or order.catalog).plan(order.subscription.plan)


def _target_plan(order: Asked) -> Plan | None:
    """Our own id first: the normalizer has already replaced the aliases that it knew.

    The plan in force is the one that was bought, also when it is sold no more.
    """
    wanted = order.request.plan or order.subscription.plan
    if wanted == order.subscription.plan:
        return _plan_in_force(order)
    found = order.catalog.plan(wanted) or order.catalog.plan_for_alias(order.command.channel, wanted)
    return _plan_in_force(order) if found and found.id == order.subscription.plan else found


def _price_book(order: Asked, current: Plan, plan: Plan) -> Catalog | Reason:
    """The newest for another plan; for the plan in force the one that it was bought under."""
    if plan.id == order.subscription.plan:
        return order.kept or _not_published(order)
    if order.kept is not order.catalog and all(tier.name != current.tier for tier in order.catalog.tiers):
        detail = f"tier {current.tier!r} of the plan in force is not in catalog {order.catalog.version}"
        return Reason(ReasonCode.PRICE_REFUSED, detail)
    return order.catalog


def _not_published(order: Asked) -> Reason:
    version, plan = order.subscription.catalog_version, order.subscription.plan
    detail = f"catalog {version}, under which {plan} was bought, is not among the published versions"
    return Reason(ReasonCode.PRICE_REFUSED, detail)


def _unknown_plans(order: Asked, current: Plan | None, plan: Plan | None) -> list[Reason]:
    version = order.catalog.version
    reasons = []
    if plan is None:
        wanted = order.request.plan or order.subscription.plan
        reasons.append(Reason(ReasonCode.PLAN_UNKNOWN, f"{wanted!r} is not in catalog {version}"))
    elif current is None:
        version = (order.kept or order.catalog).version
        detail = f"the plan in force, {order.subscription.plan!r}, is not in catalog {version}"
        reasons.append(Reason(ReasonCode.PLAN_UNKNOWN, detail))
    return reasons


def _seats_out_of_range(plan: Plan | None, seats: int) -> list[Reason]:
    most = MOST_SEATS if plan is None else min(MOST_SEATS, plan.limits.get("seats", MOST_SEATS))
    if 1 <= seats <= most:
        return []
    return [Reason(ReasonCode.SEATS_OUT_OF_RANGE, f"{seats} seats; possible are 1 to {most}")]
