"""Folded states as plain values (dict, list, str, int, bool, None) and back, for any encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from tierline.domain.account import AccountState, NoAccount, OpenAccount, ReservedCredit
from tierline.domain.commands import Contract, InvoicedCredit, InvoicedRow
from tierline.domain.events import BilledItem, Limit, OrderReceived, QuoteIssued, QuoteLine, Reason
from tierline.domain.subscription import (
    ActiveSubscription,
    Arriving,
    Authorized,
    AwaitingPayment,
    Capturing,
    NoSubscription,
    OnHold,
    OrderFacts,
    Payment,
    PaymentStage,
    Quoted,
    Schedule,
    SubscriptionState,
)

# The key under which a value names its class.
SITUATION = "is"

_CLASSES: Mapping[str, type] = {
    known.__name__: known
    for known in (
        ActiveSubscription,
        Arriving,
        Authorized,
        AwaitingPayment,
        BilledItem,
        Capturing,
        Contract,
        InvoicedCredit,
        InvoicedRow,
        Limit,
        NoAccount,
        NoSubscription,
        OnHold,
        OpenAccount,
        OrderFacts,
        OrderReceived,
        Payment,
        Quoted,
        QuoteIssued,
        QuoteLine,
        Reason,
        ReservedCredit,
        Schedule,
    )
}


def state_to_plain(state: AccountState | SubscriptionState) -> dict[str, Any]:
    """A state as a dict that names its class under ``is``; nested values likewise."""
    plain: dict[str, Any] = _plain(state)
    return plain


def plain_to_state(plain: Mapping[str, Any]) -> AccountState | SubscriptionState:
    """The state that ``state_to_plain`` gave. Lists become tuples.

    Raises ValueError for anything else; throw the snapshot away and fold the events.
    """
    state = _valued(plain)
    if not isinstance(state, NoAccount | OpenAccount | NoSubscription | ActiveSubscription):
        raise ValueError(f"not a snapshot of an account or a subscription: {type(state).__name__}")  # noqa: TRY004 - the stored value is wrong, not the caller's type
    return state


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    known = type(value)
    if is_dataclass(known):
        names = _names(known)
        return {SITUATION: known.__name__, **{name: _plain(getattr(value, name)) for name in names}}
    return value.value if isinstance(value, Enum) else value


def _valued(plain: Any) -> Any:
    if isinstance(plain, list | tuple):
        return tuple(_valued(entry) for entry in plain)
    if not isinstance(plain, Mapping):
        return plain
    known = _CLASSES.get(plain.get(SITUATION, ""))
    names = () if known is None else _names(known)
    if known is None or plain.keys() != {SITUATION, *names}:
        raise ValueError(f"not a stored situation: {plain.get(SITUATION)!r} with {sorted(plain)}")
    values = {name: _valued(plain[name]) for name in names}
    if known is Payment:
        values["stage"] = PaymentStage(values["stage"])
    return known(**values)


@lru_cache(maxsize=64)
def _names(known: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(known))
