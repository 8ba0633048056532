"""Opening a subscription and, with the first one, its account."""

from __future__ import annotations

from collections.abc import Iterator

from tierline.domain.account import NoAccount, OpenAccount
from tierline.domain.claims import NewAttempt, Redelivery, ReferenceReused, Repeat
from tierline.domain.commands import Command, OpenSubscription
from tierline.domain.context import Context
from tierline.domain.events import (
    AccountOpened,
    Event,
    Reason,
    SubscriptionOpened,
    SubscriptionOpeningRejected,
)
from tierline.domain.opening_data import Opening, read_opening
from tierline.domain.quoting import limits_of
from tierline.domain.reasons import ReasonCode
from tierline.domain.state import State
from tierline.domain.subscription import ActiveSubscription

# What an account is opened with, and every later line must repeat.
TERMS = ("time_zone", "currency", "country", "segment", "standing", "payment")


def decide_opening(
    state: State, command: Command, body: OpenSubscription, context: Context
) -> tuple[Event, ...]:
    """The subscription opened, or every reason why not. () for an opening that has happened already."""
    match context.identity:
        case Redelivery() | Repeat():
            return ()
        case ReferenceReused() | NewAttempt():
            opening = read_opening(body, context.catalog)
            invalid = () if isinstance(opening, Opening) else opening
            reasons = (*_exists(state, command), *_differs(state, body), *_taken(body, command, context))
            reasons += invalid
            if reasons or not isinstance(opening, Opening):
                return _rejected(reasons)
            return (*_account_opened(state, body), _subscription_opened(body, opening))


def _exists(state: State, command: Command) -> Iterator[Reason]:
    subscription = state.subscription
    if not isinstance(subscription, ActiveSubscription):
        return
    if subscription.account_id == command.account_id:
        detail = f"{command.subscription_id} was opened before, with other content"
    else:
        detail = f"{command.subscription_id} belongs to another account"
    yield Reason(ReasonCode.SUBSCRIPTION_EXISTS, detail)


def _differs(state: State, body: OpenSubscription) -> Iterator[Reason]:
    account = state.account
    if not isinstance(account, OpenAccount):
        return
    differing = [
        f"{term} is {getattr(account, term)}, not {getattr(body, term)}"
        for term in TERMS
        if getattr(account, term) != getattr(body, term)
    ]
    if differing:
        yield Reason(ReasonCode.ACCOUNT_TERMS_DIFFER, "; ".join(differing))


def _taken(body: OpenSubscription, command: Command, context: Context) -> Iterator[Reason]:
    for ref in dict.fromkeys(body.external_refs):
        holder = context.taken_refs.get(ref)
        if holder is not None and holder != command.subscription_id:
            detail = f"{ref.channel}/{ref.source} {ref.ref} belongs to {holder}"
            yield Reason(ReasonCode.EXTERNAL_REF_TAKEN, detail)


def _rejected(reasons: tuple[Reason, ...]) -> tuple[Event, ...]:
    return (Event("account", SubscriptionOpeningRejected(reasons), reason_code=reasons[0].code),)


def _account_opened(state: State, body: OpenSubscription) -> tuple[Event, ...]:
    if not isinstance(state.account, NoAccount):
        return ()
    opened = AccountOpened(
        body.time_zone, body.currency, body.country, body.segment, body.standing, body.payment
    )
    return (Event("account", opened),)


def _subscription_opened(body: OpenSubscription, opening: Opening) -> Event:
    plan, schedule = opening.plan, opening.schedule
    opened = SubscriptionOpened(
        tier=plan.tier,
        plan=plan.id,
        seats=body.seats,
        modules=opening.modules,
        features=opening.features,
        limits=limits_of(plan),
        currency=body.currency,
        opened_at=body.opened_at,
        billing_day=body.billing_day,
        period_start=body.period_start,
        period_end=body.period_end,
        contract=body.contract,
        invoiced=schedule.invoiced,
        external_refs=tuple(dict.fromkeys(body.external_refs)),
        items=schedule.items,
    )
    return Event("subscription", opened, effective_at=body.opened_at)
