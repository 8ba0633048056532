"""Reason codes: why an order was rejected, held or failed. A closed set; strings on the wire.

Each code has an owner (who can change the answer), a text that may be shown to a customer, the
operator's action, and whether sending the same order again can help (``retry``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReasonCode(StrEnum):
    """The stable name of a reason; never renamed, never reused."""

    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    ACCOUNT_TERMS_DIFFER = "ACCOUNT_TERMS_DIFFER"
    ALREADY_IN_FORCE = "ALREADY_IN_FORCE"
    ARREARS = "ARREARS"
    BELOW_TIER_MINIMUM = "BELOW_TIER_MINIMUM"
    BILLING_OUT_OF_DATE = "BILLING_OUT_OF_DATE"
    COMMITMENT_REMAINING = "COMMITMENT_REMAINING"
    CONTRACT_ENDS_FIRST = "CONTRACT_ENDS_FIRST"
    EXTERNAL_REF_TAKEN = "EXTERNAL_REF_TAKEN"
    MARKETPLACE_ALREADY_ACCEPTED = "MARKETPLACE_ALREADY_ACCEPTED"
    MODULES_EXCLUSIVE = "MODULES_EXCLUSIVE"
    MODULE_ENDED = "MODULE_ENDED"
    MODULE_INCLUDED = "MODULE_INCLUDED"
    MODULE_NOT_FITTING = "MODULE_NOT_FITTING"
    MODULE_NOT_SOLD = "MODULE_NOT_SOLD"
    MODULE_UNKNOWN = "MODULE_UNKNOWN"
    NOT_AN_UPGRADE = "NOT_AN_UPGRADE"
    NOT_AVAILABLE_YET = "NOT_AVAILABLE_YET"
    OPERATION_OVERTAKEN = "OPERATION_OVERTAKEN"
    OPERATION_REPEATED = "OPERATION_REPEATED"
    ORDER_CONFLICT = "ORDER_CONFLICT"
    ORDER_IN_PROGRESS = "ORDER_IN_PROGRESS"
    ORDER_NOT_ON_HOLD = "ORDER_NOT_ON_HOLD"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    PAYMENT_MISMATCH = "PAYMENT_MISMATCH"
    PERIOD_IN_FORCE = "PERIOD_IN_FORCE"
    PLAN_NOT_SOLD = "PLAN_NOT_SOLD"
    PLAN_UNKNOWN = "PLAN_UNKNOWN"
    PRICE_REFUSED = "PRICE_REFUSED"
    REFERENCE_REUSED = "REFERENCE_REUSED"
    REJECTED_BY_OPERATOR = "REJECTED_BY_OPERATOR"
    SEATS_OUT_OF_RANGE = "SEATS_OUT_OF_RANGE"
    STALE_ORDER = "STALE_ORDER"
    STANDING_IN_FORCE = "STANDING_IN_FORCE"
    SUBSCRIPTION_DATA_INVALID = "SUBSCRIPTION_DATA_INVALID"
    SUBSCRIPTION_ENDED = "SUBSCRIPTION_ENDED"
    SUBSCRIPTION_EXISTS = "SUBSCRIPTION_EXISTS"
    SUBSCRIPTION_SUSPENDED = "SUBSCRIPTION_SUSPENDED"
    SUPERSEDED = "SUPERSEDED"


@dataclass(frozen=True, slots=True)
class ReasonText:
    """What people are told about one reason code."""

    owner: str
    customer: str
    operator: str
    retry: bool


REASONS: dict[ReasonCode, ReasonText] = {
    ReasonCode.ACCOUNT_SUSPENDED: ReasonText(
        "billing",
        "This account is suspended, so its plan cannot be changed.",
        "Settle the suspension with billing; then the channel sends the order under a new reference.",
        retry=True,
    ),
    ReasonCode.ACCOUNT_TERMS_DIFFER: ReasonText(
        "channel",
        "The account exists with other terms.",
        "The detail names what differs; correct the line, or change the account first.",
        retry=False,
    ),
    ReasonCode.ALREADY_IN_FORCE: ReasonText(
        "channel", "This plan is already active. Nothing was charged.", "Nothing to do.", retry=False
    ),
    ReasonCode.ARREARS: ReasonText(
        "billing",
        "An invoice of this account is overdue.",
        "Collect the overdue invoice or relax the rule for this channel in policy/eligibility.yaml.",
        retry=True,
    ),
    ReasonCode.BELOW_TIER_MINIMUM: ReasonText(
        "customer",
        "The chosen plan needs more seats.",
        "The channel orders at least the plan's minimum seats, or a smaller plan.",
        retry=False,
    ),
    ReasonCode.BILLING_OUT_OF_DATE: ReasonText(
        "billing",
        "The billing data of this subscription is out of date, so the change cannot be priced.",
        "The detail says when its period ended. Compare it with the billing system and bring the subscription"
        " up to date; then the channel sends the order under a new reference.",
        retry=True,
    ),
    ReasonCode.COMMITMENT_REMAINING: ReasonText(
        "customer",
        "The current commitment does not allow a lower price yet.",
        "Wait for the end of the minimum term, or have sales amend the contract.",
        retry=False,
    ),
    ReasonCode.CONTRACT_ENDS_FIRST: ReasonText(
        "sales",
        "The contract ends before the new billing period would.",
        "Renew the contract first; then the channel sends the order under a new reference.",
        retry=False,
    ),
    ReasonCode.EXTERNAL_REF_TAKEN: ReasonText(
        "channel",
        "The reference belongs to another subscription.",
        "Find the subscription that holds the reference and correct one of the two.",
        retry=False,
    ),
    ReasonCode.MARKETPLACE_ALREADY_ACCEPTED: ReasonText(
        "tierline",
        "Your order was accepted and is being checked.",
        "Remove the cause that stands beside it, then tierline orders release; where it cannot be removed, "
        "undo the change in the marketplace.",
        retry=False,
    ),
    ReasonCode.MODULES_EXCLUSIVE: ReasonText(
        "customer",
        "Two of the chosen modules exclude each other.",
        "The detail names the two; the channel orders one of them.",
        retry=False,
    ),
    ReasonCode.MODULE_ENDED: ReasonText(
        "customer",
        "A module ended with this change. What was paid for it and not used is credited.",
        "Nothing to do; the detail says why it could not stay.",
        retry=False,
    ),
    ReasonCode.MODULE_INCLUDED: ReasonText(
        "customer",
        "The new plan includes this module, so it is not billed on its own.",
        "Nothing to do; what was paid for it and not used is credited.",
        retry=False,
    ),
    ReasonCode.MODULE_NOT_FITTING: ReasonText(
        "customer",
        "A chosen module does not go with this plan.",
        "The detail names it; the channel orders a plan of a tier that the module fits, or leaves it out.",
        retry=False,
    ),
    ReasonCode.MODULE_NOT_SOLD: ReasonText(
        "sales",
        "A module is not sold in this currency or for this billing interval.",
        "The detail names it: add the price to the catalog, or the channel names the modules to have without"
        " it.",
        retry=False,
    ),
    ReasonCode.MODULE_UNKNOWN: ReasonText(
        "channel",
        "A chosen module does not exist.",
        "The detail names the module and the catalog version; correct the order.",
        retry=False,
    ),
    ReasonCode.NOT_AN_UPGRADE: ReasonText(
        "channel",
        "This change is not an upgrade, so it cannot be made before the billing period ends.",
        "Only upgrades take effect now: a higher tier, a longer interval, more seats, or a further module."
        " Other changes wait for the end of the period, which cannot be ordered yet; the plan in force goes"
        " on.",
        retry=False,
    ),
    ReasonCode.NOT_AVAILABLE_YET: ReasonText(
        "channel",
        "Part of this order is not available yet.",
        "The detail names the field; send the order without it.",
        retry=False,
    ),
    ReasonCode.OPERATION_OVERTAKEN: ReasonText(
        "channel",
        "A later change of this subscription was already taken in.",
        "Nothing to do: what happened later counts.",
        retry=False,
    ),
    ReasonCode.OPERATION_REPEATED: ReasonText(
        "channel",
        "This change was taken in before.",
        "Nothing to do.",
        retry=False,
    ),
    ReasonCode.ORDER_CONFLICT: ReasonText(
        "channel",
        "Another order for this subscription came first.",
        "Look at the order that won; once it has ended, this one can be sent under a new reference.",
        retry=True,
    ),
    ReasonCode.ORDER_IN_PROGRESS: ReasonText(
        "channel",
        "An order for this subscription is being completed.",
        "Send the order under a new reference when the one in progress has ended.",
        retry=True,
    ),
    ReasonCode.ORDER_NOT_ON_HOLD: ReasonText(
        "tierline",
        "This order is not on hold.",
        "Look at the order: tierline orders show; only an order on hold can be released or rejected.",
        retry=False,
    ),
    ReasonCode.PAYMENT_DECLINED: ReasonText(
        "customer",
        "The payment was declined.",
        "The customer uses another payment method and orders again.",
        retry=True,
    ),
    ReasonCode.PAYMENT_MISMATCH: ReasonText(
        "tierline",
        "The payment could not be matched with this order. Nothing was charged.",
        "The gateway reported another amount than was asked for; the money is given back. Check the gateway.",
        retry=True,
    ),
    ReasonCode.PERIOD_IN_FORCE: ReasonText(
        "channel",
        "Nothing had to change.",
        "Nothing to do: the period has begun already.",
        retry=False,
    ),
    ReasonCode.PLAN_NOT_SOLD: ReasonText(
        "sales",
        "The chosen plan is not sold in this country, currency or at this date.",
        "Check countries, prices and sellable dates of the plan in the catalog.",
        retry=False,
    ),
    ReasonCode.PLAN_UNKNOWN: ReasonText(
        "channel",
        "The chosen plan does not exist.",
        "Add the channel's plan id to the aliases in the catalog, or correct the order.",
        retry=False,
    ),
    ReasonCode.PRICE_REFUSED: ReasonText(
        "tierline",
        "This change cannot be priced.",
        "The detail names the field of the subscription or of the catalog that prevents a price; correct it.",
        retry=False,
    ),
    ReasonCode.REFERENCE_REUSED: ReasonText(
        "channel",
        "This order reference was used before for a different order.",
        "The channel sends the order under a new reference.",
        retry=False,
    ),
    ReasonCode.REJECTED_BY_OPERATOR: ReasonText(
        "tierline",
        "The order was declined after it was checked.",
        "Nothing to do; the detail is what the person said who rejected it.",
        retry=False,
    ),
    ReasonCode.SEATS_OUT_OF_RANGE: ReasonText(
        "channel",
        "The number of seats is not possible.",
        "Seats are a whole number from 1 to 1,000,000, and at most the seat limit of the plan.",
        retry=False,
    ),
    ReasonCode.STALE_ORDER: ReasonText(
        "channel",
        "A newer order for this subscription was already accepted.",
        "Nothing to do, unless the customer wants the older order: then send it under a new reference.",
        retry=False,
    ),
    ReasonCode.STANDING_IN_FORCE: ReasonText(
        "channel",
        "Nothing had to change.",
        "Nothing to do.",
        retry=False,
    ),
    ReasonCode.SUBSCRIPTION_DATA_INVALID: ReasonText(
        "channel",
        "The subscription data is not consistent.",
        "The detail names the field; correct the line and import it again.",
        retry=False,
    ),
    ReasonCode.SUBSCRIPTION_ENDED: ReasonText(
        "customer",
        "This subscription has ended.",
        "The customer buys a new subscription; an ended one is not opened again.",
        retry=False,
    ),
    ReasonCode.SUBSCRIPTION_EXISTS: ReasonText(
        "channel",
        "The subscription exists already.",
        "Compare the line with the subscription; an existing one is changed by orders, not by import.",
        retry=False,
    ),
    ReasonCode.SUBSCRIPTION_SUSPENDED: ReasonText(
        "customer",
        "This subscription is suspended, so its plan cannot be changed.",
        "The customer settles the payment where it was bought, which reinstates it; then the channel sends "
        "the order under a new reference.",
        retry=True,
    ),
    ReasonCode.SUPERSEDED: ReasonText(
        "channel", "A newer order replaced this one.", "Nothing to do.", retry=False
    ),
}
