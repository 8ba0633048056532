"""Renewals that the marketplace tells of: which period begins, with which dates, and when nothing does."""

from __future__ import annotations

import pytest

from tests.support.given_when_then import Decided, Given, reason_codes
from tests.support.order_values import (
    NOON,
    a_change,
    a_renewal,
    an_opening,
    an_order,
    from_elsewhere,
    ms,
)
from tierline.domain.events import OperationIgnored, OrderCompleted, PeriodInvoiced, PeriodRolled, QuoteIssued

# Period in force: November 2026, in Berlin.
DECEMBER = ms("2026-12-01T09:00:00")


def dates(decided: Decided) -> list[tuple[str, str]]:
    """The periods that began."""
    return [
        (e.body.period_start, e.body.period_end) for e in decided.events if isinstance(e.body, PeriodRolled)
    ]


def ignored_because(decided: Decided) -> list[str]:
    """Why nothing began."""
    decided.then(OperationIgnored)
    return list(reason_codes(decided.the(OperationIgnored)))


def test_without_dates_the_calendar_says_what_begins() -> None:
    """The next month, invoiced in advance at the price in force."""
    decided = Given(an_opening()).when(a_renewal(DECEMBER))
    decided.then(PeriodRolled, PeriodInvoiced)
    assert [("2026-12-01", "2027-01-01")] == dates(decided)
    assert 12 * 2_900 == decided.the(PeriodInvoiced).amount_minor


def test_every_elapsed_period_begins() -> None:
    """A renewal that is heard of late begins them all, in order."""
    decided = Given(an_opening()).when(a_renewal(ms("2027-01-15T09:00:00")))
    assert [("2026-12-01", "2027-01-01"), ("2027-01-01", "2027-02-01")] == dates(decided)


def test_the_dates_of_the_operation_say_which_period_begins() -> None:
    """The marketplace renews a day before the period ends."""
    decided = Given(an_opening()).when(a_renewal(ms("2026-11-30T09:00:00"), "2026-12-01", "2027-01-01"))
    assert [("2026-12-01", "2027-01-01")] == dates(decided)


def test_an_earlier_end_of_the_operation_counts() -> None:
    """For the period, its invoice and the next bill alike; 24 days are charged of the 30 that end then."""
    decided = Given(an_opening()).when(a_renewal(DECEMBER, "2026-12-01", "2026-12-25"))
    rolled, invoiced = decided.the(PeriodRolled), decided.the(PeriodInvoiced)
    assert ("2026-12-25", "2026-12-25") == (rolled.period_end, rolled.next_billing_date)
    assert ("2026-12-25", {"2026-12-25"}) == (invoiced.period_end, {row.end for row in invoiced.rows})
    assert [12 * 2_900 * 24 // 30] == [row.amount_minor for row in invoiced.rows] == [invoiced.amount_minor]
    assert 12 * 2_900 == rolled.next_billing_minor
    assert "2026-12-25" == decided.subscription.schedule.period_end


def test_the_period_after_an_earlier_end_starts_there() -> None:
    """A renewal that is heard of after the end that it names begins both, the second one whole."""
    decided = Given(an_opening()).when(a_renewal(ms("2026-12-28T09:00:00"), "2026-12-01", "2026-12-25"))
    assert [("2026-12-01", "2026-12-25"), ("2026-12-25", "2027-01-25")] == dates(decided)
    bills = [e.body.amount_minor for e in decided.events if isinstance(e.body, PeriodInvoiced)]
    assert [27_840, 34_800] == bills


def test_a_change_in_a_shortened_period_gives_back_what_was_invoiced() -> None:
    """Its row is the part: from the first day on all of it, and no more."""
    story = Given(an_opening(), a_renewal(DECEMBER, "2026-12-01", "2026-12-25"))
    order = an_order(offset=6, received_at=ms("2026-12-01T09:00:00"), plan="business-month")
    credit = story.when(order).the(QuoteIssued).lines[0]
    assert (-27_840, 24, 24) == (credit.amount_minor, credit.numerator, credit.denominator)


def test_a_later_end_does_not_count() -> None:
    """A period is never longer than what the plan is billed by."""
    decided = Given(an_opening()).when(a_renewal(DECEMBER, "2026-12-01", "2027-12-01"))
    assert [("2026-12-01", "2027-01-01")] == dates(decided)


def test_a_term_that_is_ending_is_read_as_none() -> None:
    """Whether the marketplace names the old or the new term, the same period begins."""
    decided = Given(an_opening()).when(a_renewal(DECEMBER, "2026-11-01", "2026-12-01"))
    assert [("2026-12-01", "2027-01-01")] == dates(decided)


def test_a_period_that_has_begun_begins_once() -> None:
    """Another operation for it, or one that comes too early."""
    story = Given(an_opening(), a_renewal(DECEMBER))
    assert ["PERIOD_IN_FORCE"] == ignored_because(story.when(a_renewal(DECEMBER, offset=1, reference="op-2")))
    assert ["PERIOD_IN_FORCE"] == ignored_because(Given(an_opening()).when(a_renewal(NOON)))


def test_the_same_operation_again_changes_nothing() -> None:
    """From another record it is told as repeated, from the same it stays quiet."""
    story = Given(an_opening(), a_renewal(DECEMBER))
    assert ["OPERATION_REPEATED"] == ignored_because(story.when(from_elsewhere(a_renewal(DECEMBER))))
    story.when(a_renewal(DECEMBER)).then_nothing_happened()


def test_nothing_is_rolled_under_an_order_that_is_being_paid() -> None:
    """Its price is that of the period before."""
    story = Given(an_opening(payment="gateway"), an_order(offset=5))
    assert ["ORDER_IN_PROGRESS"] == ignored_because(story.when(a_renewal(DECEMBER)))


def test_an_ended_subscription_is_not_renewed() -> None:
    """Nothing comes after the end."""
    story = Given(an_opening(), a_change("ended", NOON, offset=5))
    assert ["SUBSCRIPTION_ENDED"] == ignored_because(story.when(a_renewal(DECEMBER)))


@pytest.mark.parametrize("end", ["2026-12-25", "2027-01-01"])
def test_an_order_in_a_renewed_period_is_priced_in_it(end: str) -> None:
    """Also where the marketplace's own end counts."""
    story = Given(an_opening(), a_renewal(DECEMBER, "2026-12-01", end))
    story.when(an_order(offset=6, received_at=ms("2026-12-10T09:00:00"), plan="business-month")).the(
        OrderCompleted
    )
