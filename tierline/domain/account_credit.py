"""Account credit that an order uses: set aside when it is priced, used when it completes, else free again.

All of it stands on the account's stream, where all subscriptions of the account meet: what one order has
set aside, no other can spend.
"""

from __future__ import annotations

from tierline.domain.account import OpenAccount
from tierline.domain.events import CreditReleased, CreditReserved, CreditUsed, Event, EventBody, QuoteIssued
from tierline.domain.subscription import ActiveSubscription


def reserved_for(order_id: str, quote: QuoteIssued) -> tuple[Event, ...]:
    """The credit that the quote counts on, out of reach of every other order; () where it counts on none."""
    return _about(order_id, quote, CreditReserved(quote.credit_used_minor, quote.currency))


def used_by(order_id: str, quote: QuoteIssued) -> tuple[Event, ...]:
    """The order completes: what was set aside for it is spent."""
    return _about(order_id, quote, CreditUsed(quote.credit_used_minor, quote.currency))


def released_from(order_id: str, quote: QuoteIssued) -> tuple[Event, ...]:
    """The order ends without completing: what was set aside for it is free again."""
    return _about(order_id, quote, CreditReleased(quote.credit_used_minor, quote.currency))


def open_to(account: OpenAccount, subscription: ActiveSubscription) -> int:
    """The credit that a change of the subscription may count on, in minor units.

    Its live order ends if another one is accepted, so what that order reserved counts as free.
    """
    live = subscription.live
    return account.credit_open_to(live.order.order_id if live else None)


def _about(order_id: str, quote: QuoteIssued, body: EventBody) -> tuple[Event, ...]:
    priced_by = quote.catalog_version or None
    return (Event("account", body, order_id, catalog_version=priced_by),) if quote.credit_used_minor else ()
