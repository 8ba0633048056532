"""What holds for every price, date, mode and sequence of changes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.billing import ACCOUNT, billing, change, item, row
from tests.support.scenarios import UTC_ZONE, Situation, changes_of, days, minor, situations
from tierline.domain.billing import AccountTerms, BillingState
from tierline.domain.calendar import Moment, Period, epoch_seconds, first_billing_date, shift
from tierline.domain.credits import credit_from
from tierline.domain.lines import charge_line
from tierline.domain.modes import Mode
from tierline.domain.proration import quote_change, undo_change
from tierline.domain.quote import Quote
from tierline.domain.renewal import roll_period

# Ten thousand examples (the long profile) take minutes.
pytestmark = pytest.mark.timeout(3600)

ADDITIVE = [Mode.DAY, Mode.THIRTY360, Mode.SECOND]
MONTH = item(0).interval


def priced(situation: Situation) -> Quote:
    """The quote of the situation."""
    return quote_change(situation.account, situation.billing, situation.change)


@st.composite
def cut_months(draw: st.DrawFn) -> tuple[Period, date]:
    """A month on some grid, and a day inside it."""
    start = draw(days)
    end = shift(start, MONTH, 1, start.day, UTC_ZONE)
    assert not isinstance(end, datetime)
    return Period(start, end), start + timedelta(days=draw(st.integers(0, (end - start).days)))


@pytest.mark.parametrize("mode", ADDITIVE)
@given(month=cut_months(), second=st.integers(0, 31), price=minor)
def test_cutting_a_span_once_moves_at_most_one_minor_unit(
    mode: Mode, month: tuple[Period, date], second: int, price: int
) -> None:
    """The two pieces sum to the span, but for one unit of rounding."""
    grid, cut = month
    later = min(cut + timedelta(days=second), grid.end)

    def charge(start: Moment, end: Moment) -> int:
        line = charge_line(item(price), price, Period(start, end), grid, mode, UTC_ZONE)
        return line.amount_minor if line else 0

    assert abs(charge(cut, grid.end) - charge(cut, later) - charge(later, grid.end)) <= 1


@pytest.mark.parametrize("mode", ADDITIVE)
@given(month=cut_months(), price=minor)
def test_a_credit_and_a_charge_of_the_same_span_and_price_cancel(
    mode: Mode, month: tuple[Period, date], price: int
) -> None:
    """What is taken back for a span is what is asked for it."""
    grid, cut = month
    invoiced = row(str(grid.start), str(grid.end), price)

    charge = charge_line(item(price), price, Period(cut, grid.end), grid, mode, UTC_ZONE)
    credit = credit_from(invoiced, cut, mode, UTC_ZONE)

    assert (charge.amount_minor if charge else 0) == (credit.amount_minor if credit else 0)


@given(situations())
def test_no_situation_in_range_crashes(situation: Situation) -> None:
    """Every quote has a net that is the sum of its lines, and a period that contains the change."""
    answer = priced(situation)
    zone = ZoneInfo(situation.account.zone)

    assert (
        answer.net_minor == sum(line.amount_minor for line in answer.lines) + situation.account.carried_minor
    )
    assert all(0 <= line.numerator <= line.denominator for line in (*answer.lines, *answer.zero_lines))
    assert epoch_seconds(answer.after.period.end, zone) > epoch_seconds(situation.change.at, zone)
    assert answer.due_minor >= 0


@given(situations())
def test_undoing_a_change_leaves_nothing_behind(situation: Situation) -> None:
    """In every mode and cycle: the lines sum to zero, the state is as before, no money is lost."""
    answer = priced(situation)
    account = situation.account
    between = replace(account, credit_minor=answer.credit_after_minor, carried_minor=answer.carried_minor)

    undone = undo_change(between, answer)

    assert 0 == sum(line.amount_minor for line in (*answer.lines, *undone.lines))
    assert situation.billing == undone.after
    paid = answer.due_minor + undone.due_minor
    assert (
        account.carried_minor - account.credit_minor
        == paid + undone.carried_minor - undone.credit_after_minor
    )


@given(situations(), st.randoms(use_true_random=False))
def test_the_order_of_items_is_irrelevant(situation: Situation, random: object) -> None:
    """The same items in another order give the same lines."""
    shuffled = list(situation.change.items)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    state = replace(situation.billing, items=tuple(reversed(situation.billing.items)))
    assume(situation.billing.invoiced is not None)

    answer, other = (
        priced(situation),
        quote_change(situation.account, state, replace(situation.change, items=tuple(shuffled))),
    )

    assert (answer.lines, answer.zero_lines, answer.settlement) == (
        other.lines,
        other.zero_lines,
        other.settlement,
    )
    assert answer.after.invoiced == other.after.invoiced


@given(st.data())
def test_credited_quantity_never_exceeds_invoiced_quantity(data: st.DataObject) -> None:
    """Per row and instant, over any sequence of changes; and no row gives back more than its amount."""
    situation = data.draw(situations())
    account, state, asked = situation.account, situation.billing, situation.change
    zone = ZoneInfo(account.zone)
    for _ in range(3):
        state = quote_change(account, state, asked).after
        assert_nothing_is_credited_twice(state, zone)
        if not state.items:
            break
        mode = data.draw(
            st.sampled_from(
                [mode for mode in Mode if state.items[0].interval.months or not mode.needs_months]
            )
        )
        if any(
            (each.mode or mode).needs_months and state.items[0].interval.days for each in state.invoiced or ()
        ):
            break
        asked = data.draw(changes_of(state, mode))
        if not within(state, asked.at, zone):
            break


def within(state: BillingState, at: Moment, zone: ZoneInfo) -> bool:
    """Whether the moment lies in the period."""
    start, end = (epoch_seconds(moment, zone) for moment in (state.period.start, state.period.end))
    return start <= epoch_seconds(at, zone) < end


def assert_nothing_is_credited_twice(state: BillingState, zone: ZoneInfo) -> None:
    """Sum the credited quantity between any two boundaries of each row."""
    for invoiced in state.invoiced or ():
        assert sum(span.amount_minor for span in invoiced.credits) <= invoiced.amount_minor
        steps: defaultdict[int, int] = defaultdict(int)
        for span in invoiced.credits:
            assert epoch_seconds(invoiced.start, zone) <= epoch_seconds(span.start, zone)
            assert epoch_seconds(span.end, zone) <= epoch_seconds(invoiced.end, zone)
            steps[epoch_seconds(span.start, zone)] += span.quantity
            steps[epoch_seconds(span.end, zone)] -= span.quantity
        covered = 0
        for _, step in sorted(steps.items()):
            covered += step
            assert covered <= invoiced.quantity


@given(situations(modes=(Mode.DAY, Mode.THIRTY360, Mode.ACTUAL30), zones=("Etc/GMT-3",)), st.integers(-9, 9))
def test_shifting_the_zone_of_all_inputs_shifts_all_outputs(situation: Situation, hours: int) -> None:
    """In day modes only local days count: the same local time elsewhere gives the same quote."""
    name = f"Etc/GMT{hours:+d}"
    at = situation.change.at
    moved = at + timedelta(hours=3 + hours) if isinstance(at, datetime) else at

    here = priced(situation)
    there = quote_change(
        replace(situation.account, zone=name), situation.billing, replace(situation.change, at=moved)
    )

    assert [replace(line, zone=name) for line in here.lines] == list(there.lines)
    assert (here.settlement, here.after) == (there.settlement, there.after)


@given(st.data())
def test_rolling_never_drifts_off_the_billing_day(data: st.DataObject) -> None:
    """Twenty periods on, the boundary is the clamped billing day still."""
    day = data.draw(st.integers(1, 31))
    start = data.draw(days)
    end = first_billing_date(start + timedelta(days=1), day)
    state = billing(str(start), str(end), item(1), billing_day=day)
    for _ in range(20):
        state = roll_period(AccountTerms("Europe/Berlin", "EUR"), state).after
        assert isinstance(state.period.end, date)
        assert state.period.end.day == min(day, month_length(state.period.end))


def month_length(day: date) -> int:
    """Days of the month."""
    return ((day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day


@given(st.integers(0, 10**6), st.integers(1, 500), st.integers(1, 500), st.integers(0, 30))
def test_more_seats_never_cost_less(unit: int, seats: int, more: int, day: int) -> None:
    """In a kept period the due amount grows with the quantity."""
    state = billing("2024-05-01", "2024-06-01", item(unit, quantity=seats))
    at = str(date(2024, 5, 1) + timedelta(days=day))

    fewer = quote_change(ACCOUNT, state, change(at, item(unit, quantity=seats, plan="b")))
    larger = quote_change(ACCOUNT, state, change(at, item(unit, quantity=seats + more, plan="b")))

    assert fewer.net_minor <= larger.net_minor
