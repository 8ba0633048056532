"""What holds for every price, date, mode and sequence of changes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.billing import ACCOUNT, billing, change, item, percent
from tests.support.scenarios import (
    DAY_INTERVALS,
    MONTH_INTERVALS,
    ZONES,
    Situation,
    changes_of,
    days,
    minor,
    situations,
)
from tierline.domain.billing import AccountTerms, BillingState, InvoicedRow, Item
from tierline.domain.billing_checks import MOST_MINOR
from tierline.domain.calendar import Interval, Moment, Period, epoch_seconds, first_billing_date, shift
from tierline.domain.credits import credit_from
from tierline.domain.cycles import Cycle
from tierline.domain.lines import Line, charge_line
from tierline.domain.modes import Mode
from tierline.domain.proration import quote_change, undo_change
from tierline.domain.quote import Quote
from tierline.domain.refusal import InputRefused
from tierline.domain.renewal import roll_period

ADDITIVE = [Mode.DAY, Mode.THIRTY360, Mode.SECOND]


def priced(situation: Situation) -> Quote:
    """The quote of the situation."""
    return quote_change(situation.account, situation.billing, situation.change)


@dataclass(frozen=True)
class Cut:
    """A whole interval at a price, in a zone, and two days inside it, the first not after the second."""

    zone: ZoneInfo
    grid: Period
    item: Item
    first: date
    second: date

    def charge(self, mode: Mode, start: Moment, end: Moment) -> int:
        """What a part of the interval costs."""
        price = self.item.list_minor
        line = charge_line(self.item, price, Period(start, end), self.grid, mode, self.zone)
        return line.amount_minor if line else 0


@st.composite
def cuts(draw: st.DrawFn, mode: Mode) -> Cut:
    """Any interval that the mode can count."""
    texts = MONTH_INTERVALS if mode.needs_months else MONTH_INTERVALS + DAY_INTERVALS
    interval, zone, start = (
        Interval.parse(draw(st.sampled_from(texts))),
        ZoneInfo(draw(st.sampled_from(ZONES))),
        draw(days),
    )
    end = shift(start, interval, 1, start.day if interval.months else None, zone)
    assert not isinstance(end, datetime)
    inside = st.integers(0, (end - start).days).map(lambda day: start + timedelta(days=day))
    first, second = sorted((draw(inside), draw(inside)))
    quantity = draw(st.integers(1, 20))
    return Cut(
        zone, Period(start, end), Item("base", "a", interval, quantity, quantity * draw(minor)), first, second
    )


@pytest.mark.parametrize("mode", ADDITIVE)
@given(st.data())
def test_cutting_a_charged_span_once_moves_at_most_one_minor_unit(mode: Mode, data: st.DataObject) -> None:
    """The two pieces sum to the span, but for one unit of rounding."""
    cut = data.draw(cuts(mode))
    end = cut.grid.end

    whole = cut.charge(mode, cut.first, end)
    pieces = cut.charge(mode, cut.first, cut.second) + cut.charge(mode, cut.second, end)

    assert abs(whole - pieces) <= 1


@pytest.mark.parametrize("mode", ADDITIVE)
@given(st.data())
def test_cutting_a_credited_span_once_moves_at_most_one_minor_unit(mode: Mode, data: st.DataObject) -> None:
    """The end of a row is credited first, then the part before it; or all of it at once."""
    cut = data.draw(cuts(mode))
    invoiced = InvoicedRow("base", cut.grid.start, cut.grid.end, cut.item.quantity, cut.item.list_minor)

    whole = credit_from(invoiced, cut.first, mode, cut.zone)
    later = credit_from(invoiced, cut.second, mode, cut.zone)
    before = credit_from(later.closed if later else invoiced, cut.first, mode, cut.zone)

    pieces = sum(piece.amount_minor for piece in (later, before) if piece)
    assert abs((whole.amount_minor if whole else 0) - pieces) <= 1


@pytest.mark.parametrize("mode", ADDITIVE)
@given(st.data())
def test_a_credit_and_a_charge_of_the_same_span_and_price_cancel(mode: Mode, data: st.DataObject) -> None:
    """What is taken back for a span is what is asked for it."""
    cut = data.draw(cuts(mode))
    invoiced = InvoicedRow("base", cut.grid.start, cut.grid.end, cut.item.quantity, cut.item.list_minor)

    credit = credit_from(invoiced, cut.first, mode, cut.zone)

    assert cut.charge(mode, cut.first, cut.grid.end) == (credit.amount_minor if credit else 0)


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


def impossible(situation: Situation) -> dict[str, Situation]:
    """The situation with one thing that cannot be, by the field that is to blame."""
    account, state, asked = situation.account, situation.billing, situation.change
    period, here = state.period, state.items[0]
    there = (asked.items or state.items)[0]
    other = Interval.parse("7month")
    stated = InvoicedRow(here.id, period.start, period.end, here.quantity, here.list_minor)
    accounts = {
        "account.time_zone": replace(account, zone="Mars/Olympus"),
        "account.credit_minor": replace(account, credit_minor=-1),
        "account.minimum_due_minor": replace(account, minimum_due_minor=MOST_MINOR + 1),
        "account.carried_minor": replace(account, carried_minor=-1),
    }
    states = {
        "subscription.items": replace(state, items=()),
        "subscription.items[0].list_minor": replace(state, items=(replace(here, list_minor=-1),)),
        "subscription.items[1].id": replace(state, items=(here, here)),
        "subscription.items[1].interval": replace(
            state, items=(here, replace(here, id="other", interval=other))
        ),
        "subscription.period": replace(state, period=Period(period.end, period.start)),
        "subscription.invoiced[0].amount_minor": replace(state, invoiced=(replace(stated, amount_minor=-1),)),
        "subscription.invoiced[0].quantity": replace(state, invoiced=(replace(stated, quantity=-1),)),
        "subscription.invoiced[0]": replace(state, invoiced=(replace(stated, end=stated.start),)),
    }
    if here.interval.months:
        states["subscription.billing_day"] = replace(state, billing_day=32)
    changes = {
        "change.at": replace(asked, at=period.end),
        "change.items[0].quantity": replace(asked, items=(replace(there, quantity=-1),)),
        "change.items[0].list_minor": replace(asked, items=(replace(there, list_minor=MOST_MINOR + 1),)),
        "change.discounts[0].percent": replace(asked, discounts=(percent("101"),)),
        "cycle": replace(asked, items=(replace(there, interval=other),), cycle=Cycle.KEEP_PERIOD),
        "mode": replace(asked, items=(there,), mode=Mode.NONE, cycle=Cycle.RESTART),
    }
    return {
        **{field: replace(situation, account=each) for field, each in accounts.items()},
        **{field: replace(situation, billing=each) for field, each in states.items()},
        **{field: replace(situation, change=each) for field, each in changes.items()},
    }


@given(situations(), st.data())
def test_every_input_out_of_range_is_refused_with_its_field(
    situation: Situation, data: st.DataObject
) -> None:
    """Whatever else is asked, and before anything is computed."""
    field, wrong = data.draw(st.sampled_from(sorted(impossible(situation).items())))

    with pytest.raises(InputRefused) as refused:
        priced(wrong)

    assert field == refused.value.field


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
    """The same items in another order give the same lines; rows that are not given stand in that order."""
    shuffled = list(situation.change.items)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    state = replace(situation.billing, items=tuple(reversed(situation.billing.items)))

    answer, other = (
        priced(situation),
        quote_change(situation.account, state, replace(situation.change, items=tuple(shuffled))),
    )

    assert contents(answer) == contents(other)
    assert answer.settlement == other.settlement
    if situation.billing.invoiced is not None:
        assert (answer.lines, answer.after.invoiced) == (other.lines, other.after.invoiced)


def contents(answer: Quote) -> tuple[list[Line], list[str]]:
    """Its lines but for the place of their rows, and its rows in an order of their own."""
    lines = [replace(line, invoiced_index=None) for line in (*answer.lines, *answer.zero_lines)]
    return lines, sorted(map(repr, answer.after.invoiced or ()))


@given(st.data())
def test_credited_quantity_never_exceeds_invoiced_quantity(data: st.DataObject) -> None:
    """Per row and instant, over any sequence of changes; and no row gives back more than its amount."""
    situation = data.draw(situations())
    account, state, asked = situation.account, situation.billing, situation.change
    zone = ZoneInfo(account.zone)
    for _ in range(3):
        answer = quote_change(account, state, asked)
        state = answer.after
        assert_nothing_is_credited_twice(state, zone)
        assert_credited_parts_sum_to_the_lines(answer)
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


def assert_credited_parts_sum_to_the_lines(answer: Quote) -> None:
    """Each credit is allocated over the spans it closes, without a unit left over."""
    before = answer.before.invoiced or ()
    for line in answer.lines:
        if line.invoiced_index is None or not before:
            continue
        known = before[line.invoiced_index].credits
        spans = (answer.after.invoiced or ())[line.invoiced_index].credits
        assert known == spans[: len(known)]
        assert -line.amount_minor == sum(span.amount_minor for span in spans[len(known) :])


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
