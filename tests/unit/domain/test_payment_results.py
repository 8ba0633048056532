"""What the gateway says, in order, late, twice, or wrong: never applied to an order that has ended."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.given_when_then import ACTIVATED, Given, reason_codes
from tests.support.order_values import (
    MINUTE,
    NOON,
    a_result,
    an_opening,
    an_order,
    from_elsewhere,
    order_of,
    payment_of,
)
from tierline.domain.commands import Command
from tierline.domain.events import (
    OrderCompleted,
    OrderFailed,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureRequested,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
    PaymentVoidRequested,
    RefundRequested,
)
from tierline.domain.payment_results import STATUSES
from tierline.domain.subscription import Payment, PaymentStage
from tierline.domain.subscription_fold import SETTLED_PAYMENTS_KEPT

DUE = 1_411_586
ORDER = an_order()
PAYMENT = payment_of(ORDER)
NEWER = an_order("PO-2", offset=1, received_at=NOON + MINUTE, seats=20)


def said(status: str, amount_minor: int = DUE, **changed: Any) -> Command:
    """What the gateway says about the payment of the first order."""
    return a_result(ORDER, status, amount_minor, **changed)


def after(*statuses: str, superseded: bool = False) -> Given:
    """An order that was asked for its payment, and what the gateway has said since."""
    ended = (NEWER,) if superseded else ()
    return Given(an_opening(payment="gateway"), ORDER, *ended, *(said(status) for status in statuses))


def test_authorization_asks_for_the_capture() -> None:
    """One decision: what the gateway holds, and the point of no return."""
    after().when(said("authorized")).then(
        PaymentAuthorized(PAYMENT, "pi_1", DUE, "EUR"), PaymentCaptureRequested(PAYMENT, "pi_1", DUE, "EUR")
    )


def test_capture_completes_the_order_in_one_decision() -> None:
    """Money, tier, entitlements, schedule and completion belong together."""
    decided = after("authorized").when(said("captured"))
    decided.then(PaymentCaptured(PAYMENT, "pi_1", DUE, "EUR"), *ACTIVATED)
    assert {order_of(ORDER)} == {event.order_id for event in decided.events}
    assert ("business-year", 15, None) == (
        decided.subscription.plan,
        decided.subscription.seats,
        decided.subscription.live,
    )
    assert ("completed", DUE) == (
        decided.decider.claims[ORDER.command_id][0].outcome,
        decided.the(OrderCompleted).charged_minor,
    )


def test_activation_after_a_payment_counts_from_when_the_order_was_received() -> None:
    """Not from when the gateway answered."""
    decided = after("authorized").when(said("captured"))
    assert [NOON, NOON, NOON, None] == [event.effective_at for event in decided.events[1:]]


def test_decline_fails_the_order() -> None:
    """PaymentDeclined carries the gateway's code, OrderFailed the reason; the tier is as it was."""
    decided = after().when(said("declined", 0))
    decided.then(PaymentDeclined(PAYMENT, "pi_1", "card_declined"), OrderFailed)
    assert (["PAYMENT_DECLINED"], "PAYMENT_DECLINED") == (
        reason_codes(decided.the(OrderFailed)),
        decided.event(OrderFailed).reason_code,
    )
    assert ("failed", ("PAYMENT_DECLINED",)) == (
        decided.decider.claims[ORDER.command_id][0].outcome,
        decided.decider.claims[ORDER.command_id][0].reasons,
    )
    assert ("team-month", None) == (decided.subscription.plan, decided.subscription.live)


def test_declined_capture_gives_the_hold_back() -> None:
    """The authorization may still stand, so a void is asked for before the order fails."""
    after("authorized").when(said("declined", 0)).then(
        PaymentDeclined, PaymentVoidRequested(PAYMENT, "pi_1"), OrderFailed
    )


@pytest.mark.parametrize("status", STATUSES)
def test_result_delivered_again_stays_quiet(status: str) -> None:
    """From the same origin and from another one."""
    given = after(status)
    given.when(said(status)).then_nothing_happened()
    given.when(from_elsewhere(said(status))).then_nothing_happened()


