"""A scenario: one self-contained JSON document whose quote anybody can check by hand.

It holds an account, a subscription and a change that takes effect at ``change.at`` as given: nothing is
deferred and nobody is asked whether it is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tierline.domain.billing import AccountTerms, BillingState, Change
from tierline.domain.billing_record import billing_from_record, discounts_from, items_from
from tierline.domain.cycles import Cycle
from tierline.domain.fields import Fields
from tierline.domain.modes import Mode
from tierline.domain.proration import quote_change
from tierline.domain.quote import Quote
from tierline.domain.refusal import InputRefused

RESERVED_CYCLE = "coterm"
_ACCOUNT = ("time_zone", "currency", "credit_minor", "minimum_due_minor", "carried_minor")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What ``quote_change`` is asked."""

    account: AccountTerms
    billing: BillingState
    change: Change


def read_scenario(document: object, exponents: Mapping[str, int]) -> Scenario:
    """The scenario of a decoded JSON document. Refuses anything that is not one, naming the field."""
    top = Fields.of(document, "", ("account", "subscription", "change", "mode", "cycle"))
    change = top.inner("change", ("at", "items", "discounts"))
    return Scenario(
        _account(top.inner("account", _ACCOUNT), exponents),
        billing_from_record(top.values.get("subscription")),
        Change(
            change.moment("at"),
            items_from(change, "items"),
            discounts_from(change, "discounts"),
            top.choice("mode", Mode) if top.has("mode") else Mode.DAY,
            _cycle(top),
        ),
    )


def quote_scenario(document: object, exponents: Mapping[str, int]) -> Quote:
    """Read the scenario and price its change."""
    scenario = read_scenario(document, exponents)
    return quote_change(scenario.account, scenario.billing, scenario.change)


def _account(fields: Fields, exponents: Mapping[str, int]) -> AccountTerms:
    currency = fields.text("currency")
    if currency not in exponents:
        raise InputRefused(fields.where("currency"), f"{currency!r} is not in ISO 4217, or has no minor unit")
    return AccountTerms(
        fields.text("time_zone"),
        currency,
        fields.whole("credit_minor", 0),
        fields.whole("minimum_due_minor", 0),
        fields.whole("carried_minor", 0),
    )


def _cycle(top: Fields) -> Cycle | None:
    if not top.has("cycle"):
        return None
    if top.text("cycle") == RESERVED_CYCLE:
        raise InputRefused("cycle", "coterm is reserved and cannot be chosen yet")
    return top.choice("cycle", Cycle)
