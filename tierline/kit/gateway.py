"""The payment gateway as a port, and its sandbox twin.

A gateway call may be repeated: the same ``payment_id`` and step always end in the same state and are
charged once. ``lookup`` tells where a payment stands without changing it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol

import psycopg

from tierline.kit.clock import Clock, SystemClock
from tierline.kit.database import Connection
from tierline.kit.errors import Unavailable

Status = Literal["authorized", "declined", "captured", "voided", "refunded"]
DECLINED_METHOD = "pm_card_declined"


@dataclass(frozen=True, slots=True)
class Payment:
    """Where one payment stands. ``code`` says why it was declined. Amount in minor units."""

    payment_id: str
    status: Status
    gateway_ref: str
    amount_minor: int
    currency: str
    code: str | None = None


class UnknownPayment(LookupError):
    """The gateway has no such payment: never authorized there. Check which gateway account is in use."""


class PaymentGateway(Protocol):
    """Authorize, capture, void, refund. Raises Unavailable when the gateway does not answer."""

    def authorize(self, payment_id: str, amount_minor: int, currency: str, method: str | None) -> Payment: ...

    def capture(self, payment_id: str) -> Payment: ...

    def void(self, payment_id: str) -> Payment: ...

    def refund(self, payment_id: str) -> Payment: ...

    def lookup(self, payment_id: str) -> Payment | None: ...

    def close(self) -> None: ...


def is_declined(payment_id: str, method: str | None, decline_rate: float) -> bool:
    """Whether the sandbox declines: always for ``pm_card_declined``, else that share of all payment ids."""
    if method == DECLINED_METHOD:
        return True
    point = int.from_bytes(hashlib.sha256(payment_id.encode()).digest()[:4], "big")
    return point < decline_rate * 2**32


_COLUMNS = "payment_id::text, status, gateway_ref, amount_minor, currency, code"

_AUTHORIZE = f"""
INSERT INTO sandbox.payment (payment_id, gateway_ref, amount_minor, currency, status, code)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (payment_id) DO UPDATE SET payment_id = excluded.payment_id
RETURNING {_COLUMNS}
"""

_MOVE = f"""
UPDATE sandbox.payment
   SET status = CASE WHEN status = ANY(%(before)s) THEN %(after)s ELSE status END,
       captures = captures + CASE WHEN status = ANY(%(before)s) AND %(after)s = 'captured' THEN 1 ELSE 0 END
 WHERE payment_id = %(payment_id)s
RETURNING {_COLUMNS}
"""


class SandboxGateway:
    """Gateway port on table ``sandbox.payment``: its own books, each call its own transaction.

    Every call but a look-up answers after ``delay_ms``, as a gateway far away would.
    """

    def __init__(
        self, connection: Connection, decline_rate: float, delay_ms: int = 0, clock: Clock | None = None
    ) -> None:
        self._connection = connection
        self._decline_rate = decline_rate
        self._delay_ms = delay_ms
        self._clock = clock or SystemClock()

    def authorize(self, payment_id: str, amount_minor: int, currency: str, method: str | None) -> Payment:
        self._travel()
        declined = is_declined(payment_id, method, self._decline_rate)
        status, code = ("declined", "card_declined") if declined else ("authorized", None)
        row = (payment_id, f"sbx_{payment_id[:18]}", amount_minor, currency, status, code)
        return self._one(payment_id, _AUTHORIZE, row)

    def capture(self, payment_id: str) -> Payment:
        return self._move(payment_id, ["authorized"], "captured")

    def void(self, payment_id: str) -> Payment:
        return self._move(payment_id, ["authorized"], "voided")

    def refund(self, payment_id: str) -> Payment:
        return self._move(payment_id, ["captured"], "refunded")

    def lookup(self, payment_id: str) -> Payment | None:
        try:
            return self._one(
                payment_id, f"SELECT {_COLUMNS} FROM sandbox.payment WHERE payment_id = %s", (payment_id,)
            )
        except UnknownPayment:
            return None

    def close(self) -> None:
        self._connection.close()

    def _move(self, payment_id: str, before: list[str], after: str) -> Payment:
        self._travel()
        return self._one(payment_id, _MOVE, {"payment_id": payment_id, "before": before, "after": after})

    def _travel(self) -> None:
        if self._delay_ms:
            self._clock.sleep(self._delay_ms / 1000)

    def _one(self, payment_id: str, sql: str, values: object) -> Payment:
        try:
            row = self._connection.execute(sql, values).fetchone()  # type: ignore[call-overload]
            self._connection.commit()
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise Unavailable(f"payment sandbox: {error}") from error
        if row is None:
            raise UnknownPayment(payment_id)
        found, status, gateway_ref, amount_minor, currency, code = row
        return Payment(found, status, gateway_ref, amount_minor, currency, code)
