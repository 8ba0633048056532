"""What is billed: items, invoiced rows, the period in force; and the change that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tierline.domain.calendar import Interval, Moment, Period
from tierline.domain.cycles import Cycle
from tierline.domain.discounts import Discount
from tierline.domain.modes import Mode
from tierline.domain.values import quickly_made

BASE_ITEM = "base"


@quickly_made
@dataclass(frozen=True, slots=True)
class Item:
    """One priced thing of a subscription: the plan (``base``, quantity = seats) or a module.

    ``list_minor``: the whole interval for the whole quantity, before discounts, in minor units.
    """

    id: str
    plan: str
    interval: Interval
    quantity: int
    list_minor: int
    discounts: tuple[Discount, ...] = ()


@quickly_made
@dataclass(frozen=True, slots=True)
class CreditedSpan:
    """A part of an invoiced row that was given back: span, quantity and amount (positive minor units)."""

    start: Moment
    end: Moment
    quantity: int
    amount_minor: int


@quickly_made
@dataclass(frozen=True, slots=True)
class InvoicedRow:
    """What was invoiced for one item over one span, and what of it was credited since.

    ``adjusted_minor`` is goodwill without a span. ``mode`` is the proration mode of the row's plan; None
    means that of the change at hand.
    """

    item: str
    start: Moment
    end: Moment
    quantity: int
    amount_minor: int
    adjusted_minor: int = 0
    credits: tuple[CreditedSpan, ...] = ()
    mode: Mode | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class BillingState:
    """The money side of a subscription.

    ``billing_day`` 1-31, None for day- and week-based plans. ``invoiced``: the empty tuple says that
    nothing of the period was billed; None stands for one row per item over the period at the price in
    force. ``anchor``: the instant from which a period counted in seconds was started. ``mode``: that of
    the plan in force.
    """

    billing_day: int | None
    period: Period
    items: tuple[Item, ...]
    discounts: tuple[Discount, ...] = ()
    invoiced: tuple[InvoicedRow, ...] | None = None
    anchor: datetime | None = None
    mode: Mode | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class AccountTerms:
    """The account's side: zone, currency, credit to use, smallest amount worth collecting, carried amount."""

    zone: str
    currency: str
    credit_minor: int = 0
    minimum_due_minor: int = 0
    carried_minor: int = 0


@quickly_made
@dataclass(frozen=True, slots=True)
class Change:
    """The full target set of items from ``at`` on; an item that is missing here ends.

    ``mode`` is the new plan's. ``cycle`` None: equal intervals keep the period, others restart.
    """

    at: Moment
    items: tuple[Item, ...]
    discounts: tuple[Discount, ...] = ()
    mode: Mode = Mode.DAY
    cycle: Cycle | None = None
