"""The account stream: the terms under which a customer buys, and the credit that changes left over."""

from __future__ import annotations

from dataclasses import dataclass

from tierline.domain.events import (
    AccountOpened,
    CreditGranted,
    CreditReleased,
    CreditReserved,
    CreditUsed,
    RecordedEvent,
)
from tierline.domain.values import replace

# How an account pays: through the gateway, on Tierline's invoice, or to somebody else who bills it.
GATEWAY = "gateway"
INVOICE = "invoice"
EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class NoAccount:
    """Nothing was opened yet."""


@dataclass(frozen=True, slots=True)
class ReservedCredit:
    """Credit that one order has set aside."""

    order_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """An account: ``standing`` good, arrears or suspended; ``payment`` invoice, gateway or external.

    ``credit_minor`` is all credit that is not used yet, including what is reserved.
    """

    account_id: str
    time_zone: str
    currency: str
    country: str
    segment: str
    standing: str
    payment: str
    credit_minor: int = 0
    reserved: tuple[ReservedCredit, ...] = ()

    def credit_open_to(self, superseded: str | None) -> int:
        """The credit that a new order may use; what ``superseded`` (an order's id) reserved is free to it."""
        if not self.reserved:
            return self.credit_minor
        return self.credit_minor - sum(r.amount_minor for r in self.reserved if r.order_id != superseded)


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
        case CreditReserved() as reserved if isinstance(account, OpenAccount):
            mine = ReservedCredit(event.order_id or "", reserved.amount_minor)
            return replace(account, reserved=(*account.reserved, mine))
        case CreditUsed() as used if isinstance(account, OpenAccount):
            credit_minor = account.credit_minor - used.amount_minor
            return replace(account, credit_minor=credit_minor, reserved=_without(account, event.order_id))
        case CreditReleased() if isinstance(account, OpenAccount):
            return replace(account, reserved=_without(account, event.order_id))
        case _:
            return account


def _without(account: OpenAccount, order_id: str | None) -> tuple[ReservedCredit, ...]:
    return tuple(reserved for reserved in account.reserved if reserved.order_id != order_id)
