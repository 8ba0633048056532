"""What an event asks of the gateway, and what is asked when an earlier run may have asked already."""

from __future__ import annotations

import pytest

from schemas.topics import EVENTS
from streams.payments import STEPS, Asked, _call
from tierline.kit.gateway import Payment, Status, UnknownPayment
from tierline.kit.records import Record

PAYMENT = "0f8fad5b-d9cb-569f-a165-70867728950e"


class Books:
    """A gateway that keeps one payment and writes down what it was asked."""

    def __init__(self, status: Status | None = None) -> None:
        self.status = status
        self.asked: list[str] = []

    def _answer(self, asked: str, status: Status) -> Payment:
        self.asked.append(asked)
        if asked != "authorize" and self.status is None:
            raise UnknownPayment(PAYMENT)
        self.status = status
        return Payment(PAYMENT, status, "pi_1", 100, "EUR")

    def authorize(self, payment_id: str, amount_minor: int, currency: str, method: str | None) -> Payment:
        assert (PAYMENT, 100, "EUR", "pm_card_visa") == (payment_id, amount_minor, currency, method)
        return self._answer("authorize", "authorized")

    def capture(self, payment_id: str) -> Payment:
        return self._answer("capture", "captured")

    def void(self, payment_id: str) -> Payment:
        return self._answer("void", "voided")

    def refund(self, payment_id: str) -> Payment:
        return self._answer("refund", "refunded")

    def lookup(self, payment_id: str) -> Payment | None:
        self.asked.append("lookup")
        return None if self.status is None else Payment(PAYMENT, self.status, "pi_1", 100, "EUR")

    def close(self) -> None:
        return


def asked(step: str) -> Asked:
    body = {"payment_id": PAYMENT, "amount_minor": 100, "currency": "EUR", "payment_method": "pm_card_visa"}
    return Asked(step, Record(EVENTS.name, 0, 0, 0, b"acc", b"v"), {"body": body})


@pytest.mark.parametrize("step", STEPS.values())
def test_a_first_attempt_calls_without_asking(step: str) -> None:
    """The note of the attempt was not there, so nobody made the call."""
    books = Books("authorized")

    _call(books, asked(step), is_fresh=True)

    assert [step] == books.asked


@pytest.mark.parametrize(
    ("step", "stands", "calls"),
    [
        ("authorize", None, ["lookup", "authorize"]),
        ("authorize", "authorized", ["lookup"]),
        ("authorize", "declined", ["lookup"]),
        ("authorize", "captured", ["lookup"]),
        ("capture", "authorized", ["lookup", "capture"]),
        ("capture", "captured", ["lookup"]),
        ("void", "authorized", ["lookup", "void"]),
        ("void", "voided", ["lookup"]),
        ("void", "declined", ["lookup"]),
        ("refund", "captured", ["lookup", "refund"]),
        ("refund", "refunded", ["lookup"]),
    ],
)
def test_a_repeated_attempt_looks_up_first(step: str, stands: Status | None, calls: list[str]) -> None:
    """What the gateway has done already is not asked for again; what it has not is."""
    books = Books(stands)

    _call(books, asked(step), is_fresh=False)

    assert calls == books.asked


def test_a_payment_that_was_never_authorized_is_void() -> None:
    """A void may overtake the authorization that it is for: there is nothing to give back."""
    assert "voided" == _call(Books(), asked("void"), is_fresh=True).status


def test_capturing_what_the_gateway_does_not_know_is_a_bug() -> None:
    """It was authorized there before, so another gateway account is being asked."""
    with pytest.raises(UnknownPayment):
        _call(Books(), asked("capture"), is_fresh=True)
