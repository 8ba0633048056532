"""What holds about money through any story of two subscriptions of one account, over many periods.

A state machine lets time pass and sends orders, questions and payment results to both subscriptions. The
whole history is judged after each step by the checker's own reading of it, which shares nothing with the
decider but events.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.given_when_then import Decider
from tests.support.order_values import (
    ACCOUNT,
    CATALOG,
    MINUTE,
    NOON,
    ROW,
    SUBSCRIPTION,
    a_result,
    an_opening,
    an_order,
)
from tierline.domain.account import OpenAccount
from tierline.domain.commands import Command
from tierline.domain.events import PaymentRequested, PeriodInvoiced, PeriodRolled
from tierline.domain.outcome import Dead
from tierline.domain.payment_results import STATUSES
from tierline.domain.state import State, account_stream, evolve, initial, subscription_stream
from tierline.domain.subscription import ActiveSubscription
from tierline.verify.evidence import Place, TopicEvent
from tierline.verify.money import judge_money

OTHER = "sub_89"
DAY = 24 * 60 * MINUTE
BOTH = st.sampled_from([SUBSCRIPTION, OTHER])
MODULES = st.sampled_from(
    [(), (), ("sso-pack",), ("chat-pack",), ("audit-pack", "sso-pack"), ("voice-pack",), ("telepathy",)]
)


class MoneyOverTime(RuleBasedStateMachine):
    """One account with two subscriptions, and everything that moves its money."""

    def __init__(self) -> None:
        super().__init__()
        self.topic: list[TopicEvent] = []
        self.asked: list[tuple[Command, PaymentRequested]] = []
        self.now = NOON
        self.offset = 0

    @initialize(
        payment=st.sampled_from(["gateway", "gateway", "invoice", "external"]),
        invoiced=st.sampled_from([34_800, 130_000, 200_000, 600_000]),
    )
    def open_both(self, payment: str, invoiced: int) -> None:
        """The second subscription was invoiced too much, so that its first upgrade leaves some credit."""
        self.decider = Decider()
        row = replace(ROW, amount_minor=invoiced)
        self.send(an_opening(payment=payment, contract=None))
        self.send(
            an_opening(
                payment=payment,
                contract=None,
                subscription_id=OTHER,
                modules=("sso-pack",),
                invoiced=(row, replace(ROW, item="sso-pack", amount_minor=3_600)),
                external_refs=(),
                offset=1,
            )
        )

    @rule(days=st.sampled_from([1, 8, 31, 45, 400]))
    def time_passes(self, days: int) -> None:
        """Periods end, and nobody says so."""
        self.now += days * DAY

    @rule(
        subscription_id=BOTH,
        plan=st.sampled_from([None, None, "team-plus", "business-month", "business-year", "enterprise-year"]),
        more_seats=st.sampled_from([0, 1, 7]),
        late=st.sampled_from([0, 0, 0, 2 * DAY]),
        validate_only=st.sampled_from([False, False, False, True]),
        same_sender=st.sampled_from([True, True, False]),
        modules=MODULES,
        complete=st.booleans(),
    )
    def order(
        self,
        subscription_id: str,
        plan: str | None,
        more_seats: int,
        late: int,
        modules: tuple[str, ...],
        *,
        validate_only: bool,
        same_sender: bool,
        complete: bool,
    ) -> None:
        """An order, now and then one that took its time to get here."""
        self.now += MINUTE
        self.offset += 1
        before = self.account()
        self.send(
            an_order(
                f"PO-{self.offset}",
                offset=self.offset,
                channel="portal" if same_sender else "partner",
                subscription_id=subscription_id,
                plan=plan,
                seats=self.subscription(subscription_id).seats + more_seats,
                received_at=self.now - late,
                validate_only=validate_only,
                modules=modules,
                modules_complete=complete,
            )
        )
        if validate_only:
            assert before == self.account()

    @rule(
        data=st.data(), status=st.sampled_from([*STATUSES, "captured"]), wrong=st.sampled_from([0, 0, 0, 1])
    )
    def payment_result(self, data: st.DataObject, status: str, wrong: int) -> None:
        """The gateway says something about some payment of either subscription."""
        if self.asked:
            order, request = data.draw(st.sampled_from(self.asked[-4:]))
            self.answer(order, request, status, wrong)

    @rule(subscription_id=BOTH, status=st.sampled_from(["authorized", "captured", "declined"]))
    def live_payment_goes_on(self, subscription_id: str, status: str) -> None:
        """The gateway answers what a live order waits for."""
        for order, request in self.asked:
            if self.subscription(subscription_id).order_paid_by(request.payment_id) is not None:
                self.answer(order, request, status)

    def answer(self, order: Command, request: PaymentRequested, status: str, wrong: int = 0) -> None:
        """Tell what the gateway says, ``wrong`` minor units off."""
        self.offset += 1
        minor = request.amount_minor + wrong
        self.send(a_result(order, status, minor, offset=self.offset, payment_id=request.payment_id))

    def send(self, command: Command) -> None:
        """Decide, and keep what the topic would hold."""
        self.decider.now = self.now
        outcome = self.decider.decide(command)
        assert not isinstance(outcome, Dead), outcome
        for event in outcome:
            position, kind = len(self.topic), type(event.body).__name__
            envelope = {
                "type": kind,
                "order_id": event.order_id,
                "account_id": command.account_id,
                "subscription_id": command.subscription_id,
                "body": asdict(event.body),
            }
            place = Place("oms.events.v1", 0, position)
            self.topic.append(TopicEvent(place, position, b"", kind, b"", envelope))
            if isinstance(event.body, PaymentRequested):
                self.asked.append((command, event.body))

    def account(self) -> OpenAccount:
        """The account that the decider keeps."""
        account = self.decider.accounts[ACCOUNT]
        assert isinstance(account, OpenAccount)
        return account

    def subscription(self, subscription_id: str) -> ActiveSubscription:
        """A subscription that the decider keeps."""
        found = self.decider.subscriptions[subscription_id]
        assert isinstance(found, ActiveSubscription)
        return found

    @invariant()
    def the_checker_finds_nothing(self) -> None:
        """Credit spent once, periods in a row and invoiced once, no more credited than invoiced."""
        assert [] == [found.first for found in judge_money({0: self.topic}) if not found.holds]

    @invariant()
    def credit_covers_what_is_reserved(self) -> None:
        """And only live orders have something reserved."""
        account = self.account()
        assert account.credit_open_to(None) >= 0
        live = [self.subscription(name).live for name in (SUBSCRIPTION, OTHER)]
        reserved = {r.order_id: r.amount_minor for r in account.reserved}
        assert reserved == {
            order.order.order_id: order.quote.credit_used_minor
            for order in live
            if order is not None and order.quote.credit_used_minor
        }

    @invariant()
    def modules_are_the_items_beside_the_plan(self) -> None:
        """What is in force is what is billed, and its features are on."""
        for name in (SUBSCRIPTION, OTHER):
            subscription = self.subscription(name)
            plan = CATALOG.plans[subscription.plan]
            items = {item.id: item for item in subscription.schedule.items}
            assert {"base", *subscription.modules} == items.keys()
            assert set(CATALOG.features(plan, subscription.modules)) == set(subscription.features)
            priced = CATALOG.items(plan, "EUR", subscription.seats, subscription.modules)
            assert priced is not None
            assert {item.id: item.list_minor for item in priced} == {
                item.id: item.list_minor for item in items.values()
            }

    @invariant()
    def periods_are_begun_by_what_is_accepted(self) -> None:
        """A roll stands between the receipt of an order and its quote."""
        types = [event.envelope["type"] for event in self.topic]
        rolls = {PeriodRolled.__name__, PeriodInvoiced.__name__}
        for before, here in pairwise(types):
            if here in rolls and before not in rolls:
                assert "OrderReceived" == before
            if before in rolls and here not in rolls:
                assert "OrderValidated" == here

    @invariant()
    def folding_again_gives_the_same_state(self) -> None:
        """Both streams are nothing but their events."""
        for name in (SUBSCRIPTION, OTHER):
            state = initial()
            for stream_id in (account_stream(ACCOUNT), subscription_stream(name)):
                for event in self.decider.streams[stream_id]:
                    state = evolve(state, event)
            assert State(self.account(), self.subscription(name)) == state


TestMoneyOverTime = MoneyOverTime.TestCase
TestMoneyOverTime.settings = settings(
    max_examples=100,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
