"""Carrying a quoted change out: tier, entitlements, schedule and completion, always in one decision."""

from __future__ import annotations

from collections.abc import Iterator

from tierline.domain.account_credit import used_by
from tierline.domain.commands import GOOD
from tierline.domain.events import (
    BillingScheduleAdjusted,
    CreditGranted,
    EntitlementsChanged,
    Event,
    OrderCompleted,
    QuoteIssued,
    TierChanged,
)
from tierline.domain.subscription import ActiveSubscription


def completing_events(
    now: ActiveSubscription, order_id: str, quote: QuoteIssued, received_at: int
) -> tuple[Event, ...]:
    """What carries the order out, effective from when it is charged: usually when it was taken in (ms)."""
    effective_at = received_at if quote.effective_at is None else quote.effective_at
    return tuple(_completing(now, order_id, quote, effective_at))


def _completing(
    now: ActiveSubscription, order_id: str, quote: QuoteIssued, effective_at: int
) -> Iterator[Event]:
    priced_by = quote.catalog_version or None
    for change in (_tier_change(now, quote), _entitlements(now, quote), _schedule(quote)):
        yield Event("subscription", change, order_id, effective_at=effective_at, catalog_version=priced_by)
    yield from used_by(order_id, quote)
    if quote.credit_granted_minor:
        granted = CreditGranted(quote.credit_granted_minor, quote.currency)
        yield Event("account", granted, order_id, catalog_version=priced_by)
    completed = OrderCompleted(
        quote.tier, quote.plan, quote.seats, quote.due_minor, quote.currency, reason=None
    )
    yield Event("subscription", completed, order_id, catalog_version=priced_by)


def _tier_change(now: ActiveSubscription, quote: QuoteIssued) -> TierChanged:
    return TierChanged(now.tier, quote.tier, now.plan, quote.plan, now.seats, quote.seats)


def _entitlements(now: ActiveSubscription, quote: QuoteIssued) -> EntitlementsChanged:
    """A suspended subscription gets what the quote gives when it is given back."""
    if now.standing != GOOD:
        return EntitlementsChanged((), (), now.limits)
    return EntitlementsChanged(
        on=tuple(feature for feature in quote.features if feature not in now.features),
        off=tuple(feature for feature in now.features if feature not in quote.features),
        limits=quote.limits,
    )


def _schedule(quote: QuoteIssued) -> BillingScheduleAdjusted:
    return BillingScheduleAdjusted(
        quote.currency,
        quote.period_start,
        quote.period_end,
        quote.billing_day,
        quote.next_billing_date,
        quote.next_billing_minor,
        quote.invoiced,
        quote.items,
        quote.anchor,
    )
