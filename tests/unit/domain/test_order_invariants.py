"""What holds after every decision, whatever arrives in whatever order.

A state machine sends orders, questions, payment results, redeliveries and repeats, in and out of order,
and looks at the whole history after each step. Its judgement shares nothing with the decider but events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.given_when_then import ACTIVATED, Decider
from tests.support.order_values import (
    MINUTE,
    NOON,
    a_policy,
    a_result,
    an_opening,
    an_order,
    from_elsewhere,
    ms,
)
from tierline.domain.claims import NewAttempt
from tierline.domain.commands import Command, PlaceOrder, RecordPaymentResult
from tierline.domain.events import (
    OrderCompleted,
    OrderFailed,
    OrderHeld,
    OrderRejected,
    OrderSuperseded,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureRequested,
    PaymentRequested,
    PaymentVoidRequested,
    QuoteIssued,
    RecordedEvent,
    RefundRequested,
    SubscriptionOpened,
    TierChanged,
)
from tierline.domain.outcome import Dead
from tierline.domain.payment_results import STATUSES
from tierline.domain.policy import Severity
from tierline.domain.state import evolve, initial, subscription_stream
from tierline.domain.subscription import ActiveSubscription, AwaitingPayment, Capturing

Body = TypeVar("Body")

ENDINGS = (OrderCompleted, OrderFailed, OrderRejected, OrderSuperseded)
OUTCOME_OF_ENDING = {
    OrderCompleted: "completed",
    OrderFailed: "failed",
    OrderRejected: "rejected",
    OrderSuperseded: "superseded",
}
MONEY_OF_THE_DEAD = (
    "PaymentAuthorized",
    "PaymentCaptured",
    "PaymentDeclined",
    "PaymentVoidRequested",
    "PaymentVoided",
    "RefundRequested",
    "PaymentRefunded",
    "DuplicateOrderIgnored",
)

REFERENCES = st.sampled_from(["PO-1", "PO-2", "PO-3", "PO-4"])
SENDERS = st.sampled_from([("portal", "main"), ("partner", "acme"), ("partner", "globex")])
PLANS = st.sampled_from([None, "team-month", "business-month", "business-year", "enterprise-year", "gold"])
MODULES = st.sampled_from([(), (), ("sso-pack",), ("chat-pack",), ("chat-pack", "voice-pack")])
SEATS = st.sampled_from([None, 0, 9, 12, 15, 20, 30, 600])
MOMENTS = st.one_of(st.integers(NOON - 3 * MINUTE, NOON + 3 * MINUTE), st.just(ms("2026-12-03T00:00:00")))


class OrdersInAnyOrder(RuleBasedStateMachine):
    """One subscription of a gateway account, and everything that can come about it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Command] = []
        self.offset = 0

    @initialize(
        payment=st.sampled_from(["gateway", "gateway", "invoice"]),
        minimum=st.sampled_from([Severity.REJECT, Severity.HOLD, Severity.WARN]),
        stale=st.sampled_from([Severity.REJECT, Severity.HOLD]),
    )
    def open_subscription(self, payment: str, minimum: Severity, stale: Severity) -> None:
        """Every story begins with a subscription."""
        self.decider = Decider(policy=a_policy(below_tier_minimum=minimum, stale_order=stale))
        self.opening = an_opening(payment=payment, contract=None)
        self.decider.decide(self.opening)

    @rule(
        reference=REFERENCES,
        sender=SENDERS,
        plan=PLANS,
        seats=SEATS,
        modules=MODULES,
        received_at=MOMENTS,
        validate_only=st.sampled_from([False, False, False, True]),
        modules_complete=st.booleans(),
    )
    def order(
        self,
        reference: str,
        sender: tuple[str, str],
        plan: str | None,
        seats: int | None,
        modules: tuple[str, ...],
        received_at: int,
        *,
        validate_only: bool,
        modules_complete: bool,
    ) -> None:
        """An order of any kind."""
        self.offset += 1
        channel, source = sender
        command = an_order(
            reference,
            offset=self.offset,
            channel=channel,
            source=source,
            plan=plan,
            seats=seats,
            modules=modules,
            received_at=received_at,
            validate_only=validate_only,
            modules_complete=modules_complete,
        )
        self.send(command)

    @rule(step=st.integers(1, 5), seats=st.integers(13, 400))
    def good_order(self, step: int, seats: int) -> None:
        """An upgrade that nothing speaks against but what is pending."""
        self.offset += 1
        command = an_order(
            f"PO-good-{self.offset}",
            offset=self.offset,
            plan=None,
            seats=seats,
            received_at=NOON + (3 + step) * MINUTE,
        )
        self.send(command)

    @rule(data=st.data(), status=st.sampled_from(STATUSES), wrong=st.sampled_from([0, 0, 0, 1]))
    def payment_result(self, data: st.DataObject, status: str, wrong: int) -> None:
        """The gateway says something about some payment, now and then with a wrong amount."""
        asked = [event for event in self.history() if isinstance(event.body, PaymentRequested)]
        if not asked:
            return
        self.answer(data.draw(st.sampled_from(asked[-4:])), status, wrong)

    @rule()
    def gateway_goes_on(self) -> None:
        """The gateway does what it was asked for last."""
        for event in reversed(self.history()):
            if isinstance(event.body, PaymentRequested):
                steps = {AwaitingPayment: "authorized", Capturing: "captured"}
                self.answer(event, steps.get(type(self.subscription().live), "voided"))
                return

    @rule(data=st.data())
    def redelivery(self, data: st.DataObject) -> None:
        """Kafka delivers something again: nothing happens."""
        decided = [command for command in self.sent if self.is_known(command)]
        if decided:
            assert () == self.decider.decide(data.draw(st.sampled_from(decided)))

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Somebody publishes something again."""
        if self.sent:
            self.offset += 1
            self.send(from_elsewhere(data.draw(st.sampled_from(self.sent)), self.offset))

    def send(self, command: Command) -> None:
        """Decide, and judge the decision alone."""
        identity = self.decider.context(command).identity
        before = self.live_orders()
        outcome = self.decider.decide(command)
        assert not isinstance(outcome, Dead), outcome
        self.sent.append(command)
        bodies = [event.body for event in outcome]
        if isinstance(command.body, PlaceOrder):
            assert bodies, "an intent that is no redelivery has at least one event"
        if any(isinstance(body, OrderRejected) for body in bodies):
            assert not any(isinstance(body, OrderSuperseded) for body in bodies)
        if any(isinstance(body, OrderHeld) for body in bodies):
            ended = {e.order_id for e in outcome if isinstance(e.body, OrderSuperseded)}
            assert not ended & before, "an order on hold ended a running one"
        if isinstance(command.body, RecordPaymentResult) and not isinstance(identity, NewAttempt):
            assert not bodies

    def answer(self, request: RecordedEvent, status: str, wrong: int = 0) -> None:
        """Tell what the gateway says about a payment, ``wrong`` minor units off."""
        body = only(request.body, PaymentRequested)
        self.offset += 1
        command = a_result(
            replace(self.opening, command_id=request.command_id),
            status,
            body.amount_minor + wrong,
            offset=self.offset,
            payment_id=body.payment_id,
            order_id=request.order_id,
        )
        self.send(command)

    def is_known(self, command: Command) -> bool:
        """Whether the decider has stored this very origin."""
        return command.origin in self.decider.origins[command.command_id]

    def history(self) -> list[RecordedEvent]:
        """All events of the subscription."""
        return self.decider.streams[subscription_stream(self.opening.subscription_id)]

    def subscription(self) -> ActiveSubscription:
        """The state that the decider keeps."""
        found = self.decider.state(self.opening).subscription
        assert isinstance(found, ActiveSubscription)
        return found

    def about_orders(self) -> Iterator[tuple[str, list[RecordedEvent]]]:
        """The history by order."""
        by_order: dict[str, list[RecordedEvent]] = {}
        for event in self.history():
            if event.order_id is not None:
                by_order.setdefault(event.order_id, []).append(event)
        yield from by_order.items()

    def live_orders(self) -> set[str]:
        """Orders that were accepted and have not ended."""
        return {
            order_id
            for order_id, events in self.about_orders()
            if has(events, QuoteIssued) and not has(events, *ENDINGS)
        }

    @invariant()
    def at_most_one_order_is_live(self) -> None:
        """Past validation, per subscription; and the state knows which."""
        live = self.live_orders()
        known = self.subscription().live
        assert live == (set() if known is None else {known.order.order_id})
        assert len(live) <= 1

    @invariant()
    def terminal_orders_never_change(self) -> None:
        """One ending; after it only what happens to money that is in flight, and duplicates."""
        for order_id, events in self.about_orders():
            ends = [index for index, event in enumerate(events) if isinstance(event.body, ENDINGS)]
            assert len(ends) <= 1, order_id
            for event in events[ends[0] + 1 :] if ends else []:
                assert event.type in MONEY_OF_THE_DEAD, (order_id, event.type)

    @invariant()
    def tier_changes_only_by_tier_changed(self) -> None:
        """Plan, tier and seats in force are those of the last TierChanged."""
        now, opened = self.subscription(), only(self.history()[0].body, SubscriptionOpened)
        changes = [event.body for event in self.history() if isinstance(event.body, TierChanged)]
        last = changes[-1] if changes else None
        expected = (last.to_tier, last.to_plan, last.to_seats) if last else (opened.tier, opened.plan, 12)
        assert expected == (now.tier, now.plan, now.seats)
        for earlier, later in pairwise(changes):
            assert (earlier.to_plan, earlier.to_seats) == (later.from_plan, later.from_seats)

    @invariant()
    def activation_is_one_decision(self) -> None:
        """TierChanged, EntitlementsChanged, BillingScheduleAdjusted, OrderCompleted: together, in order."""
        names = [known.__name__ for known in ACTIVATED]
        for decision in self.decisions():
            types = [event.type for event in decision]
            activating = [name for name in types if name in names[:3]]
            assert activating in ([], names[:3])
            if activating:
                assert types[-4:] == names
                assert 1 == len({event.order_id for event in decision[-4:]})

    @invariant()
    def money_is_taken_only_for_what_is_activated(self) -> None:
        """A completed gateway order was captured to the cent; every other capture is paid back."""
        for order_id, events in self.about_orders():
            quotes, captures = bodies(events, QuoteIssued), bodies(events, PaymentCaptured)
            refunds, requests = bodies(events, RefundRequested), bodies(events, PaymentRequested)
            done = [body for body in bodies(events, OrderCompleted) if body.reason is None]
            assert len(captures) == len(refunds) + (len(done) if requests else 0), order_id
            for body in done:
                assert quotes[0].due_minor == body.charged_minor
            if done and requests:
                assert requests[0].amount_minor == captures[0].amount_minor == quotes[0].due_minor

    @invariant()
    def money_held_for_the_dead_is_released(self) -> None:
        """An authorization is followed, in its decision, by a capture or by a void."""
        for decision in self.decisions():
            held = bodies(decision, PaymentAuthorized)
            assert len(held) == len(bodies(decision, PaymentCaptureRequested)) + (
                len(bodies(decision, PaymentVoidRequested)) if held else 0
            )

    @invariant()
    def superseded_payments_are_voided(self) -> None:
        """An order that was asked for its payment and is superseded asks for a void."""
        for order_id, events in self.about_orders():
            if has(events, OrderSuperseded) and has(events, PaymentRequested):
                assert has(events, PaymentVoidRequested), order_id

    @invariant()
    def accepted_orders_are_never_older_than_the_ones_before(self) -> None:
        """``received_at`` never falls from one accepted order to the next."""
        moments = [
            event.received_at
            for event in self.history()
            if (isinstance(event.body, QuoteIssued) and event.order_id)
            or (isinstance(event.body, OrderCompleted) and event.body.reason)
        ]
        assert moments == sorted(moments)

    @invariant()
    def claims_say_how_orders_ended(self) -> None:
        """Every order's claim has the outcome of its ending."""
        endings = {
            event.order_id: OUTCOME_OF_ENDING[type(event.body)]
            for event in self.history()
            if isinstance(event.body, ENDINGS)
        }
        for claims in self.decider.claims.values():
            for claim in claims:
                if claim.order_id in endings:
                    assert endings[claim.order_id] == claim.outcome
                elif claim.order_id:
                    assert claim.outcome in {"received", "held", "awaiting_payment", "capturing"}
            assert list(range(1, len(claims) + 1)) == [claim.attempt for claim in claims]

    @invariant()
    def no_row_gives_back_more_than_it_took(self) -> None:
        """Credits of an invoiced row never exceed it."""
        for row in self.subscription().schedule.invoiced or ():
            assert sum(span.amount_minor for span in row.credits) <= row.amount_minor

    @invariant()
    def folding_again_gives_the_same_state(self) -> None:
        """The state is nothing but its events."""
        state = initial()
        for stream in self.decider.streams.values():
            for event in stream:
                state = evolve(state, event)
        assert self.decider.state(self.opening) == state
        assert None is self.subscription().arriving

    def decisions(self) -> Iterator[list[RecordedEvent]]:
        """The history by decision."""

        def decision(event: RecordedEvent) -> tuple[str, Any, int]:
            return event.command_id, event.origin, event.attempt

        for _, events in groupby(self.history(), key=decision):
            yield list(events)


def bodies(events: list[RecordedEvent], wanted: type[Body]) -> list[Body]:
    """The bodies of one type."""
    return [event.body for event in events if isinstance(event.body, wanted)]


def has(events: list[RecordedEvent], *wanted: type) -> bool:
    """Whether an event of one of the types is there."""
    return any(isinstance(event.body, wanted) for event in events)


def only(body: object, wanted: type[Body]) -> Body:
    """The body, which is of that type."""
    assert isinstance(body, wanted)
    return body


TestOrdersInAnyOrder = OrdersInAnyOrder.TestCase
TestOrdersInAnyOrder.settings = settings(
    max_examples=120,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
