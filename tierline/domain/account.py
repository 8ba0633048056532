"""The account stream: the terms under which a customer buys, and the credit that changes left over."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tierline.domain.events import AccountOpened, CreditGranted, RecordedEvent


@dataclass(frozen=True, slots=True)
class NoAccount:
    """Nothing was opened yet."""


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """An account: ``standing`` good, arrears or suspended; ``payment`` invoice, gateway or external."""

    account_id: str
    time_zone: str
    currency: str
    country: str
    segment: str
    standing: str
    payment: str
    credit_minor: int = 0


AccountState = NoAccount | OpenAccount


def evolve_account(account: AccountState, event: RecordedEvent) -> AccountState:
    """The account after ``event``; what is not about an account's terms or credit leaves it as it is."""
    match event.body:
        case AccountOpened() as opened:
            return OpenAccount(
                event.account_id,
                opened.time_zone,
                opened.currency,
                opened.country,
                opened.segment,
                opened.standing,
                opened.payment,
            )
        case CreditGranted() as granted if isinstance(account, OpenAccount):
            return replace(account, credit_minor=account.credit_minor + granted.amount_minor)
        case _:
            return account
