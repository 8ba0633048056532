"""A price becomes a quote: the frozen answer that the order is completed by, whatever changes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from tierline.domain.catalog import Plan
from tierline.domain.events import Limit, QuoteIssued, QuoteLine, Reason
from tierline.domain.lines import Line
from tierline.domain.moments import ms_of_instant, text_of_moment
from tierline.domain.quote import Quote
from tierline.domain.schedule import billed_items, invoiced_rows
from tierline.domain.subscription import Schedule

QUOTE_HOLDS_MS = 30 * 60 * 1000


def issue_quote(
    quote_id: str,
    quote: Quote,
    plan: Plan,
    seats: int,
    before: Schedule,
    now: int,
    *,
    validate_only: bool,
    effective_at: int | None,
    catalog_version: str,
    features: tuple[str, ...],
    notes: tuple[Reason, ...],
) -> QuoteIssued:
    """The quote for a change to ``plan`` and ``seats`` from the schedule ``before``; it holds 30 minutes.

    ``catalog_version`` is the price book that priced it; ``features`` are those of the plan and its modules.
    ``effective_at``: the instant (ms) from which it is charged, None for when the order was taken in.
    """
    after, settlement = quote.after, quote.settlement
    return QuoteIssued(
        quote_id=quote_id,
        currency=quote.currency,
        lines=_lines(quote.lines),
        zero_lines=_lines(quote.zero_lines),
        net_minor=settlement.net_minor,
        tax_basis=quote.tax_basis,
        due_minor=settlement.due_minor,
        credit_used_minor=settlement.credit_used_minor,
        carried_minor=settlement.carried_minor,
        zone=quote.zone,
        mode=quote.mode.value,
        cycle=quote.cycle.value,
        plan=plan.id,
        seats=seats,
        period_start=text_of_moment(after.period.start),
        period_end=text_of_moment(after.period.end),
        billing_day=after.billing_day,
        next_billing_date=text_of_moment(quote.next_billing.date),
        next_billing_minor=quote.next_billing.amount_minor,
        expires_at=now + QUOTE_HOLDS_MS,
        validate_only=validate_only,
        credit_granted_minor=max(0, -settlement.net_minor),
        tier=plan.tier,
        features=features,
        limits=limits_of(plan),
        items=billed_items(after.items, quote.mode),
        invoiced=invoiced_rows(before, after),
        anchor=None if after.anchor is None else ms_of_instant(after.anchor),
        catalog_version=catalog_version,
        effective_at=effective_at,
        notes=notes,
    )


def limits_of(plan: Plan) -> tuple[Limit, ...]:
    """The limits of a plan, by name."""
    return tuple(Limit(name, value) for name, value in sorted(plan.limits.items()))


def _lines(lines: Sequence[Line]) -> tuple[QuoteLine, ...]:
    return tuple(
        QuoteLine(
            line.kind.value,
            line.item,
            text_of_moment(line.start),
            text_of_moment(line.end),
            line.numerator,
            line.denominator,
            line.mode.value,
            line.amount_minor,
            line.invoiced_index,
            line.formula,
        )
        for line in lines
    )
