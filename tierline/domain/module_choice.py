"""Which modules a change leads to: those that are named, those in force that stay, and why others end.

A module that is named must fit the plan, and no other that is named; else there is no choice. One that is in
force and not named stays where it fits; where it does not, it ends, and a note says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tierline.domain.catalog import Catalog, Plan
from tierline.domain.events import Reason
from tierline.domain.reasons import ReasonCode


@dataclass(frozen=True, slots=True)
class ModuleChoice:
    """``modules`` are billed as items of their own, sorted by id; ``notes`` are for whoever ordered."""

    modules: tuple[str, ...]
    notes: tuple[Reason, ...] = ()


# Most subscriptions have none, and most orders name none.
NO_MODULES = ModuleChoice(())


@dataclass(frozen=True, slots=True)
class ModuleWish:
    """``named`` are all that shall be in force where it is ``complete``, else they join those that are."""

    named: tuple[str, ...] = ()
    complete: bool = False


def choose_modules(
    catalog: Catalog, plan: Plan, currency: str, present: Sequence[str], wish: ModuleWish
) -> ModuleChoice | tuple[Reason, ...]:
    """The modules beside ``plan`` by this price book, or every reason why there is no such choice."""
    if not wish.named and not present:
        return NO_MODULES
    named = sorted(set(wish.named))
    included = catalog.tier(plan.tier).includes
    kept = () if wish.complete else tuple(sorted(set(present).difference(named)))
    asked = [module for module in named if module not in included]
    refused = [*_unfit(catalog, plan, asked), *_exclusive(catalog, asked)]
    chosen, notes = asked, [_included(plan, module) for module in named if module in included]
    for module in kept:
        note = _included(plan, module) if module in included else _ended(catalog, plan, module, chosen)
        if note is None:
            chosen = [*chosen, module]
        else:
            notes.append(note)
    refused += _without_price(catalog, plan, currency, chosen)
    return tuple(refused) or ModuleChoice(tuple(sorted(chosen)), tuple(notes))


def _unfit(catalog: Catalog, plan: Plan, asked: Sequence[str]) -> Iterator[Reason]:
    for module in asked:
        if module not in catalog.modules:
            yield Reason(ReasonCode.MODULE_UNKNOWN, f"{module!r} is not in catalog {catalog.version}")
        elif plan.tier not in catalog.modules[module].tiers:
            yield Reason(ReasonCode.MODULE_NOT_FITTING, f"{module} does not go with {plan.id}")


def _exclusive(catalog: Catalog, asked: Sequence[str]) -> Iterator[Reason]:
    for first, second in catalog.exclusions(asked):
        yield Reason(ReasonCode.MODULES_EXCLUSIVE, f"{first} and {second} exclude each other")


def _without_price(catalog: Catalog, plan: Plan, currency: str, chosen: Sequence[str]) -> Iterator[Reason]:
    for module in chosen:
        known = catalog.modules.get(module)
        if known is not None and known.price(plan.interval, currency) is None:
            detail = f"{module} has no price in {currency} for {plan.interval}"
            yield Reason(ReasonCode.MODULE_NOT_SOLD, detail)


def _included(plan: Plan, module: str) -> Reason:
    return Reason(ReasonCode.MODULE_INCLUDED, f"{module} is part of {plan.id}")


def _ended(catalog: Catalog, plan: Plan, module: str, chosen: Sequence[str]) -> Reason | None:
    if module not in catalog.modules:
        return Reason(ReasonCode.MODULE_ENDED, f"{module} is not in catalog {catalog.version}")
    if plan.tier not in catalog.modules[module].tiers:
        return Reason(ReasonCode.MODULE_ENDED, f"{module} does not go with {plan.id}")
    other = next((other for other in chosen if catalog.exclusions((module, other))), None)
    if other is not None:
        return Reason(ReasonCode.MODULE_ENDED, f"{module} does not go with {other}")
    return None
