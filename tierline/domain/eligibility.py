"""The eligibility rules: each says why it fails, or None. How strict a failure is, the policy says.

A rule about the target is not answered (verdict ERROR) where the order has no target that could be judged;
such an order is rejected for what made it impossible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from tierline.domain.billing import Item
from tierline.domain.calendar import Interval, billing_date, instant_of, month_of
from tierline.domain.catalog import months_in
from tierline.domain.direction import Direction
from tierline.domain.events import BilledItem, Reason, Verdict
from tierline.domain.moments import text_of_moment, text_of_ms
from tierline.domain.policy import ERROR, FAIL, PASS, Rule, Severity, Strictness
from tierline.domain.proposal import Asked, Impossible, Proposal, Target, Unchanged
from tierline.domain.quote import Quote
from tierline.domain.schedule import interval_of_text
from tierline.domain.values import quickly_made

STANDING_SUSPENDED = "suspended"
STANDING_ARREARS = "arrears"

ALL_RULES = tuple(Rule)
NO_TARGET = "not answered: the order has no target that could be judged"


@quickly_made
@dataclass(frozen=True, slots=True)
class Findings:
    """Why rules fail and why rules could not be answered, by rule; ``asked`` are all that were put."""

    asked: tuple[Rule, ...]
    failing: Mapping[Rule, str]
    unanswered: Mapping[Rule, str]


def findings_of(order: Asked, proposal: Proposal) -> Findings:
    """Put the rules to an order. Where nothing would change, only whether it is stale matters."""
    failing: dict[Rule, str] = {}
    unanswered: dict[Rule, str] = {}
    _put(Rule.STALE_ORDER, stale_order(order), failing)
    if isinstance(proposal, Unchanged):
        return Findings((Rule.STALE_ORDER,), failing, unanswered)
    for rule, check in RULES_OF_ORDER.items():
        _put(rule, check(order), failing)
    if isinstance(proposal, Impossible):
        unanswered = dict.fromkeys((*RULES_OF_TARGET, Rule.CONTRACT_ENDS_FIRST), NO_TARGET)
        return Findings(ALL_RULES, failing, unanswered)
    for rule, judge in RULES_OF_TARGET.items():
        _put(rule, judge(order, proposal), failing)
    _put(Rule.CONTRACT_ENDS_FIRST, contract_ends_first(order, proposal.quote), failing)
    return Findings(ALL_RULES, failing, unanswered)


def verdicts_of(strictness: Strictness, found: Findings) -> tuple[Verdict, ...]:
    """One verdict per rule that was put, in the order of the rules."""
    if len(found.asked) == len(ALL_RULES) and not found.failing and not found.unanswered:
        return strictness.all_passed
    return tuple(_verdict(rule, strictness.severities[rule], found) for rule in found.asked)


def _verdict(rule: Rule, severity: Severity, found: Findings) -> Verdict:
    if rule in found.failing:
        return Verdict(rule.value, FAIL, severity.value, found.failing[rule])
    if rule in found.unanswered:
        return Verdict(rule.value, ERROR, severity.value, found.unanswered[rule])
    return Verdict(rule.value, PASS, severity.value, "")


def _put(rule: Rule, detail: str | None, failing: dict[Rule, str]) -> None:
    if detail is not None:
        failing[rule] = detail


def reasons_with(severity: Severity, strictness: Strictness, found: Findings) -> tuple[Reason, ...]:
    """The reasons of the failing rules that are this severe."""
    return tuple(
        Reason(rule.reason, detail)
        for rule, detail in found.failing.items()
        if strictness.severities[rule] is severity
    )


def stale_order(order: Asked) -> str | None:
    """Taken in before the last accepted order; at the same moment is not stale."""
    newest, received_at = order.subscription.accepted_at, order.command.received_at
    if newest is None or received_at >= newest:
        return None
    return f"received {text_of_ms(received_at)}, the last accepted order {text_of_ms(newest)}"


def account_suspended(order: Asked) -> str | None:
    """The account is suspended."""
    return "the account is suspended" if order.account.standing == STANDING_SUSPENDED else None


def arrears(order: Asked) -> str | None:
    """The account owes an overdue invoice."""
    return "the account is in arrears" if order.account.standing == STANDING_ARREARS else None


def plan_not_sold(order: Asked, target: Target) -> str | None:
    """The plan is not sold in the account's country, or not on that local day."""
    if target.plan.sellable(order.today, order.account.country):
        return None
    return f"{target.plan.id} is not sold in {order.account.country} on {order.today.isoformat()}"


