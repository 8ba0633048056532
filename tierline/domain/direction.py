"""Upgrade or downgrade: defined here once.

Tier rank decides; at equal tier the longer interval; then seats; then modules. The first difference
decides for the whole change, so a mixed one (tier up, seats down) is one upgrade, all at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tierline.domain.catalog import Catalog, Plan, months_in
from tierline.domain.values import quickly_made


class Direction(StrEnum):
    """``lateral``: another plan with the same tier, interval, seats and modules."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    LATERAL = "lateral"
    UNCHANGED = "unchanged"


@quickly_made
@dataclass(frozen=True, slots=True)
class Choice:
    """What a subscription has, or asks for."""

    plan: Plan
    seats: int
    modules: frozenset[str] = frozenset()


def direction(catalog: Catalog, current: Choice, target: Choice) -> Direction:
    """The direction of a change. Modules swapped for others are an upgrade: something new is asked for."""
    here, there = _standing(catalog, current), _standing(catalog, target)
    if here != there:
        return Direction.UPGRADE if there > here else Direction.DOWNGRADE
    if target.modules - current.modules:
        return Direction.UPGRADE
    if current.modules - target.modules:
        return Direction.DOWNGRADE
    return Direction.UNCHANGED if current.plan.id == target.plan.id else Direction.LATERAL


def _standing(catalog: Catalog, choice: Choice) -> tuple[object, ...]:
    return catalog.tier(choice.plan.tier).rank, months_in(choice.plan.interval), choice.seats