def test_quiet_result_leaves_no_claim() -> None:
    """Nothing happened, so there is nothing to remember."""
    decided = after("captured").when(said("authorized"))
    assert ([], set()) == (
        decided.decider.claims[decided.command.command_id],
        decided.decider.origins[decided.command.command_id],
    )


@pytest.mark.parametrize("status", STATUSES)
def test_result_has_a_claim_of_its_own(status: str) -> None:
    """Recorded; its order is named by the events, not by the claim."""
    claim = after().when(said(status)).claim
    assert ("recorded", None) == (claim.outcome, claim.order_id)


def test_late_authorization_of_a_superseded_order_is_voided() -> None:
    """Never applied: the money that is held for nobody is given back."""
    decided = after(superseded=True).when(said("authorized"))
    decided.then(PaymentAuthorized, PaymentVoidRequested(PAYMENT, "pi_1"))
    assert decided.subscription.live is not None
    assert order_of(NEWER) == decided.subscription.live.order.order_id


def test_late_capture_of_a_superseded_order_is_refunded() -> None:
    """Never applied: what was taken is paid back, to the amount that was taken."""
    decided = after("authorized", superseded=True).when(said("captured"))
    decided.then(PaymentCaptured, RefundRequested(PAYMENT, "pi_1", DUE, "EUR"))
    assert "team-month" == decided.subscription.plan
    decided.decider.decide(said("refunded"))


def test_superseded_order_keeps_its_outcome_whatever_the_gateway_says() -> None:
    """A terminal order never changes."""
    given = after("authorized", "captured", "refunded", superseded=True)
    assert "superseded" == given.decider.claims[ORDER.command_id][0].outcome


@pytest.mark.parametrize(
    ("status", "expected"),
    [("declined", PaymentDeclined), ("voided", PaymentVoided), ("refunded", PaymentRefunded)],
)
def test_end_of_a_dead_payment_is_noted(status: str, expected: type) -> None:
    """It concerns no order any more, but the money is accounted for."""
    after(superseded=True).when(said(status)).then(expected)


def test_authorization_that_comes_after_its_void_is_voided_again() -> None:
    """Void found nothing, then the delayed authorization went through."""
    after("voided", superseded=True).when(said("authorized")).then(PaymentAuthorized, PaymentVoidRequested)


def test_authorization_after_a_decline_is_voided() -> None:
    """The order has failed; a gateway that changes its mind does not bring it back."""
    after("declined").when(said("authorized")).then(PaymentAuthorized, PaymentVoidRequested)


def test_capture_after_a_decline_is_refunded() -> None:
    """The same for money that was taken."""
    after("declined").when(said("captured")).then(PaymentCaptured, RefundRequested)


def test_capture_that_overtakes_its_authorization_completes_the_order() -> None:
    """The money asked for was taken for the live order; the late authorization changes nothing."""
    given = after()
    given.when(said("captured")).then(PaymentCaptured, *ACTIVATED)
    given.when(said("authorized")).then_nothing_happened()


@pytest.mark.parametrize("status", ["authorized", "declined", "voided"])
def test_completed_order_never_changes(status: str) -> None:
    """What a capture has overtaken is quiet."""
    decided = after("authorized", "captured").when(said(status, offset=9, gateway_ref="pi_2"))
    decided.then_nothing_happened()
    assert "completed" == decided.decider.claims[ORDER.command_id][0].outcome


def test_refund_of_a_completed_order_is_noted() -> None:
    """Somebody paid back at the gateway: the order stays completed."""
    decided = after("authorized", "captured").when(said("refunded"))
    decided.then(PaymentRefunded)
    assert ("business-year", "completed") == (
        decided.subscription.plan,
        decided.decider.claims[ORDER.command_id][0].outcome,
    )


@pytest.mark.parametrize(("status", "expected"), [("voided", PaymentVoided), ("refunded", PaymentRefunded)])
@pytest.mark.parametrize("before", [(), ("authorized",)], ids=["unpaid", "capturing"])
def test_order_fails_when_its_payment_is_given_back(
    before: tuple[str, ...], status: str, expected: type
) -> None:
    """Without money there is no upgrade, whoever gave it back."""
    decided = after(*before).when(said(status))
    decided.then(expected, OrderFailed)
    assert ["PAYMENT_DECLINED"] == reason_codes(decided.the(OrderFailed))


