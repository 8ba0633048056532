"""Commands: what somebody asks. The envelope is the same for all; the body says what is asked.

Instants are milliseconds since the epoch, UTC. Dates are ISO strings in the account's zone. The field
names are those of the Avro record in ``schemas/oms.commands.v1-value``.
"""

from __future__ import annotations

from dataclasses import dataclass

from tierline.domain.values import quickly_made

GOOD = "good"
SUSPENDED = "suspended"
ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the original record stands: kept through redelivery, holds, edits and replays."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class ExternalRef:
    """A channel's own name for a subscription, per sending instance (``source``)."""

    channel: str
    source: str
    ref: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A commitment. ``end`` is the last day, inclusive. Spend in minor units per month."""

    start: str
    end: str
    minimum_term_months: int
    minimum_spend_minor: int


@quickly_made
@dataclass(frozen=True, slots=True)
class InvoicedCredit:
    """A part of an invoiced row that was given back: span, quantity, amount (positive minor units)."""

    start: str
    end: str
    quantity: int
    amount_minor: int


@quickly_made
@dataclass(frozen=True, slots=True)
class InvoicedRow:
    """What was invoiced for one item over one half-open span, and what of it was already credited."""

    item: str
    start: str
    end: str
    quantity: int
    amount_minor: int
    adjusted_minor: int = 0
    plan: str | None = None
    mode: str | None = None
    credits: tuple[InvoicedCredit, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenSubscription:
    """Open a subscription and, with the first one, its account."""

    time_zone: str
    currency: str
    country: str
    segment: str
    standing: str
    payment: str
    plan: str
    seats: int
    modules: tuple[str, ...]
    opened_at: int
    billing_day: int | None
    period_start: str
    period_end: str
    contract: Contract | None
    invoiced: tuple[InvoicedRow, ...] | None
    external_refs: tuple[ExternalRef, ...]


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Upgrade a subscription to ``plan`` and ``seats``; None keeps what is in force.

    ``modules`` are all that shall be in force afterwards where they are complete, else they join those that
    are; so () that is not complete keeps them.
    ``plan`` is Tierline's plan id where the catalog knows the channel's alias, else the channel's own
    word. ``unavailable`` names the payload fields that ask for something not built yet.
    """

    plan: str | None
    seats: int | None
    modules: tuple[str, ...]
    effective: str
    payment_method: str | None
    requested_by: str | None
    requested_at: int | None
    unavailable: tuple[str, ...]
    validate_only: bool
    modules_complete: bool = False


@dataclass(frozen=True, slots=True)
class RecordPaymentResult:
    """What the gateway answered: status authorized, declined, captured, voided or refunded."""

    payment_id: str
    order_id: str
    status: str
    gateway_ref: str
    code: str | None
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class ChangeStanding:
    """Suspend a subscription, give it back, or end it: ``standing`` suspended, good or ended.

    ``told_at`` is when it happened at the sender; of two changes the one that happened later counts.
    """

    standing: str
    told_at: int


@dataclass(frozen=True, slots=True)
class RollPeriod:
    """A renewal: begin the period after the one in force.

    ``period_start`` and ``period_end`` (half-open) are the sender's own dates; None: by the calendar.
    ``told_at`` is when it happened at the sender.
    """

    period_start: str | None
    period_end: str | None
    told_at: int


@dataclass(frozen=True, slots=True)
class ReleaseOrder:
    """Decide an order that is on hold, without the rules that hold. ``reason``: a person's words."""

    order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class RejectOrder:
    """Reject an order that is on hold. ``reason``: a person's words, which the channel is told."""

    order_id: str
    reason: str


CommandBody = (
    OpenSubscription
    | PlaceOrder
    | RecordPaymentResult
    | ChangeStanding
    | ReleaseOrder
    | RejectOrder
    | RollPeriod
)


@dataclass(frozen=True, slots=True)
class Command:
    """One ask, addressed to one account. ``digest`` is the hex SHA-256 of its business fields."""

    tenant_id: str
    livemode: bool
    command_id: str
    type: str
    account_id: str
    subscription_id: str
    channel: str
    source: str
    source_ref: str
    origin: Origin
    intent_index: int
    intent_count: int
    received_at: int
    decide_by: int | None
    actor: str | None
    correlation_id: str
    causation_id: str | None
    purchase_order_ref: str | None
    digest: str
    app_version: str
    traceparent: str | None
    body: CommandBody
