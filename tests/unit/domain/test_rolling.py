"""Orders after the end of the period in force: every elapsed period begins once, then the price is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.given_when_then import ACTIVATED, AWAITING_PAYMENT, Given, reason_codes
from tests.support.order_values import (
    CATALOG,
    CONTRACT,
    MINUTE,
    NOON,
    ROW,
    a_policy,
    a_result,
    an_opening,
    an_order,
    ms,
    order_of,
    plan,
)
from tierline.domain.calendar import Interval
from tierline.domain.catalog import Catalog
from tierline.domain.commands import Command, InvoicedRow
from tierline.domain.events import (
    OrderCompleted,
    OrderHeld,
    OrderReceived,
    OrderRejected,
    OrderValidated,
    PaymentCaptured,
    PeriodInvoiced,
    PeriodRolled,
    QuoteIssued,
    TierChanged,
)
from tierline.domain.policy import Severity
from tierline.domain.rolling import MOST_PERIODS

ROLLED = (PeriodRolled, PeriodInvoiced)
DECEMBER, JANUARY = ("2026-12-01", "2027-01-01"), ("2027-01-01", "2027-02-01")
AT_THE_END = ms("2026-12-01T00:00:00+01:00")
IN_JANUARY = ms("2027-01-11T09:00:00+01:00")
DAILY = plan("team-daily", "team", Interval.parse("1day"), 100)
BOOK = Catalog("c1", CATALOG.tiers, {**CATALOG.plans, DAILY.id: DAILY})


def opened(**changed: Any) -> Command:
    """sub_88 without a contract."""
    return an_opening(**{"contract": None, **changed})


def upgrade(received_at: int, **changed: Any) -> Command:
    """An order for business-month with 12 seats."""
    changed = {"plan": "business-month", "seats": 12, **changed}
    return an_order(received_at=received_at, **changed)


def row_of(span: tuple[str, str]) -> InvoicedRow:
    """The row of a whole month at the price in force."""
    return replace(ROW, start=span[0], end=span[1], plan="team-month", mode="day")


def test_order_after_the_end_rolls_once_per_elapsed_period_and_is_priced_then() -> None:
    """November ended, December too: both later periods begin and are invoiced before the price."""
    decided = Given(opened()).when(upgrade(IN_JANUARY))

    decided.then(OrderReceived, *ROLLED, *ROLLED, OrderValidated, QuoteIssued, *ACTIVATED)
    assert [
        PeriodRolled("EUR", *DECEMBER, "2027-01-01", 34_800, ()),
        PeriodInvoiced("EUR", *DECEMBER, 34_800, (row_of(DECEMBER),)),
        PeriodRolled("EUR", *JANUARY, "2027-02-01", 34_800, ()),
        PeriodInvoiced("EUR", *JANUARY, 34_800, (row_of(JANUARY),)),
    ] == [event.body for event in decided.events[1:5]]
    quote = decided.the(QuoteIssued)
    assert [("credit", 21, 31, -23_574), ("charge", 21, 31, 80_477)] == [
        (line.kind, line.numerator, line.denominator, line.amount_minor) for line in quote.lines
    ]
    assert JANUARY == (quote.period_start, quote.period_end)


def test_rolls_count_from_their_period_and_name_their_order() -> None:
    """So that the tier history is right on its effective clock, and the order's timeline tells of them."""
    order = upgrade(AT_THE_END)
    decided = Given(opened()).when(order)

    assert [(AT_THE_END, order_of(order))] * 2 == [
        (event.effective_at, event.order_id) for event in decided.events[1:3]
    ]


@pytest.mark.parametrize(
    ("received_at", "rolls"),
    [(AT_THE_END - 1, 0), (AT_THE_END, 1), (ms("2026-12-31T23:59:59+01:00"), 1), (IN_JANUARY, 2)],
)
def test_periods_are_half_open(received_at: int, rolls: int) -> None:
    """The end of a period is the first moment of the next one, in the account's zone."""
    decided = Given(opened()).when(upgrade(received_at))

    assert rolls == sum(isinstance(event.body, PeriodRolled) for event in decided.events)


