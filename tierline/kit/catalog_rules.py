"""What must hold across a catalog: names that exist, aliases that are clear, policies that are possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tierline.domain.catalog import Catalog, Module, Plan
from tierline.domain.cycles import Cycle
from tierline.domain.modes import Mode

Finding = tuple[str, str]


def catalog_problems(catalog: Catalog) -> Iterator[Finding]:
    """Each problem as (place, reason); a place is ``plans.<id>.<field>``, ``modules…`` or ``offers…``."""
    if not catalog.tiers:
        yield "", "a catalog needs at least one tier"
    if not catalog.plans:
        yield "", "a catalog needs at least one plan"
    for plan in catalog.plans.values():
        yield from _plan_problems(catalog, plan)
    yield from _name_problems("plan", catalog.plans)
    yield from _name_problems("module", catalog.modules)
    yield from _module_problems(catalog)
    yield from _included_problems(catalog)
    for offer in catalog.offers:
        if not 0 < offer.percent <= 100:
            yield (
                f"offers.{offer.id}.",
                f"offer {offer.id} gives {offer.percent} percent; it must be above 0, at most 100",
            )
        for unknown in sorted(offer.plans - catalog.plans.keys()):
            yield f"offers.{offer.id}.", f"offer {offer.id} names the unknown plan {unknown!r}"


def _plan_problems(catalog: Catalog, plan: Plan) -> Iterator[Finding]:
    place = f"plans.{plan.id}"
    if plan.tier not in {tier.name for tier in catalog.tiers}:
        yield f"{place}.tier", f"plan {plan.id} names the unknown tier {plan.tier!r}"
    if plan.mode.needs_months and plan.interval.days:
        yield f"{place}.proration", f"{plan.mode} is for month-based intervals, not {plan.interval}"
    if plan.sellable_from and plan.sellable_to and plan.sellable_to <= plan.sellable_from:
        yield f"{place}.sellable", "to must come after from; to itself is not sold any more"
    for current_id, cycle in plan.cycles.items():
        reason = _cycle_problem(catalog.plans.get(current_id), plan, cycle, current_id)
        if reason:
            yield f"{place}.cycles.{current_id}", reason


def _cycle_problem(current: Plan | None, plan: Plan, cycle: Cycle, current_id: str) -> str | None:
    if current is None:
        return f"the cycle from {current_id!r} names an unknown plan"
    if cycle is Cycle.KEEP_PERIOD and current.interval != plan.interval:
        return f"keep_period needs equal intervals, not {current.interval} ({current.id}) and {plan.interval}"
    if cycle is Cycle.KEEP_BILLING_DAY and current.interval.days:
        return f"keep_billing_day needs a billing day, which {current.id} ({current.interval}) does not have"
    if plan.mode is Mode.NONE and cycle is not Cycle.KEEP_PERIOD:
        return f"proration none is only possible with keep_period, not with {cycle}"
    return None


def _name_problems(kind: str, sold: Mapping[str, Plan] | Mapping[str, Module]) -> Iterator[Finding]:
    """Ids of one kind differ in more than case; a channel's alias means one of them, whatever its case."""
    owners: dict[tuple[str, str], str] = {}
    for one in sold:
        owner = owners.setdefault(("", one.casefold()), one)
        if owner != one:
            yield f"{kind}s.{one}.", f"{kind} {one} differs from {owner} only in case"
    for one, terms in sold.items():
        for channel, names in terms.aliases.items():
            for name in names:
                own_id = owners.get(("", name.casefold()), one)
                owner = owners.setdefault((channel, name.casefold()), one)
                if one not in (own_id, owner) or own_id != owner:
                    other = own_id if own_id != one else owner
                    yield f"{kind}s.{one}.aliases", f"alias {name} of {channel} already means {other}"


def _module_problems(catalog: Catalog) -> Iterator[Finding]:
    tiers = {tier.name for tier in catalog.tiers}
    for module in catalog.modules.values():
        place = f"modules.{module.id}"
        for unknown in sorted(module.tiers - tiers):
            yield f"{place}.tiers", f"module {module.id} names the unknown tier {unknown!r}"
        for unknown in sorted(module.excludes - catalog.modules.keys()):
            yield f"{place}.excludes", f"module {module.id} excludes the unknown module {unknown!r}"
        if module.id == "base" or module.id in catalog.plans:
            yield f"{place}.", f"module {module.id} needs an id of its own: base and plan ids are taken"
    for tier in catalog.tiers:
        for unknown in sorted(tier.includes - catalog.modules.keys()):
            yield "", f"tier {tier.name} includes the unknown module {unknown!r}"


def _included_problems(catalog: Catalog) -> Iterator[Finding]:
    """A module that a tier includes ends with the change to it; what it gave must go on."""
    includes = {tier.name: tier.includes for tier in catalog.tiers}
    for plan in catalog.plans.values():
        for module in sorted(includes.get(plan.tier, frozenset()) & catalog.modules.keys()):
            for lacking in sorted(set(catalog.modules[module].features).difference(plan.features)):
                reason = f"plan {plan.id} lacks {lacking} of {module}, which its tier includes"
                yield f"plans.{plan.id}.features", reason
