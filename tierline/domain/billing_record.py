"""Billing values as plain JSON objects, and back: one form for events, snapshots, scenarios and --json.

Moments are dates, or instants in UTC (in ``zone`` when one is given). Amounts are minor units. Fractions
are decimal text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from tierline.domain.billing import BillingState, CreditedSpan, InvoicedRow, Item
from tierline.domain.billing_checks import MOST_MINOR
from tierline.domain.calendar import Moment, Period
from tierline.domain.discounts import Discount
from tierline.domain.fields import Fields
from tierline.domain.lines import Line
from tierline.domain.modes import Mode
from tierline.domain.money import ROUNDING
from tierline.domain.quote import Quote
from tierline.domain.refusal import InputRefused

Record = dict[str, object]

BILLING_FIELDS = ("billing_day", "period", "items", "discounts", "invoiced", "anchor", "mode")
ITEM_FIELDS = ("id", "plan", "unit_minor", "list_minor", "quantity", "interval", "discounts")
DISCOUNT_FIELDS = ("percent", "amount_minor", "duration", "carry_over", "id")
_SPAN_FIELDS = ("start", "end", "quantity", "amount_minor")
_ROW_FIELDS = ("item", *_SPAN_FIELDS, "adjusted_minor", "credits", "mode")
_ONCE, _FOREVER = "once", "forever"


def moment_text(moment: Moment, zone: ZoneInfo | None = None) -> str:
    """``2024-05-12``, or an instant with the offset that holds in the zone (UTC without one)."""
    if isinstance(moment, datetime):
        return moment.astimezone(zone or UTC).isoformat()
    return moment.isoformat()


def period_record(period: Period, zone: ZoneInfo | None = None) -> Record:
    """``{"start", "end"}``, half-open."""
    return {"start": moment_text(period.start, zone), "end": moment_text(period.end, zone)}


def line_record(line: Line, zone: ZoneInfo | None = None) -> Record:
    """A line with everything that its amount can be recomputed from."""
    return {
        "kind": line.kind.value,
        "item": line.item,
        "start": moment_text(line.start, zone),
        "end": moment_text(line.end, zone),
        "numerator": line.numerator,
        "denominator": line.denominator,
        "mode": line.mode.value,
        "zone": line.zone,
        "amount_minor": line.amount_minor,
        "invoiced_index": line.invoiced_index,
        "formula": line.formula,
    }


def item_record(item: Item, zone: ZoneInfo | None = None) -> Record:
    """An item with its list price for the whole interval and quantity."""
    return {
        "id": item.id,
        "plan": item.plan,
        "list_minor": item.list_minor,
        "quantity": item.quantity,
        "interval": str(item.interval),
        "discounts": [discount_record(discount, zone) for discount in item.discounts],
    }


def discount_record(discount: Discount, zone: ZoneInfo | None = None) -> Record:
    """A discount with its duration; what is not set is left out."""
    record: Record = {"id": discount.id} if discount.id is not None else {}
    if discount.percent is not None:
        record["percent"] = _decimal_text(discount.percent)
    if discount.amount_minor is not None:
        record["amount_minor"] = discount.amount_minor
    if discount.periods is not None or discount.until is not None:
        duration: Record = {} if discount.periods is None else {"periods": discount.periods}
        if discount.until is not None:
            duration["until"] = moment_text(discount.until, zone)
        record["duration"] = duration
    if discount.carry_over:
        record["carry_over"] = True
    return record


def row_record(row: InvoicedRow, zone: ZoneInfo | None = None) -> Record:
    """An invoiced row with the spans that were credited of it."""
    return {
        "item": row.item,
        **_span_record(row, zone),
        "adjusted_minor": row.adjusted_minor,
        "credits": [_span_record(span, zone) for span in row.credits],
        "mode": None if row.mode is None else row.mode.value,
    }


def billing_record(billing: BillingState, zone: ZoneInfo | None = None) -> Record:
    """The whole billing state, as a scenario's ``subscription`` takes it."""
    rows = billing.invoiced
    return {
        "billing_day": billing.billing_day,
        "period": period_record(billing.period, zone),
        "items": [item_record(item, zone) for item in billing.items],
        "discounts": [discount_record(discount, zone) for discount in billing.discounts],
        "invoiced": None if rows is None else [row_record(row, zone) for row in rows],
        "anchor": None if billing.anchor is None else moment_text(billing.anchor, zone),
        "mode": None if billing.mode is None else billing.mode.value,
    }


def quote_record(quote: Quote, zone: ZoneInfo | None = None) -> Record:
    """The quote as people and programs read it, with the subscription as it stands afterwards."""
    after = quote.after
    return {
        "currency": quote.currency,
        "mode": quote.mode.value,
        "cycle": quote.cycle.value,
        "rounding": ROUNDING,
        "lines": [line_record(line, zone) for line in quote.lines],
        "zero_lines": [line_record(line, zone) for line in quote.zero_lines],
        "carried_in_minor": quote.carried_in_minor,
        "net_minor": quote.net_minor,
        "tax_basis": quote.tax_basis,
        "tax_minor": None,
        "gross_minor": None,
        "due_minor": quote.due_minor,
        "credit_used_minor": quote.credit_used_minor,
        "credit_after_minor": quote.credit_after_minor,
        "carried_minor": quote.carried_minor,
        "period": period_record(after.period, zone),
        "billing_day": after.billing_day,
        "next_billing": {
            "date": moment_text(quote.next_billing.date, zone),
            "amount_minor": quote.next_billing.amount_minor,
        },
        "subscription": billing_record(after, zone),
    }


