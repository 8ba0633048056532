"""A catalog as plain values, and what two of them differ in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tierline.domain.catalog import Catalog, Module, Plan, Price

Record = dict[str, object]


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs. ``place`` is its path; None stands for "is not there"."""

    place: str
    before: object
    after: object

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.place}: {self.after}"
        if self.after is None:
            return f"- {self.place}: {self.before}"
        return f"~ {self.place}: {self.before} -> {self.after}"


def catalog_record(catalog: Catalog) -> Record:
    """The whole catalog; sets are sorted, so that equal catalogs give equal records."""
    return {
        "version": catalog.version,
        "tiers": {
            tier.name: {"rank": tier.rank, "includes": sorted(tier.includes)} for tier in catalog.tiers
        },
        "plans": {plan.id: plan_record(plan) for plan in catalog.plans.values()},
        "modules": {module.id: _module_record(module) for module in catalog.modules.values()},
        "offers": {
            offer.id: {
                "plans": sorted(offer.plans),
                "percent": str(offer.percent),
                "within_days": offer.within_days,
                "periods": offer.periods,
            }
            for offer in catalog.offers
        },
    }


def plan_record(plan: Plan) -> Record:
    """One plan with everything that orders and prices depend on."""
    return {
        "name": plan.name,
        "tier": plan.tier,
        "interval": str(plan.interval),
        "prices": _prices_record(plan.prices),
        "minimum_seats": plan.minimum_seats,
        "features": list(plan.features),
        "limits": dict(plan.limits),
        "countries": sorted(plan.countries),
        "sellable_from": plan.sellable_from.isoformat() if plan.sellable_from else None,
        "sellable_to": plan.sellable_to.isoformat() if plan.sellable_to else None,
        "proration": plan.mode.value,
        "cycles": {current: cycle.value for current, cycle in plan.cycles.items()},
        "aliases": {channel: list(names) for channel, names in plan.aliases.items()},
    }


def differences(before: Catalog, after: Catalog) -> tuple[Difference, ...]:
    """Every value that differs, in order of its path. The version is not compared."""
    old, new = (dict(_leaves(catalog_record(catalog), "")) for catalog in (before, after))
    places = sorted((old.keys() | new.keys()) - {"version"})
    return tuple(
        Difference(place, old.get(place), new.get(place))
        for place in places
        if old.get(place) != new.get(place)
    )


def _module_record(module: Module) -> Record:
    return {
        "name": module.name,
        "features": list(module.features),
        "tiers": sorted(module.tiers),
        "excludes": sorted(module.excludes),
        "prices": {str(interval): _prices_record(prices) for interval, prices in module.prices.items()},
        "aliases": {channel: list(names) for channel, names in module.aliases.items()},
    }


def _prices_record(prices: Mapping[str, Price]) -> Record:
    return {
        currency: {
            "flat_minor": price.flat_minor,
            "per_seat_minor": price.per_seat_minor,
            "included": price.included,
        }
        for currency, price in prices.items()
    }


def _leaves(value: object, place: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}.{name}" if place else name)
    elif value not in ({}, [], None):
        yield place, value
