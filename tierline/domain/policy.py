"""How strict each eligibility rule is, by channel and account segment: a value that arrives from the edge.

A rule is named after the reason that it gives. What it checks is code (``eligibility.py``); what happens
when it fails is data: reject, hold, warn, or shadow, which records the verdict and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tierline.domain.events import Verdict
from tierline.domain.reasons import ReasonCode


class Severity(StrEnum):
    """What a failing rule does to the order."""

    REJECT = "reject"
    HOLD = "hold"
    WARN = "warn"
    SHADOW = "shadow"


class Rule(StrEnum):
    """The rules, in the order in which verdicts are given."""

    STALE_ORDER = "stale_order"
    ACCOUNT_SUSPENDED = "account_suspended"
    ARREARS = "arrears"
    PLAN_NOT_SOLD = "plan_not_sold"
    NOT_AN_UPGRADE = "not_an_upgrade"
    BELOW_TIER_MINIMUM = "below_tier_minimum"
    COMMITMENT_REMAINING = "commitment_remaining"
    CONTRACT_ENDS_FIRST = "contract_ends_first"

    @property
    def reason(self) -> ReasonCode:
        """The reason that the rule gives when it fails."""
        return ReasonCode(self.value.upper())


# Rules that guard what was promised or what can be computed: they may stop an order later, never let it pass.
STOPPING = frozenset({Severity.REJECT, Severity.HOLD})
ALLOWED: Mapping[Rule, frozenset[Severity]] = {
    rule: STOPPING if rule in (Rule.STALE_ORDER, Rule.NOT_AN_UPGRADE) else frozenset(Severity)
    for rule in Rule
}

PASS = "PASS"  # noqa: S105 - a verdict
FAIL = "FAIL"
ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Override:
    """Another severity for one rule; ``channel`` or ``segment`` None means all of them."""

    rule: Rule
    severity: Severity
    channel: str | None = None
    segment: str | None = None

    def applies(self, channel: str, segment: str) -> bool:
        """Whether orders of that channel for accounts of that segment are meant."""
        return self.channel in (None, channel) and self.segment in (None, segment)


@dataclass(frozen=True, slots=True)
class Strictness:
    """The severities for one channel and segment, with the verdicts of an order that passes every rule."""

    severities: Mapping[Rule, Severity]
    all_passed: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the rules' severities. The last override that applies wins."""

    version: str
    severities: Mapping[Rule, Severity]
    overrides: tuple[Override, ...] = ()
    _known: dict[tuple[str | None, str | None], Strictness] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def strictness(self, channel: str, segment: str) -> Strictness:
        """The severities that hold for an order of ``channel`` for an account of ``segment``."""
        key = (
            channel if any(o.channel == channel for o in self.overrides) else None,
            segment if any(o.segment == segment for o in self.overrides) else None,
        )
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._strictness(channel, segment)
        return known

    def _strictness(self, channel: str, segment: str) -> Strictness:
        severities = dict(self.severities)
        for override in self.overrides:
            if override.applies(channel, segment):
                severities[override.rule] = override.severity
        passed = tuple(Verdict(rule.value, PASS, severities[rule].value, "") for rule in Rule)
        return Strictness(severities, passed)
