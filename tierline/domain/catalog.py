"""The price book as an immutable value: tiers, plans, modules, offers, and what they cost.

It arrives validated from the edge; its ``version`` is named by every price and event that came from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from itertools import combinations
from typing import TypeVar

from tierline.domain.billing import BASE_ITEM, Item
from tierline.domain.calendar import Interval
from tierline.domain.cycles import Cycle, default_cycle
from tierline.domain.modes import Mode

# The mean Gregorian month, so that week plans can be compared with monthly ones.
DAYS_PER_MONTH = Fraction(146_097, 4_800)
MONTHS_PER_YEAR = 12

Named = TypeVar("Named")
Sold = TypeVar("Sold")


@dataclass(frozen=True, slots=True)
class Tier:
    """``rank`` 0 is the lowest. ``includes``: modules whose features every plan of the tier already has."""

    name: str
    rank: int
    includes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Price:
    """Minor units for a whole interval: flat + max(0, seats - included) x per seat."""

    flat_minor: int
    per_seat_minor: int = 0
    included: int = 0

    def of(self, seats: int) -> int:
        """The price for that many seats."""
        return self.flat_minor + max(0, seats - self.included) * self.per_seat_minor


@dataclass(frozen=True, slots=True)
class Plan:
    """A tier at a billing interval. Empty ``countries`` means everywhere; ``sellable_to`` is exclusive."""

    id: str
    name: str
    tier: str
    interval: Interval
    prices: Mapping[str, Price]
    minimum_seats: int = 1
    features: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    countries: frozenset[str] = frozenset()
    sellable_from: date | None = None
    sellable_to: date | None = None
    mode: Mode = Mode.DAY
    cycles: Mapping[str, Cycle] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def price(self, currency: str, seats: int) -> int | None:
        """Minor units for a whole interval; None where the plan has no price in the currency."""
        price = self.prices.get(currency)
        return None if price is None else price.of(seats)

    def sellable(self, on: date, country: str) -> bool:
        """Whether an order of that local day from that country (ISO 3166 alpha-2) may choose the plan."""
        if self.countries and country not in self.countries:
            return False
        started = self.sellable_from is None or self.sellable_from <= on
        return started and (self.sellable_to is None or on < self.sellable_to)


@dataclass(frozen=True, slots=True)
class Module:
    """An add-on bundle, priced per interval and currency. ``tiers`` it fits; all others forbid it."""

    id: str
    name: str
    features: tuple[str, ...]
    tiers: frozenset[str]
    prices: Mapping[Interval, Mapping[str, Price]]
    excludes: frozenset[str] = frozenset()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def price(self, interval: Interval, currency: str) -> Price | None:
        """What it costs beside a plan of that interval; None where it is not sold so."""
        return self.prices.get(interval, {}).get(currency)


@dataclass(frozen=True, slots=True)
class Offer:
    """A discount for those who change to one of ``plans`` within ``within_days`` before their renewal."""

    id: str
    plans: frozenset[str]
    percent: Fraction
    within_days: int
    periods: int | None = 1


@dataclass(frozen=True, slots=True)
class Catalog:
    """One published version of everything that can be sold. Look-ups never raise for an unknown name."""

    version: str
    tiers: tuple[Tier, ...]
    plans: Mapping[str, Plan]
    modules: Mapping[str, Module] = field(default_factory=dict)
    offers: tuple[Offer, ...] = ()
    _tiers: Mapping[str, Tier] = field(init=False, repr=False, compare=False)
    _plans_by_case: Mapping[str, Plan | None] = field(init=False, repr=False, compare=False)
    _aliases: Mapping[tuple[str, str], Plan] = field(init=False, repr=False, compare=False)
    _aliases_by_case: Mapping[tuple[str, str], Plan | None] = field(init=False, repr=False, compare=False)
    _module_names: Mapping[tuple[str, str], Module | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        aliases = {
            (channel, external): plan
            for plan in self.plans.values()
            for channel, names in plan.aliases.items()
            for external in names
        }
        folded = (((channel, name.casefold()), plan) for (channel, name), plan in aliases.items())
        by_case = _unique((plan.id.casefold(), plan) for plan in self.plans.values())
        object.__setattr__(self, "_tiers", {tier.name: tier for tier in self.tiers})
        object.__setattr__(self, "_plans_by_case", by_case)
        object.__setattr__(self, "_aliases", aliases)
        object.__setattr__(self, "_aliases_by_case", _unique(folded))
        object.__setattr__(self, "_module_names", _unique(_module_names(self.modules.values())))

    def tier(self, name: str) -> Tier:
        """The tier of that name; a plan's tier always exists."""
        return self._tiers[name]

    def plan(self, plan_id: str) -> Plan | None:
        """The plan of that id: exactly, else the only one that differs just in case."""
        return self.plans.get(plan_id) or self._plans_by_case.get(plan_id.casefold())

    def plan_for_alias(self, channel: str, external_id: str) -> Plan | None:
        """The plan that a channel calls ``external_id``: its alias, else one of our own plan ids."""
        return (
            self._aliases.get((channel, external_id))
            or self._aliases_by_case.get((channel, external_id.casefold()))
            or self.plan(external_id)
        )

    def module_for_alias(self, channel: str, external_id: str) -> Module | None:
        """The module that a channel calls ``external_id``: its alias, else one of our ids, in any case."""
        name = external_id.casefold()
        return self._module_names.get((channel, name)) or self._module_names.get(("", name))

    def cycle(self, current: Plan, target: Plan) -> Cycle:
        """The cycle policy of this pair of plans."""
        return target.cycles.get(current.id) or default_cycle(current.interval, target.interval)

    def items(
        self, plan: Plan, currency: str, seats: int, modules: Iterable[str] = ()
    ) -> tuple[Item, ...] | None:
        """The plan and its modules as items to bill; None when one has no price in currency and interval.

        A module that is priced per seat has the seats as its quantity, any other has 1.
        """
        base = plan.price(currency, seats)
        if base is None:
            return None
        items = [Item(BASE_ITEM, plan.id, plan.interval, seats, base)]
        for module_id in sorted(modules):
            module = self.modules.get(module_id)
            price = module.price(plan.interval, currency) if module else None
            if price is None:
                return None
            quantity = seats if price.per_seat_minor else 1
            items.append(Item(module_id, module_id, plan.interval, quantity, price.of(seats)))
        return tuple(items)

    def features(self, plan: Plan, modules: Sequence[str]) -> tuple[str, ...]:
        """What the plan gives, then what its modules add to it."""
        if not modules:
            return plan.features
        added = (feature for module in sorted(modules) for feature in self.modules[module].features)
        return tuple(dict.fromkeys((*plan.features, *added)))

    def exclusions(self, modules: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """The pairs among these modules that exclude each other, whichever of the two says so."""
        chosen = sorted(module for module in modules if module in self.modules)
        return tuple(
            (first, second)
            for first, second in combinations(chosen, 2)
            if second in self.modules[first].excludes or first in self.modules[second].excludes
        )

    def annual_of(self, plan: Plan, currency: str) -> Plan | None:
        """The plan of the same tier by the year: itself, else the first by id with such a price."""
        yearly = (
            twin
            for _, twin in sorted(self.plans.items())
            if twin.tier == plan.tier and twin.interval.months == MONTHS_PER_YEAR and currency in twin.prices
        )
        return plan if plan.interval.months == MONTHS_PER_YEAR else next(yearly, None)

    def offers_for(self, plan: Plan, days_to_renewal: int) -> tuple[Offer, ...]:
        """The renewal-window offers open to a change to ``plan`` that many days before the renewal."""
        return tuple(
            offer
            for offer in self.offers
            if plan.id in offer.plans and 0 <= days_to_renewal <= offer.within_days
        )


def months_in(interval: Interval) -> Fraction:
    """The interval in (mean) months."""
    return Fraction(interval.months) if interval.months else Fraction(interval.days, DAYS_PER_MONTH)


def _module_names(modules: Iterable[Module]) -> Iterator[tuple[tuple[str, str], Module]]:
    for module in modules:
        yield ("", module.id.casefold()), module
        for channel, names in module.aliases.items():
            for name in names:
                yield (channel, name.casefold()), module


def _unique(pairs: Iterable[tuple[Named, Sold]]) -> dict[Named, Sold | None]:
    """Names to plans or modules; a name that means two of them means none."""
    found: dict[Named, Sold | None] = {}
    for name, sold in pairs:
        found[name] = sold if found.get(name, sold) is sold else None
    return found
