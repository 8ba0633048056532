"""Events: what happened. Each class is the body of one record on ``oms.events.v1``.

Instants are milliseconds since the epoch, UTC; dates are ISO strings in the account's zone; money is
minor units beside an ISO 4217 code. The field names are those of ``schemas/oms.events.v1-value``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tierline.domain.commands import Contract, ExternalRef, InvoicedRow, Origin
from tierline.domain.values import quickly_made


@dataclass(frozen=True, slots=True)
class Reason:
    """One failing reason of an order: a code of ``ReasonCode`` and the facts behind it."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule said: verdict PASS, FAIL or ERROR; severity reject, hold, warn or shadow."""

    rule: str
    verdict: str
    severity: str
    detail: str


@quickly_made
@dataclass(frozen=True, slots=True)
class Limit:
    """An entitlement with a number: a limit by name."""

    name: str
    value: int


@quickly_made
@dataclass(frozen=True, slots=True)
class BilledItem:
    """One item at the price in force: ``list_minor`` for the whole interval and quantity, before discounts.

    ``mode`` is the proration mode of the plan.
    """

    id: str
    plan: str
    interval: str
    quantity: int
    list_minor: int
    mode: str


@quickly_made
@dataclass(frozen=True, slots=True)
class QuoteLine:
    """One line of a price: kind credit or charge; ``amount_minor`` signed, charge positive."""

    kind: str
    item: str
    start: str
    end: str
    numerator: int
    denominator: int
    mode: str
    amount_minor: int
    invoiced_index: int | None
    formula: str


@dataclass(frozen=True, slots=True)
class AccountOpened:
    time_zone: str
    currency: str
    country: str
    segment: str
    standing: str
    payment: str


