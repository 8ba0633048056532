"""Channel ``sales_desk``: rows of a CSV file, one order per record.

The file that a row came from and its number stand in the headers of the record, for people. Whose order it is
does not depend on them, nor on the order of columns, line ends, a byte order mark or blanks around the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from streams.reading.contract import Document
from streams.reading.csv_contract import CsvContract
from streams.reading.fields import MAX_MODULES, Reference, Token, Whole, Word, start_of
from streams.reading.intent import NOW, Arrival, Intent, reference_of_content
from streams.reading.refusal import Code, Refused


class Row(Struct, frozen=True, gc=False):
    """One row; an empty cell is None. ``effective``: now, next_cycle or a day."""

    order_ref: Reference | None = None
    account: Reference | None = None
    subscription: Reference | None = None
    target_plan: Word | None = None
    seats: Whole | None = None
    modules: Annotated[list[Word], Meta(max_length=MAX_MODULES)] | None = None
    effective: Word | None = None
    quote: Token | None = None


CONTRACT = CsvContract(Row, reference="order_ref", keys=("subscription", "account"))


def intents(document: Document[Row], arrival: Arrival) -> tuple[Intent, ...]:
    """The one intent of a row."""
    row, record = document.content, arrival.record
    if row.account is None and row.subscription is None:
        raise Refused(Code.MISSING_REFERENCE, "subscription")
    if row.target_plan is None and row.seats is None and not row.modules:
        raise Refused(Code.NOTHING_ORDERED, "target_plan")
    plan = None if row.target_plan is None else arrival.plans[row.target_plan]
    modules = tuple(sorted(set(row.modules or ())))
    asked_for = row.effective or NOW
    effective = start_of(asked_for, "effective", record.timestamp_ms)
    intent = Intent(
        channel=arrival.channel,
        source=arrival.source,
        reference=row.order_ref or _content_reference(row, plan, modules, asked_for),
        account_ref=row.account,
        subscription_ref=row.subscription,
        account_ref_must_be_known=True,
        plan=plan,
        seats=row.seats,
        modules=modules,
        effective=effective,
        payment_method=None,
        requested_by=None,
        requested_at=None,
        unavailable=_unavailable(row, effective),
        modules_complete=bool(modules),
        validate_only=False,
        origin_topic=record.topic,
        origin_partition=record.partition,
        origin_offset=record.offset,
        received_at=record.timestamp_ms,
        intent_index=0,
        intent_count=1,
        traceparent=arrival.traceparent,
        field="account" if row.subscription is None else "subscription",
    )
    return (intent,)


def _content_reference(row: Row, plan: str | None, modules: Sequence[str], asked_for: str) -> str:
    """The reference of a row that brings none.

    The start is the one in the cell: a day that was yet to come when the file was first published has come
    when it is published again, and the order is the same.
    """
    seats = "" if row.seats is None else str(row.seats)
    return reference_of_content(
        (row.account or "", row.subscription or "", plan or "", seats, *modules, asked_for)
    )


def _unavailable(row: Row, effective: str) -> tuple[str, ...]:
    asked = (
        ("effective", effective != NOW),
        ("quote", row.quote is not None),
    )
    return tuple(column for column, is_asked in asked if is_asked)