def test_period_of_instants_is_compared_by_instant() -> None:
    """A period that ends at an hour ends then, not at midnight."""
    opening = opened(period_end="2026-11-30T09:00:00+01:00", invoiced=None)
    before = Given(opening).when(upgrade(ms("2026-11-30T08:59:59+01:00")))
    after = Given(opening).when(upgrade(ms("2026-11-30T09:00:00+01:00")))

    assert () == tuple(event for event in before.events if isinstance(event.body, PeriodRolled))
    after.the(PeriodRolled)


def test_the_next_order_rolls_no_more() -> None:
    """Once per period, however many orders come in it."""
    given = Given(opened(), upgrade(IN_JANUARY))
    decided = given.when(an_order("PO-2", offset=1, plan=None, seats=20, received_at=IN_JANUARY + MINUTE))

    decided.then(OrderReceived, OrderValidated, QuoteIssued, *ACTIVATED)


def test_gateway_order_rolls_before_its_payment_is_asked_for() -> None:
    """The money that is asked for is that of the period in which the order came."""
    order = upgrade(IN_JANUARY)
    given = Given(opened(payment="gateway"))
    decided = given.when(order)
    decided.then(OrderReceived, *ROLLED, *ROLLED, *AWAITING_PAYMENT[1:])

    paid = given.when(a_result(order, "authorized", 56_903))
    paid = given.when(a_result(order, "captured", 56_903, offset=1))

    paid.then(PaymentCaptured, *ACTIVATED)
    schedule = paid.subscription.schedule
    assert JANUARY == (schedule.period_start, schedule.period_end)
    assert [34_800, 80_477] == [row.amount_minor for row in schedule.invoiced or ()]


@pytest.mark.parametrize(
    ("order", "ending"),
    [
        (upgrade(IN_JANUARY, seats=0), OrderRejected),
        (upgrade(IN_JANUARY, plan="team-month"), OrderCompleted),
        (upgrade(IN_JANUARY, plan="business-year", seats=9), OrderHeld),
        (upgrade(IN_JANUARY, validate_only=True), QuoteIssued),
    ],
    ids=["rejected", "in force", "held", "question"],
)
def test_order_that_changes_nothing_rolls_nothing(order: Command, ending: type) -> None:
    """Nobody is invoiced for periods because of an order that is refused, waits, or only asks."""
    decided = Given(opened(), policy=a_policy(below_tier_minimum=Severity.HOLD)).when(order)

    decided.the(ending)
    assert not any(isinstance(event.body, ROLLED) for event in decided.events)
    assert ("2026-11-01", (replace(ROW, plan="team-month", mode="day"),)) == (
        decided.subscription.schedule.period_start,
        decided.subscription.schedule.invoiced,
    )


def test_question_is_priced_as_the_order_would_be() -> None:
    """Against the period that its moment falls into."""
    asked = Given(opened()).when(upgrade(IN_JANUARY, validate_only=True)).the(QuoteIssued)
    ordered = Given(opened()).when(upgrade(IN_JANUARY)).the(QuoteIssued)

    assert replace(asked, quote_id="", validate_only=False) == replace(ordered, quote_id="")


def test_running_payment_keeps_the_period_that_it_was_quoted_in() -> None:
    """Quoted in November, paid later: it completes in November, and the next order rolls from there."""
    first = upgrade(NOON)
    given = Given(opened(payment="gateway"), first, a_result(first, "authorized", 22_400))
    refused = given.when(an_order("PO-2", offset=1, plan="business-month", seats=20, received_at=IN_JANUARY))
    assert ["ORDER_IN_PROGRESS"] == reason_codes(refused.the(OrderRejected))
    given.when(a_result(first, "captured", 22_400, offset=2)).the(TierChanged)

    later = given.when(an_order("PO-3", offset=3, plan=None, seats=20, received_at=IN_JANUARY + MINUTE))

    assert [118_800, 118_800] == [
        event.body.amount_minor for event in later.events if isinstance(event.body, PeriodInvoiced)
    ]


