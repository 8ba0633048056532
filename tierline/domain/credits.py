"""Credits: what of an invoiced row is still unused and not yet given back.

Every row remembers which span and quantity was credited, so that nothing is credited twice, whatever the
sequence of changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo

from tierline.domain.billing import CreditedSpan, InvoicedRow
from tierline.domain.calendar import Moment
from tierline.domain.modes import Mode, cut_at, reading, span_order
from tierline.domain.money import allocate, round_ratio
from tierline.domain.values import quickly_made, replace


@quickly_made
@dataclass(frozen=True, slots=True)
class RowCredit:
    """The credit of one row: ``numerator / denominator`` of its amount, at most ``available_minor``.

    ``closed`` is the row as it stands afterwards; ``by_quantity`` says that the counts were multiplied by
    the quantity.
    """

    start: Moment
    end: Moment
    numerator: int
    denominator: int
    amount_minor: int
    available_minor: int
    by_quantity: bool
    closed: InvoicedRow

    @property
    def capped(self) -> bool:
        """Earlier credits and goodwill left less than the share."""
        whole = self.closed.amount_minor
        return round_ratio(whole * self.numerator, self.denominator) > self.amount_minor


@quickly_made
@dataclass(frozen=True, slots=True)
class _Piece:
    start: Moment
    end: Moment
    count: int
    quantity: int


def credit_from(row: InvoicedRow, at: Moment, mode: Mode, zone: ZoneInfo) -> RowCredit | None:
    """What the row gives back from ``at`` on; None when it has nothing left there or counts no time."""
    if mode is Mode.NONE:
        return None
    start = _later(row.start, cut_at(mode, at, zone), mode, zone)
    whole = reading(mode, row.end, zone) - reading(mode, row.start, zone)
    pieces = _open_pieces(row, start, mode, zone)
    if whole <= 0 or not pieces:
        return None
    by_quantity = any(span.quantity != row.quantity for span in row.credits)
    numerator = sum(piece.count * (piece.quantity if by_quantity else 1) for piece in pieces)
    denominator = whole * (row.quantity if by_quantity else 1)
    available = max(0, row.amount_minor - row.adjusted_minor - sum(span.amount_minor for span in row.credits))
    amount = min(round_ratio(row.amount_minor * numerator, denominator), available)
    closed = replace(row, credits=(*row.credits, *_credited(pieces, amount)))
    return RowCredit(
        pieces[0].start, pieces[-1].end, numerator, denominator, amount, available, by_quantity, closed
    )


def _open_pieces(row: InvoicedRow, start: Moment, mode: Mode, zone: ZoneInfo) -> list[_Piece]:
    """The parts of the row from ``start`` on with a quantity that no credit covers yet, in order of time."""
    opening, closing = span_order(mode, start, zone), span_order(mode, row.end, zone)
    if opening >= closing:
        return []
    if not row.credits:
        count = reading(mode, row.end, zone) - reading(mode, start, zone)
        return [_Piece(start, row.end, count, row.quantity)]
    bounds = {span_order(mode, moment, zone): moment for moment in _boundaries(row)}
    bounds[opening], bounds[closing] = start, row.end
    stops = sorted(stop for stop in bounds if opening <= stop <= closing)
    pieces: list[_Piece] = []
    for begin, end in pairwise(stops):
        covered = sum(
            span.quantity
            for span in row.credits
            if span_order(mode, span.start, zone) <= begin and end <= span_order(mode, span.end, zone)
        )
        if covered < row.quantity:
            count = reading(mode, bounds[end], zone) - reading(mode, bounds[begin], zone)
            pieces.append(_Piece(bounds[begin], bounds[end], count, row.quantity - covered))
    return pieces


def _boundaries(row: InvoicedRow) -> list[Moment]:
    return [moment for span in row.credits for moment in (span.start, span.end)]


def _later(row_start: Moment, cut: Moment, mode: Mode, zone: ZoneInfo) -> Moment:
    """The row's own start, unless the change cuts after it; where both read the same, the start stands."""
    return cut if span_order(mode, cut, zone) > span_order(mode, row_start, zone) else row_start


def _credited(pieces: list[_Piece], amount_minor: int) -> tuple[CreditedSpan, ...]:
    if len(pieces) == 1:
        only = pieces[0]
        return (CreditedSpan(only.start, only.end, only.quantity, amount_minor),)
    weights = {f"{position:06}": piece.count * piece.quantity for position, piece in enumerate(pieces)}
    if not any(weights.values()):
        weights = dict.fromkeys(weights, 1)
    parts = allocate(amount_minor, weights)
    return tuple(
        CreditedSpan(piece.start, piece.end, piece.quantity, parts[key])
        for piece, key in zip(pieces, weights, strict=True)
    )
