"""The situations of a subscription: what is in force, which orders are under way, which payments are open."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tierline.domain.commands import GOOD, Contract, InvoicedRow
from tierline.domain.events import BilledItem, Limit, OrderReceived, QuoteIssued
from tierline.domain.values import quickly_made, replace


class PaymentStage(StrEnum):
    """What is known or asked about one payment; the latest event about it decides."""

    REQUESTED = "requested"
    AUTHORIZED = "authorized"
    CAPTURE_REQUESTED = "capture_requested"
    CAPTURED = "captured"
    DECLINED = "declined"
    VOID_REQUESTED = "void_requested"
    VOIDED = "voided"
    REFUND_REQUESTED = "refund_requested"
    REFUNDED = "refunded"


SETTLED_STAGES = frozenset(
    {PaymentStage.CAPTURED, PaymentStage.DECLINED, PaymentStage.VOIDED, PaymentStage.REFUNDED}
)


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment at the gateway: what was asked for, and where it stands. Amount in minor units."""

    payment_id: str
    order_id: str
    amount_minor: int
    currency: str
    gateway_ref: str | None
    stage: PaymentStage


@quickly_made
@dataclass(frozen=True, slots=True)
class OrderFacts:
    """Who ordered, when the broker took it in (ms), and by when it had to be decided, if at all.

    ``payments``: how many were asked for so far.
    """

    order_id: str
    channel: str
    source: str
    source_ref: str
    received_at: int
    decide_by: int | None = None
    payments: int = 0


@quickly_made
@dataclass(frozen=True, slots=True)
class Arriving:
    """An order between OrderReceived and its verdict. It never outlives its decision."""

    order: OrderFacts
    request: OrderReceived


@dataclass(frozen=True, slots=True)
class OnHold:
    """An order that a rule parked before validation, or whose payment was declined when its sender had taken
    silence for a yes: it will be decided later, as it was asked.
    """

    order: OrderFacts
    request: OrderReceived


@quickly_made
@dataclass(frozen=True, slots=True)
class Quoted:
    """Accepted and priced; whether money must be collected is said next."""

    order: OrderFacts
    request: OrderReceived
    quote: QuoteIssued


@dataclass(frozen=True, slots=True)
class AwaitingPayment:
    """The gateway was asked to authorize. A newer order may still supersede this one."""

    order: OrderFacts
    request: OrderReceived
    quote: QuoteIssued
    payment_id: str


@dataclass(frozen=True, slots=True)
class Authorized:
    """The gateway holds the money; the decision that heard so also asks for the capture."""

    order: OrderFacts
    request: OrderReceived
    quote: QuoteIssued
    payment_id: str


@dataclass(frozen=True, slots=True)
class Capturing:
    """Past the point of no return: the capture was asked for, nothing supersedes this order any more."""

    order: OrderFacts
    request: OrderReceived
    quote: QuoteIssued
    payment_id: str


LiveOrder = Quoted | AwaitingPayment | Authorized | Capturing
PaidOrder = AwaitingPayment | Authorized | Capturing


@quickly_made
@dataclass(frozen=True, slots=True)
class Schedule:
    """The billing side in force, as events carry it: moments as ISO text, money in minor units.

    ``invoiced`` None means one row per item over the period at the price in force; ``anchor`` is an
    instant in ms.
    """

    period_start: str
    period_end: str
    billing_day: int | None
    anchor: int | None
    items: tuple[BilledItem, ...]
    invoiced: tuple[InvoicedRow, ...] | None


@dataclass(frozen=True, slots=True)
class NoSubscription:
    """Nothing was opened under this id yet."""


@quickly_made
@dataclass(frozen=True, slots=True)
class ActiveSubscription:
    """A subscription with what is in force and what is under way.

    ``live`` is the one order past validation; ``held`` the one that a rule parked before it; ``kept`` are
    those on hold whose sender takes silence for a yes: no newer order takes their place there.
    ``accepted_at`` is the ``received_at`` of the newest order that was ever accepted, ms.
    ``catalog_version`` is the price book under which the plan in force was bought.

    ``standing``: good, suspended or ended; ``standing_told_at``: when that happened, ms. While suspended,
    ``withheld_…`` are what the plan gives and ``features`` and ``limits`` are empty.
    """

    account_id: str
    subscription_id: str
    currency: str
    tier: str
    plan: str
    seats: int
    modules: tuple[str, ...]
    features: tuple[str, ...]
    limits: tuple[Limit, ...]
    contract: Contract | None
    schedule: Schedule
    catalog_version: str
    arriving: Arriving | None = None
    held: OnHold | None = None
    live: LiveOrder | None = None
    accepted_at: int | None = None
    payments: tuple[Payment, ...] = ()
    kept: tuple[OnHold, ...] = ()
    standing: str = GOOD
    standing_told_at: int | None = None
    withheld_features: tuple[str, ...] = ()
    withheld_limits: tuple[Limit, ...] = ()

    def on_hold(self, order_id: str) -> OnHold | None:
        """The order of that id where it is on hold."""
        holds = self.kept if self.held is None else (self.held, *self.kept)
        return next((hold for hold in holds if hold.order.order_id == order_id), None)

    def without_hold(self, order_id: str | None) -> ActiveSubscription:
        """The same without that order among those on hold."""
        held = None if self.held is None or self.held.order.order_id == order_id else self.held
        kept = tuple(hold for hold in self.kept if hold.order.order_id != order_id)
        return replace(self, held=held, kept=kept)

    def payment(self, payment_id: str) -> Payment | None:
        """The payment of that id, as long as it is remembered."""
        return next((known for known in self.payments if known.payment_id == payment_id), None)

    def order_paid_by(self, payment_id: str) -> PaidOrder | None:
        """The live order that this payment is for; None when its order has ended."""
        live = self.live
        if isinstance(live, AwaitingPayment | Authorized | Capturing) and live.payment_id == payment_id:
            return live
        return None


SubscriptionState = NoSubscription | ActiveSubscription