def test_account_billed_elsewhere_rolls_without_an_invoice() -> None:
    """What its biller took is not known: one row at the price in force is assumed, nothing is invoiced."""
    decided = Given(opened(payment="external")).when(upgrade(IN_JANUARY))

    decided.then(OrderReceived, PeriodRolled, PeriodRolled, OrderValidated, QuoteIssued, *ACTIVATED)
    assert [None, None] == [e.body.invoiced for e in decided.events if isinstance(e.body, PeriodRolled)]
    assert -23_574 == decided.the(QuoteIssued).lines[0].amount_minor


def test_row_that_outlives_its_period_stays_beside_the_assumed_one() -> None:
    """A row known beyond the period is not forgotten because the biller is somebody else."""
    ahead = replace(ROW, item="extra", end="2027-03-01", plan="extra", mode="day")
    opening = opened(payment="external", invoiced=(ROW, ahead))
    rolled = Given(opening).when(upgrade(AT_THE_END)).the(PeriodRolled)

    assert (ahead, row_of(DECEMBER)) == rolled.invoiced


def test_unbilled_subscription_stays_unbilled() -> None:
    """The empty list goes on meaning that nothing of the period was invoiced."""
    decided = Given(opened(invoiced=())).when(upgrade(IN_JANUARY))

    assert not any(isinstance(event.body, PeriodInvoiced) for event in decided.events)
    assert ["2027-01-01", "2027-01-11"] == [line.start for line in decided.the(QuoteIssued).lines]


def test_order_received_before_the_period_counts_from_its_start() -> None:
    """A roll that overtook the order stands: the order is charged, and counts, from the period's start."""
    start = ms("2026-11-01T00:00:00+01:00")
    decided = Given(opened()).when(upgrade(start - 1))

    assert ["2026-11-01", "2026-11-01"] == [line.start for line in decided.the(QuoteIssued).lines]
    assert (start, start) == (
        decided.the(QuoteIssued).effective_at,
        decided.event(TierChanged).effective_at,
    )


def test_as_many_periods_as_make_sense_are_rolled_and_not_one_more() -> None:
    """120 elapsed days of a daily plan are caught up with; 121 are a reason, and no event but it."""
    opening = opened(plan="team-daily", billing_day=None, period_end="2026-11-02", invoiced=None)
    last = ms("2026-11-01T12:00:00") + MOST_PERIODS * 86_400_000

    caught_up = Given(opening, catalog=BOOK).when(upgrade(last))
    behind = Given(opening, catalog=BOOK).when(upgrade(last + 86_400_000))

    assert MOST_PERIODS == sum(isinstance(event.body, PeriodRolled) for event in caught_up.events)
    behind.then(OrderReceived, OrderValidated, OrderRejected)
    (reason,) = behind.the(OrderRejected).reasons
    assert ("BILLING_OUT_OF_DATE", "the period in force ended 2026-11-02, more than 120 periods of 1day") == (
        reason.code,
        reason.detail[:67],
    )
    assert behind.the(OrderRejected).retry


def test_import_that_ended_years_ago_is_a_reason() -> None:
    """Thousands of invoices are never what somebody meant."""
    opening = opened(period_start="2016-05-01", period_end="2016-06-01", invoiced=None)
    decided = Given(opening).when(upgrade(NOON))

    assert ["BILLING_OUT_OF_DATE"] == reason_codes(decided.the(OrderRejected))


def test_what_is_in_force_needs_no_period() -> None:
    """ALREADY_IN_FORCE is a success, however old the data is."""
    opening = opened(period_start="2016-05-01", period_end="2016-06-01", invoiced=None)
    decided = Given(opening).when(upgrade(NOON, plan=None))

    assert "ALREADY_IN_FORCE" == decided.the(OrderCompleted).reason


def test_no_period_begins_after_the_contract() -> None:
    """Its last day passed: the order is refused for that, and nothing is invoiced."""
    opening = an_opening(contract=replace(CONTRACT, end="2026-12-15"))
    decided = Given(opening).when(upgrade(IN_JANUARY))

    decided.then(OrderReceived, OrderValidated, OrderRejected)
    assert ["CONTRACT_ENDS_FIRST"] == reason_codes(decided.the(OrderRejected))