@pytest.mark.parametrize("changed", [{"amount_minor": DUE - 1}, {"currency": "USD"}])
def test_authorization_of_something_else_is_voided_and_the_order_fails(changed: dict[str, Any]) -> None:
    """Never captured: PAYMENT_MISMATCH."""
    decided = after().when(said("authorized", **{"amount_minor": DUE} | changed))
    decided.then(PaymentAuthorized, PaymentVoidRequested(PAYMENT, "pi_1"), OrderFailed)
    assert ["PAYMENT_MISMATCH"] == reason_codes(decided.the(OrderFailed))


@pytest.mark.parametrize("changed", [{"amount_minor": DUE + 1}, {"currency": "USD"}])
def test_capture_of_something_else_is_refunded_and_the_order_fails(changed: dict[str, Any]) -> None:
    """What was really taken is paid back, and nothing is activated."""
    told: dict[str, Any] = {"amount_minor": DUE, "currency": "EUR"} | changed
    decided = after("authorized").when(said("captured", **told))
    decided.then(
        PaymentCaptured,
        RefundRequested(PAYMENT, "pi_1", told["amount_minor"], told["currency"]),
        OrderFailed,
    )
    assert ("team-month", ["PAYMENT_MISMATCH"]) == (
        decided.subscription.plan,
        reason_codes(decided.the(OrderFailed)),
    )


def test_void_after_a_mismatch_is_noted() -> None:
    """The money of a failed order comes back in its own time."""
    after("authorized").when(said("voided", 1)).the(PaymentVoided)


def test_result_for_a_payment_that_nobody_asked_for_is_a_dead_letter() -> None:
    """Neither applied nor released: it may be another subscription's money. A person looks."""
    stranger = an_order("PO-9", subscription_id="sub_1")
    result = a_result(ORDER, "authorized", DUE, payment_id=payment_of(stranger))
    after().when(result).then_dead("PAYMENT_UNKNOWN")


def test_result_with_an_unknown_status_is_a_dead_letter() -> None:
    """The five words are a contract."""
    after().when(said("pending")).then_dead("PAYMENT_STATUS_UNKNOWN")


def test_settled_payments_are_forgotten_only_when_many_newer_ones_are_settled() -> None:
    """Late results of the latest payments are understood; a repeat of a forgotten one stays quiet."""
    commands: list[Command] = [an_opening(payment="gateway")]
    for number in range(SETTLED_PAYMENTS_KEPT + 1):
        order = an_order(f"PO-{number}", offset=number, received_at=NOON + number)
        commands += [order, a_result(order, "declined", 0)]
    commands.append(an_order("PO-last", offset=100, received_at=NOON + 1_000))
    given = Given(*commands)
    oldest, second = commands[1], commands[3]
    given.when(a_result(second, "captured", DUE)).then(PaymentCaptured, RefundRequested)
    given.when(from_elsewhere(a_result(oldest, "declined", 0))).then_nothing_happened()
    given.when(a_result(oldest, "captured", DUE)).then_dead("PAYMENT_UNKNOWN")


def test_open_payments_are_never_forgotten() -> None:
    """A void that is still asked for is remembered however many payments follow."""
    commands: list[Command] = [an_opening(payment="gateway"), ORDER]
    for number in range(2 * SETTLED_PAYMENTS_KEPT):
        order = an_order(f"PO-{number}-n", offset=number, received_at=NOON + number + 1)
        commands += [order, a_result(order, "declined", 0)]
    decided = Given(*commands).when(said("authorized"))
    decided.then(PaymentAuthorized, PaymentVoidRequested)


def test_payment_remembers_the_gateways_reference() -> None:
    """A void without one keeps the reference that was known."""
    payment = (
        after("authorized", superseded=True)
        .when(said("voided", gateway_ref=""))
        .subscription.payment(PAYMENT)
    )
    assert Payment(PAYMENT, order_of(ORDER), DUE, "EUR", "pi_1", PaymentStage.VOIDED) == payment
