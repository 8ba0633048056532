"""Hypothesis strategies for whole billing situations, in range by construction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.support.billing import amount, percent
from tierline.domain.billing import AccountTerms, BillingState, Change, CreditedSpan, InvoicedRow, Item
from tierline.domain.calendar import Interval, Moment, Period, billing_date, instant_of, month_of, shift
from tierline.domain.cycles import Cycle
from tierline.domain.modes import Mode

UTC_ZONE = ZoneInfo("UTC")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kolkata")
MONTH_INTERVALS = ("1month", "2month", "1quarter", "1year", "12month")
DAY_INTERVALS = ("1day", "1week", "2week", "30day")
ITEM_IDS = ("base", "extra", "module")

minor = st.integers(0, 10**7)
days = st.dates(date(2015, 1, 1), date(2035, 1, 1))
durations: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}), st.integers(1, 3).map(lambda n: {"periods": n}), days.map(lambda day: {"until": day})
)
discounts = st.lists(
    st.one_of(
        st.builds(
            lambda value, duration, carry: percent(str(value), carry_over=carry, **duration),
            st.integers(0, 100),
            durations,
            st.booleans(),
        ),
        st.builds(
            lambda value, duration, carry: amount(value, carry_over=carry, **duration),
            st.integers(0, 10**5),
            durations,
            st.booleans(),
        ),
    ),
    max_size=2,
).map(tuple)


@dataclass(frozen=True)
class Situation:
    """An account, what is billed, and a change that is possible."""

    account: AccountTerms
    billing: BillingState
    change: Change


@st.composite
def situations(
    draw: st.DrawFn, modes: tuple[Mode, ...] = tuple(Mode), zones: tuple[str, ...] = ZONES
) -> Situation:
    """Any situation in range: zone, stub or whole period, rows given or not, any mode and cycle that fits."""
    mode = draw(st.sampled_from(modes))
    by_month = mode.needs_months or draw(st.booleans())
    interval = Interval.parse(draw(st.sampled_from(MONTH_INTERVALS if by_month else DAY_INTERVALS)))
    billing_day = draw(st.integers(1, 31)) if interval.months else None
    period = draw(periods_of(interval, billing_day))
    current = draw(items_of(interval))
    state = BillingState(billing_day, period, current, draw(discounts), draw(rows_of(period, current)))
    account = AccountTerms(
        draw(st.sampled_from(zones)), "EUR", draw(minor), draw(st.integers(0, 100)), draw(st.integers(0, 100))
    )
    return Situation(account, state, draw(changes_of(state, mode)))


@st.composite
def periods_of(draw: st.DrawFn, interval: Interval, billing_day: int | None) -> Period:
    """A whole interval on the grid, or a stub of it that ends with it."""
    near = draw(days)
    start = near if billing_day is None else billing_date(month_of(near), billing_day)
    end = shift(start, interval, 1, billing_day, UTC_ZONE)
    length = (end - start).days
    return Period(start + timedelta(days=draw(st.integers(0, length - 1))), end)


@st.composite
def items_of(draw: st.DrawFn, interval: Interval) -> tuple[Item, ...]:
    """One to three items that share the interval."""
    ids = draw(st.lists(st.sampled_from(ITEM_IDS), min_size=1, max_size=3, unique=True))
    return tuple(
        Item(
            item_id, draw(st.sampled_from("ab")), interval, quantity, quantity * draw(minor), draw(discounts)
        )
        for item_id in ids
        for quantity in [draw(st.integers(1, 20))]
    )


@st.composite
def rows_of(draw: st.DrawFn, period: Period, items: tuple[Item, ...]) -> tuple[InvoicedRow, ...] | None:
    """Unknown, unbilled, or one row per item over the period with some goodwill, a part of it credited."""
    if draw(st.booleans()):
        return draw(st.sampled_from([None, ()]))
    return tuple(
        InvoicedRow(
            item.id,
            period.start,
            period.end,
            item.quantity,
            item.list_minor,
            draw(st.integers(0, 50)),
            draw(credits_of(period, item)),
        )
        for item in items
    )


@st.composite
def credits_of(draw: st.DrawFn, period: Period, item: Item) -> tuple[CreditedSpan, ...]:
    """Nothing, or some of the quantity for some days of the period, which may leave a hole."""
    if draw(st.booleans()):
        return ()
    length = (instant_of(period.end, UTC_ZONE) - instant_of(period.start, UTC_ZONE)).days
    first, last = sorted((draw(st.integers(0, length - 1)), draw(st.integers(0, length - 1))))
    start, end = (period.start + timedelta(days=day) for day in (first, last + 1))
    return (
        CreditedSpan(start, end, draw(st.integers(1, item.quantity)), draw(st.integers(0, item.list_minor))),
    )


@st.composite
def changes_of(draw: st.DrawFn, state: BillingState, mode: Mode) -> Change:
    """A change inside the period, by day or by instant, that the state allows; now and then all ends."""
    at = draw(moments_in(state.period))
    cycle = Cycle.KEEP_PERIOD
    if mode is not Mode.NONE:
        allowed = [each for each in Cycle if each is not Cycle.KEEP_BILLING_DAY or state.billing_day]
        cycle = draw(st.sampled_from(allowed))
    interval = state.items[0].interval
    if cycle is Cycle.KEEP_PERIOD and draw(st.integers(0, 9)) == 0:
        return Change(at, (), draw(discounts), mode, cycle)
    if cycle is not Cycle.KEEP_PERIOD:
        texts = MONTH_INTERVALS if mode.needs_months else MONTH_INTERVALS + DAY_INTERVALS
        interval = Interval.parse(draw(st.sampled_from(texts)))
    return Change(at, draw(items_of(interval)), draw(discounts), mode, cycle)


@st.composite
def moments_in(draw: st.DrawFn, period: Period) -> Moment:
    """A local day of the period, or an instant that is inside it in every zone."""
    start, end = (instant_of(moment, UTC_ZONE) for moment in (period.start, period.end))
    length = (end - start).days
    day = (start + timedelta(days=draw(st.integers(0, max(length - 1, 0))))).date()
    if length < 4 or draw(st.booleans()):
        return day
    inside = draw(st.integers(86_400, (length - 1) * 86_400))
    return (start + timedelta(seconds=inside)).astimezone(UTC)