def billing_from_record(record: object, path: str = "subscription") -> BillingState:
    """The billing state of a record; refuses what does not fit, with the field."""
    fields = Fields.of(record, path, BILLING_FIELDS)
    anchor = fields.moment("anchor") if fields.has("anchor") else None
    if anchor is not None and not isinstance(anchor, datetime):
        raise InputRefused(fields.where("anchor"), "must be an instant with its offset")
    return BillingState(
        fields.whole("billing_day") if fields.has("billing_day") else None,
        _period(fields.inner("period", ("start", "end"))),
        items_from(fields, "items"),
        discounts_from(fields, "discounts"),
        _rows(fields) if fields.has("invoiced") else None,
        anchor,
        fields.choice("mode", Mode) if fields.has("mode") else None,
    )


def items_from(fields: Fields, name: str) -> tuple[Item, ...]:
    """The items of a list; each has ``unit_minor`` (per unit and interval) or ``list_minor`` (for all)."""
    return tuple(_item(entry) for entry in fields.inners(name, ITEM_FIELDS, required=True))


def discounts_from(fields: Fields, name: str) -> tuple[Discount, ...]:
    """The discounts of a list."""
    return tuple(_discount(entry) for entry in fields.inners(name, DISCOUNT_FIELDS))


def _period(fields: Fields) -> Period:
    return Period(fields.moment("start"), fields.moment("end"))


def _item(fields: Fields) -> Item:
    quantity = fields.whole("quantity")
    if fields.has("unit_minor") == fields.has("list_minor"):
        raise InputRefused(fields.where("unit_minor"), "an item has either unit_minor or list_minor")
    name = "unit_minor" if fields.has("unit_minor") else "list_minor"
    minor = fields.whole(name)
    list_minor = minor * quantity if name == "unit_minor" else minor
    if minor < 0 or list_minor > MOST_MINOR:
        raise InputRefused(fields.where(name), f"{minor} is no price from 0 to {MOST_MINOR} in all")
    return Item(
        fields.text("id"),
        fields.text("plan"),
        fields.interval("interval"),
        quantity,
        list_minor,
        discounts_from(fields, "discounts"),
    )


def _discount(fields: Fields) -> Discount:
    periods, until = _duration(fields)
    return Discount(
        fields.percent("percent") if fields.has("percent") else None,
        fields.whole("amount_minor") if fields.has("amount_minor") else None,
        periods,
        until,
        fields.flag("carry_over"),
        fields.text("id") if fields.has("id") else None,
    )


def _duration(fields: Fields) -> tuple[int | None, Moment | None]:
    value = fields.values.get("duration")
    if value is None or value == _FOREVER:
        return None, None
    if value == _ONCE:
        return 1, None
    if isinstance(value, str):
        raise InputRefused(
            fields.where("duration"), 'must be "once", "forever", {"periods": n} or {"until": date}'
        )
    duration = fields.inner("duration", ("periods", "until"))
    periods = duration.whole("periods") if duration.has("periods") else None
    return periods, duration.moment("until") if duration.has("until") else None


def _rows(fields: Fields) -> tuple[InvoicedRow, ...]:
    return tuple(_row(entry) for entry in fields.inners("invoiced", _ROW_FIELDS))


def _row(fields: Fields) -> InvoicedRow:
    quantity = fields.whole("quantity", 1)
    return InvoicedRow(
        fields.text("item"),
        fields.moment("start"),
        fields.moment("end"),
        quantity,
        fields.whole("amount_minor"),
        fields.whole("adjusted_minor", 0),
        tuple(_credited(entry, quantity) for entry in fields.inners("credits", _SPAN_FIELDS)),
        fields.choice("mode", Mode) if fields.has("mode") else None,
    )


def _credited(fields: Fields, row_quantity: int) -> CreditedSpan:
    return CreditedSpan(
        fields.moment("start"),
        fields.moment("end"),
        fields.whole("quantity", row_quantity),
        fields.whole("amount_minor"),
    )


def _span_record(span: InvoicedRow | CreditedSpan, zone: ZoneInfo | None) -> Record:
    return {
        "start": moment_text(span.start, zone),
        "end": moment_text(span.end, zone),
        "quantity": span.quantity,
        "amount_minor": span.amount_minor,
    }


def _decimal_text(value: Fraction) -> str:
    """A percentage as decimal text; it came from one, so it ends within nine digits."""
    scaled = value * 10**9
    whole, rest = divmod(scaled.numerator // scaled.denominator, 10**9)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".") if rest else str(whole)
