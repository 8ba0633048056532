"""What a person asks to compare: plan, seats and modules, held against catalog and subscription."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from tierline.domain.account import OpenAccount
from tierline.domain.account_credit import open_to
from tierline.domain.billing import AccountTerms, Change
from tierline.domain.calendar import local_date, zone_named
from tierline.domain.catalog import Catalog, Offer, Plan
from tierline.domain.direction import Choice, Direction, direction
from tierline.domain.discounts import Discount
from tierline.domain.invariant import BrokenInvariant
from tierline.domain.module_choice import ModuleChoice, ModuleWish, choose_modules
from tierline.domain.proposal import MOST_SEATS
from tierline.domain.refusal import InputRefused
from tierline.domain.schedule import billing_of
from tierline.domain.subscription import ActiveSubscription
from tierline.domain.totals import Totals, in_force_at, three_totals


@dataclass(frozen=True, slots=True)
class Wish:
    """The target: ``seats`` None keeps those in force; ``modules`` None keeps those that fit the new tier."""

    plan: str
    seats: int | None = None
    modules: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The three totals of a wish with the names behind them.

    ``annual`` and ``offer`` are what the annual way buys; ``why_not_annual`` says why that way is missing.
    ``choice``: the modules afterwards, and what is told of those that end.
    """

    account_id: str
    subscription_id: str
    current: Plan
    current_seats: int
    current_modules: tuple[str, ...]
    plan: Plan
    seats: int
    choice: ModuleChoice
    direction: Direction
    annual: Plan | None
    offer: Offer | None
    why_not_annual: str | None
    catalog_version: str
    totals: Totals


@dataclass(frozen=True, slots=True)
class _Case:
    """The wish with everything that it is held against.

    ``catalog`` prices it: the newest, but for the plan in force the one under which it was bought. The annual
    way is always another plan, so the ``newest`` prices that.
    """

    account: OpenAccount
    catalog: Catalog
    newest: Catalog
    current: Plan
    seats: int
    choice: ModuleChoice
    at: datetime
    today: date
    days_left: int


@dataclass(frozen=True, slots=True)
class _Annual:
    plan: Plan
    offer: Offer


def compare(
    account: OpenAccount,
    subscription: ActiveSubscription,
    newest: Catalog,
    kept: Catalog | None,
    wish: Wish,
    at: datetime,
) -> Comparison:
    """Price ``wish`` at the instant ``at`` in all ways that are open, as an order would be.

    ``kept``: the price book under which the plan in force was bought, None where it is not known here.
    Raises InputRefused with its field.
    """
    zone = zone_named(account.time_zone)
    today = local_date(at, zone)
    terms = AccountTerms(account.time_zone, account.currency, open_to(account, subscription))
    billing = in_force_at(terms, billing_of(subscription.schedule), at)
    current = _in_force(kept or newest, subscription.plan)
    catalog = _price_book(subscription, newest, kept, wish)
    plan = _plan(catalog, account, wish.plan, today)
    case = _Case(
        account,
        catalog,
        newest,
        current,
        _seats(plan, subscription.seats if wish.seats is None else wish.seats),
        _choice(catalog, plan, account.currency, wish.modules, subscription.modules),
        at,
        today,
        (local_date(billing.period.end, zone) - today).days,
    )
    way = _direction(case, plan, subscription)
    annual = _annual(case, plan)
    yearly = annual if isinstance(annual, _Annual) else None
    return Comparison(
        account.account_id,
        subscription.subscription_id,
        current,
        subscription.seats,
        subscription.modules,
        plan,
        case.seats,
        case.choice,
        way,
        yearly.plan if yearly else None,
        yearly.offer if yearly else None,
        annual if isinstance(annual, str) else None,
        catalog.version,
        three_totals(
            terms,
            billing,
            _change(case, catalog, plan),
            _change(case, newest, yearly.plan, _discount(yearly.offer)) if yearly else None,
        ),
    )


def _in_force(catalog: Catalog, plan_id: str) -> Plan:
    plan = catalog.plan(plan_id)
    if plan is None:
        raise InputRefused("plan", f"{plan_id!r}, the plan in force, is not in catalog {catalog.version}")
    return plan


