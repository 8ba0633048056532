"""The lines of a quote: each is one rounding, and says in words how its amount came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from tierline.domain.billing import BillingState, InvoicedRow, Item
from tierline.domain.calendar import Moment, Period, local_date
from tierline.domain.credits import credit_from
from tierline.domain.cycles import whole_interval
from tierline.domain.modes import Mode, reading, span_order, whole_charge_count
from tierline.domain.money import Exact, round_ratio
from tierline.domain.values import quickly_made, replace


class LineKind(StrEnum):
    """A credit gives back what was invoiced, a charge asks for what is new."""

    CREDIT = "credit"
    CHARGE = "charge"


@quickly_made
@dataclass(frozen=True, slots=True)
class Line:
    """One signed amount (a charge positive, a credit negative) and where it comes from.

    ``numerator`` of ``denominator`` (unreduced) is the share of ``whole_minor``: the price of the whole
    interval, or the amount of the invoiced row with the index ``invoiced_index``. Day-based modes give
    local dates, ``second`` the moments themselves.
    """

    kind: LineKind
    item: str
    start: Moment
    end: Moment
    numerator: int
    denominator: int
    mode: Mode
    zone: str
    amount_minor: int
    invoiced_index: int | None
    formula: str
    whole_minor: Exact


def charge_line(
    item: Item, price: Exact, span: Period, grid: Period, mode: Mode, zone: ZoneInfo
) -> Line | None:
    """The charge for ``span``, a part of the whole interval ``grid`` at ``price``; None for an empty span."""
    start, end = reading(mode, span.start, zone), reading(mode, span.end, zone)
    first, last = reading(mode, grid.start, zone), reading(mode, grid.end, zone)
    whole = start <= first and end >= last
    if not whole and _is_empty(span, mode, zone):
        return None
    denominator = whole_charge_count(mode, item.interval, first, last) or 1
    numerator = denominator if whole else min(end - start, denominator)
    amount = round_ratio(price.numerator * numerator, price.denominator * denominator)
    share = f"{numerator} of {denominator} {mode.unit} of {price}"
    if price != item.list_minor:
        share += f" ({item.list_minor} less discounts)"
    return Line(
        LineKind.CHARGE,
        item.id,
        _shown(span.start, mode, zone),
        _shown(span.end, mode, zone),
        numerator,
        denominator,
        mode,
        zone.key,
        amount,
        None,
        f"{share} = {amount}",
        price,
    )


def credit_line(
    row: InvoicedRow, index: int, at: Moment, mode: Mode, zone: ZoneInfo
) -> tuple[Line, InvoicedRow] | None:
    """The credit for what is left of an invoiced row from ``at`` on, and the row that remembers it."""
    credit = credit_from(row, at, mode, zone)
    if credit is None:
        return None
    unit = f"{mode.unit} by quantity" if credit.by_quantity else mode.unit
    share = f"{credit.numerator} of {credit.denominator} {unit} of {row.amount_minor} invoiced"
    if credit.capped:
        share += f", at most the {credit.available_minor} that earlier credits and adjustments left"
    line = Line(
        LineKind.CREDIT,
        row.item,
        _shown(credit.start, mode, zone),
        _shown(credit.end, mode, zone),
        credit.numerator,
        credit.denominator,
        mode,
        zone.key,
        -credit.amount_minor,
        index,
        f"{share} = {-credit.amount_minor}",
        row.amount_minor,
    )
    return line, credit.closed


def rows_over_period(
    billing: BillingState, prices: Mapping[str, Exact], mode: Mode, zone: ZoneInfo
) -> tuple[InvoicedRow, ...]:
    """One row per item over the period in force, each at what a charge over it would be."""
    counted = Mode.DAY if mode is Mode.NONE else mode
    period, rows = billing.period, []
    for item in billing.items:
        grid = whole_interval(period, item.interval, billing.billing_day, zone)
        line = charge_line(item, prices[item.id], period, grid, counted, zone)
        amount = line.amount_minor if line else 0
        rows.append(InvoicedRow(item.id, period.start, period.end, item.quantity, amount, mode=billing.mode))
    return tuple(rows)


def negated(line: Line) -> Line:
    """The line that takes this one back exactly."""
    kind = LineKind.CHARGE if line.kind is LineKind.CREDIT else LineKind.CREDIT
    return replace(line, kind=kind, amount_minor=-line.amount_minor, formula=f"undo of {line.formula}")


def _is_empty(span: Period, mode: Mode, zone: ZoneInfo) -> bool:
    """By second or by local day: two days that 30E/360 counts as one are a span all the same."""
    return span_order(mode, span.start, zone) >= span_order(mode, span.end, zone)


def _shown(moment: Moment, mode: Mode, zone: ZoneInfo) -> Moment:
    return moment if mode is Mode.SECOND else local_date(moment, zone)