def not_an_upgrade(order: Asked, target: Target) -> str | None:
    """The change leads down or sideways."""
    if target.direction is Direction.UPGRADE:
        return None
    here = f"{order.subscription.plan} with {order.subscription.seats} seats"
    there = f"{target.plan.id} with {target.seats}"
    before, after = order.subscription.modules, target.choice.modules
    if before != after:
        here, there = f"{here} and {_named(before)}", f"{there} and {_named(after)}"
    return f"{here} to {there} is {target.direction.value}"


def below_tier_minimum(_: Asked, target: Target) -> str | None:
    """Fewer seats than the plan's minimum."""
    if target.seats >= target.plan.minimum_seats:
        return None
    return f"{target.plan.id} needs at least {target.plan.minimum_seats} seats, ordered are {target.seats}"


def commitment_remaining(order: Asked, target: Target) -> str | None:
    """Inside the minimum term: a lower monthly price, or one that misses the minimum spend per month.

    Prices are those of the plan and its modules, before discounts.
    """
    contract = order.subscription.contract
    if contract is None or contract.minimum_term_months == 0:
        return None
    term_ends = _months_after(date.fromisoformat(contract.start), contract.minimum_term_months)
    if order.today >= term_ends:
        return None
    wished, items = target.quote.after.items, order.subscription.schedule.items
    monthly = _monthly(wished, wished[0].interval)
    current = _monthly(items, interval_of_text(items[0].interval))
    until = f"until {term_ends.isoformat()}"
    if monthly < current:
        return f"the monthly price would fall from {current} to {monthly} {until}"
    if monthly < contract.minimum_spend_minor:
        return f"the monthly price {monthly} would miss the minimum {contract.minimum_spend_minor} {until}"
    return None


def contract_ends_first(order: Asked, quote: Quote) -> str | None:
    """The new period ends after the day that follows the contract's last day."""
    contract = order.subscription.contract
    if contract is None:
        return None
    limit = date.fromisoformat(contract.end) + timedelta(days=1)
    end = quote.after.period.end
    if isinstance(end, datetime):
        fits = instant_of(end, order.zone) <= instant_of(limit, order.zone)
    else:
        fits = end <= limit
    if fits:
        return None
    return f"the contract's last day is {contract.end}, the new period ends {text_of_moment(end)}"


def _monthly(items: Sequence[Item] | Sequence[BilledItem], interval: Interval) -> Fraction:
    return Fraction(sum(item.list_minor for item in items), months_in(interval))


def _named(modules: Sequence[str]) -> str:
    return ", ".join(modules) or "no module"


def _months_after(day: date, months: int) -> date:
    return billing_date(month_of(day) + months, day.day)


RULES_OF_ORDER: Mapping[Rule, Callable[[Asked], str | None]] = {
    Rule.ACCOUNT_SUSPENDED: account_suspended,
    Rule.ARREARS: arrears,
}

RULES_OF_TARGET: Mapping[Rule, Callable[[Asked, Target], str | None]] = {
    Rule.PLAN_NOT_SOLD: plan_not_sold,
    Rule.NOT_AN_UPGRADE: not_an_upgrade,
    Rule.BELOW_TIER_MINIMUM: below_tier_minimum,
    Rule.COMMITMENT_REMAINING: commitment_remaining,
}