@dataclass(frozen=True, slots=True)
class SubscriptionOpened:
    tier: str
    plan: str
    seats: int
    modules: tuple[str, ...]
    features: tuple[str, ...]
    limits: tuple[Limit, ...]
    currency: str
    opened_at: int
    billing_day: int | None
    period_start: str
    period_end: str
    contract: Contract | None
    invoiced: tuple[InvoicedRow, ...] | None
    external_refs: tuple[ExternalRef, ...]
    items: tuple[BilledItem, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionOpeningRejected:
    """An OpenSubscription was understood and the answer is no. Stands in the account's stream."""

    reasons: tuple[Reason, ...]


@quickly_made
@dataclass(frozen=True, slots=True)
class OrderReceived:
    """``modules_complete``: they are all that shall be in force; else they join those that are."""

    plan: str | None
    seats: int | None
    modules: tuple[str, ...]
    effective: str
    payment_method: str | None
    requested_by: str | None
    requested_at: int | None
    modules_complete: bool = False


@dataclass(frozen=True, slots=True)
class DuplicateOrderIgnored:
    """The same order came again from another origin; ``outcome`` is where the first one stands."""

    outcome: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class OrderConflictDetected:
    winner_order_id: str
    winner_channel: str


@dataclass(frozen=True, slots=True)
class OrderSuperseded:
    by_order_id: str


@dataclass(frozen=True, slots=True)
class OrderValidated:
    """All verdicts of an order. With ``validate_only`` there is no order: it only answers."""

    verdicts: tuple[Verdict, ...]
    validate_only: bool


@dataclass(frozen=True, slots=True)
class OrderRejected:
    reasons: tuple[Reason, ...]
    retry: bool


@dataclass(frozen=True, slots=True)
class OrderHeld:
    reasons: tuple[Reason, ...]


@quickly_made
@dataclass(frozen=True, slots=True)
class QuoteIssued:
    """The price of a change, frozen, with everything that will be in force once it is completed.

    ``credit_granted_minor`` is what a net below zero will add to the account's credit. ``catalog_version``
    is the price book that priced it, "" in records of the first version. ``effective_at`` is the instant
    from which the change is charged; None: when the order was taken in. ``notes`` tell whoever ordered of
    modules that end with the change, or that the new plan includes.
    """

    quote_id: str
    currency: str
    lines: tuple[QuoteLine, ...]
    zero_lines: tuple[QuoteLine, ...]
    net_minor: int
    tax_basis: str
    due_minor: int
    credit_used_minor: int
    carried_minor: int
    zone: str
    mode: str
    cycle: str
    plan: str
    seats: int
    period_start: str
    period_end: str
    billing_day: int | None
    next_billing_date: str
    next_billing_minor: int
    expires_at: int
    validate_only: bool
    credit_granted_minor: int
    tier: str
    features: tuple[str, ...]
    limits: tuple[Limit, ...]
    items: tuple[BilledItem, ...]
    invoiced: tuple[InvoicedRow, ...]
    anchor: int | None
    catalog_version: str = ""
    effective_at: int | None = None
    notes: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class PaymentRequested:
    payment_id: str
    amount_minor: int
    currency: str
    payment_method: str | None


@dataclass(frozen=True, slots=True)
class PaymentAuthorized:
    payment_id: str
    gateway_ref: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class PaymentCaptureRequested:
    payment_id: str
    gateway_ref: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class PaymentCaptured:
    payment_id: str
    gateway_ref: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class PaymentDeclined:
    payment_id: str
    gateway_ref: str
    code: str


@dataclass(frozen=True, slots=True)
class PaymentVoidRequested:
    payment_id: str
    gateway_ref: str | None


@dataclass(frozen=True, slots=True)
class PaymentVoided:
    payment_id: str
    gateway_ref: str


@dataclass(frozen=True, slots=True)
class RefundRequested:
    payment_id: str
    gateway_ref: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class PaymentRefunded:
    payment_id: str
    gateway_ref: str
    amount_minor: int
    currency: str


@quickly_made
@dataclass(frozen=True, slots=True)
class TierChanged:
    from_tier: str
    to_tier: str
    from_plan: str
    to_plan: str
    from_seats: int
    to_seats: int


@quickly_made
@dataclass(frozen=True, slots=True)
class EntitlementsChanged:
    """Features switched on and off, and all limits in force afterwards."""

    on: tuple[str, ...]
    off: tuple[str, ...]
    limits: tuple[Limit, ...]


@quickly_made
@dataclass(frozen=True, slots=True)
class BillingScheduleAdjusted:
    """The billing side after a change: all items and all invoiced rows in force.

    ``anchor`` is the instant that periods are counted from, None where ``billing_day`` is.
    """

    currency: str
    period_start: str
    period_end: str
    billing_day: int | None
    next_billing_date: str
    next_billing_minor: int
    invoiced: tuple[InvoicedRow, ...]
    items: tuple[BilledItem, ...]
    anchor: int | None


@quickly_made
@dataclass(frozen=True, slots=True)
class OrderCompleted:
    """``reason`` is ALREADY_IN_FORCE where nothing had to change, else null."""

    tier: str
    plan: str
    seats: int
    charged_minor: int
    currency: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class OrderFailed:
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class CreditGranted:
    """Credit that a completed change left over. Stands in the account's stream."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class StandingChanged:
    """The subscription was suspended, given back (good) or ended; ``told_at``: when, at who said so."""

    from_standing: str
    to_standing: str
    told_at: int


@dataclass(frozen=True, slots=True)
class OperationIgnored:
    """A change of standing or period that changed nothing, and why.

    ``operation``: the command's type; ``told_at``: when it happened, at who said so.
    """

    operation: str
    told_at: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class OrderReleased:
    """A person let an order on hold be decided; ``reason`` is what they said."""

    reason: str


@dataclass(frozen=True, slots=True)
class OrderReviewRefused:
    """A person's release or rejection (``action``) of an order had no effect, and why."""

    action: str
    review_of: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class PeriodRolled:
    """The billing period after the one in force began.

    ``invoiced``: the rows that run on into it, without those that PeriodInvoiced adds; None: somebody else
    bills it, and one row per item at the price in force is assumed until they say more.
    """

    currency: str
    period_start: str
    period_end: str
    next_billing_date: str
    next_billing_minor: int
    invoiced: tuple[InvoicedRow, ...] | None


@dataclass(frozen=True, slots=True)
class PeriodInvoiced:
    """A whole period invoiced in advance: one row per item, ``amount_minor`` is their sum."""

    currency: str
    period_start: str
    period_end: str
    amount_minor: int
    rows: tuple[InvoicedRow, ...]


@dataclass(frozen=True, slots=True)
class CreditReserved:
    """Credit set aside for the order that is to use it. Stands in the account's stream."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class CreditUsed:
    """Reserved credit that paid for a completed order. Stands in the account's stream."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class CreditReleased:
    """Reserved credit that is free again because its order ended. Stands in the account's stream."""

    amount_minor: int
    currency: str


EventBody = (
    AccountOpened
    | SubscriptionOpened
    | SubscriptionOpeningRejected
    | OrderReceived
    | DuplicateOrderIgnored
    | OrderConflictDetected
    | OrderSuperseded
    | OrderValidated
    | OrderRejected
    | OrderHeld
    | QuoteIssued
    | PaymentRequested
    | PaymentAuthorized
    | PaymentCaptureRequested
    | PaymentCaptured
    | PaymentDeclined
    | PaymentVoidRequested
    | PaymentVoided
    | RefundRequested
    | PaymentRefunded
    | TierChanged
    | EntitlementsChanged
    | BillingScheduleAdjusted
    | OrderCompleted
    | OrderFailed
    | CreditGranted
    | StandingChanged
    | OperationIgnored
    | OrderReleased
    | OrderReviewRefused
    | PeriodRolled
    | PeriodInvoiced
    | CreditReserved
    | CreditUsed
    | CreditReleased
)

StreamKind = Literal["account", "subscription"]


@quickly_made
@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a decision says happened, before it has a place in the store.

    ``order_id`` is the order it is about (None for account and subscription facts);
    ``effective_at`` is when it counts, in ms, None for "when it was decided". ``catalog_version`` is the
    price book that priced it, None for the newest.
    """

    stream: StreamKind
    body: EventBody
    order_id: str | None = None
    reason_code: str | None = None
    effective_at: int | None = None
    catalog_version: str | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """Who accepted which amount, when, and the version of the text that was shown."""

    accepted_by: str
    accepted_at: int
    amount_minor: int
    currency: str
    text_version: str


@quickly_made
@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event with its place: the envelope on ``oms.events.v1``.

    ``version`` counts within ``stream_id`` from 1; ``position`` counts within ``partition`` from 0;
    ``decision_index`` runs from 0 to ``decision_count`` - 1 over the events of one decision.
    ``attempt`` and ``digest`` are those of the command, so that claims can be rebuilt from events.
    ``decide_by``: when the command had to be decided, for a sender that takes silence for a yes.
    """

    tenant_id: str
    livemode: bool
    event_id: str
    stream_id: str
    version: int
    partition: int
    position: int
    decision_index: int
    decision_count: int
    type: str
    account_id: str
    subscription_id: str
    order_id: str | None
    channel: str
    source: str
    source_ref: str
    origin: Origin
    intent_index: int
    intent_count: int
    received_at: int
    occurred_at: int
    recorded_at: int
    effective_at: int
    actor: str | None
    reason_code: str | None
    command_id: str
    command_type: str
    attempt: int
    digest: str
    correlation_id: str
    causation_id: str | None
    purchase_order_ref: str | None
    consent: Consent | None
    policy_version: str
    catalog_version: str
    app_version: str
    traceparent: str | None
    body: EventBody
    decide_by: int | None = None