def _price_book(
    subscription: ActiveSubscription, newest: Catalog, kept: Catalog | None, wish: Wish
) -> Catalog:
    wanted = newest.plan(wish.plan)
    if wish.plan != subscription.plan and (wanted is None or wanted.id != subscription.plan):
        return newest
    if kept is None:
        version = subscription.catalog_version
        raise InputRefused(
            "plan", f"catalog {version}, under which {subscription.plan} was bought, is not published here"
        )
    return kept


def _plan(catalog: Catalog, account: OpenAccount, wanted: str, today: date) -> Plan:
    plan = catalog.plan(wanted)
    if plan is None:
        raise InputRefused("plan", f"{wanted!r} is not in catalog {catalog.version}")
    if account.currency not in plan.prices:
        sold = ", ".join(sorted(plan.prices))
        raise InputRefused("plan", f"{plan.id} has no price in {account.currency}, only in {sold}")
    if not plan.sellable(today, account.country):
        raise InputRefused("plan", f"{plan.id} is not sold in {account.country} on {today}")
    return plan


def _seats(plan: Plan, seats: int) -> int:
    most = min(MOST_SEATS, plan.limits.get("seats", MOST_SEATS))
    if plan.minimum_seats <= seats <= most:
        return seats
    raise InputRefused("seats", f"{plan.id} takes {plan.minimum_seats:,} to {most:,} seats, not {seats:,}")


def _choice(
    catalog: Catalog, plan: Plan, currency: str, wished: tuple[str, ...] | None, present: Sequence[str]
) -> ModuleChoice:
    """The modules that an order would lead to; what the plan includes is no item of its own."""
    wish = ModuleWish() if wished is None else ModuleWish(wished, complete=True)
    choice = choose_modules(catalog, plan, currency, present, wish)
    if not isinstance(choice, ModuleChoice):
        raise InputRefused("modules", choice[0].detail)
    return choice


def _direction(case: _Case, plan: Plan, subscription: ActiveSubscription) -> Direction:
    before = Choice(case.current, subscription.seats, frozenset(subscription.modules))
    found = direction(case.catalog, before, Choice(plan, case.seats, frozenset(case.choice.modules)))
    if found is Direction.UNCHANGED:
        raise InputRefused("plan", f"{plan.id} with {case.seats} seats and these modules is in force already")
    return found


def _change(case: _Case, catalog: Catalog, plan: Plan, *discounts: Discount) -> Change:
    items = catalog.items(plan, case.account.currency, case.seats, case.choice.modules)
    if items is None:
        raise BrokenInvariant(f"{plan.id} and its modules lost their price in {case.account.currency}")
    return Change(case.at, items, discounts, plan.mode, catalog.cycle(case.current, plan))


def _annual(case: _Case, plan: Plan) -> _Annual | str:
    """The plan of the same tier by the year with the best offer that is open, or why there is none."""
    currency = case.account.currency
    twin = case.newest.annual_of(plan, currency)
    if twin is None:
        return f"{plan.tier} is not sold by the year in {currency}"
    if not twin.sellable(case.today, case.account.country):
        return f"{twin.id} is not sold in {case.account.country} on {case.today}"
    if case.seats < twin.minimum_seats:
        return f"{twin.id} takes at least {twin.minimum_seats:,} seats"
    if case.newest.items(twin, currency, case.seats, case.choice.modules) is None:
        return f"a module has no yearly price in {currency}"
    offers = case.newest.offers_for(twin, case.days_left)
    if offers:
        return _Annual(twin, max(offers, key=lambda offer: (offer.percent, offer.id)))
    windows = [offer.within_days for offer in case.newest.offers if twin.id in offer.plans]
    if not windows:
        return f"there is no offer for {twin.id}"
    return f"the offer opens {max(windows)} days before the renewal, which is {case.days_left} days away"


def _discount(offer: Offer) -> Discount:
    return Discount(percent=offer.percent, periods=offer.periods, id=offer.id)
