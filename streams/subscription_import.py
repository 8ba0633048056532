"""Import of subscriptions: one JSON object per line becomes one OpenSubscription command.

The format is that of ``docs/channels.md`` ("Import of subscriptions"). A line is checked wholly before
anything is published; what only the account's history can tell (other terms, a taken reference) is
the decider's answer.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from tierline.domain.commands import Command, Contract, ExternalRef, InvoicedRow, OpenSubscription, Origin
from tierline.domain.identity import opening_command_id, uuid_of

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
IsoDate = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Minor = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class RefLine(msgspec.Struct, frozen=True):
    channel: Id
    ref: Id
    source: Id = "main"


class PeriodLine(msgspec.Struct, frozen=True):
    start: IsoDate
    end: IsoDate


class ContractLine(msgspec.Struct, frozen=True):
    start: IsoDate
    end: IsoDate
    minimum_term_months: Annotated[int, msgspec.Meta(ge=0, le=1200)] = 0
    minimum_spend_minor: Minor = 0


class InvoicedLine(msgspec.Struct, frozen=True):
    item: Id
    start: IsoDate
    end: IsoDate
    amount_minor: Minor
    quantity: Count = 1
    adjusted_minor: Minor = 0


class SubscriptionLine(msgspec.Struct, frozen=True):
    """One line of the import file. Unknown fields are tolerated, as in every channel."""

    account_id: Id
    subscription_id: Id
    segment: Id
    country: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$")]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
    time_zone: Id
    standing: Literal["good", "arrears", "suspended"]
    payment: Literal["invoice", "gateway", "external"]
    plan: Id
    seats: Count
    opened_at: datetime
    period: PeriodLine
    billing_day: Annotated[int, msgspec.Meta(ge=1, le=31)] | None = None
    modules: tuple[Id, ...] = ()
    external_refs: tuple[RefLine, ...] = ()
    contract: ContractLine | None = None
    invoiced: tuple[InvoicedLine, ...] | None = None


class LineRefused(ValueError):
    """A line of the file is not a subscription. Correct the line that the message names."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"line {number}: {reason}")


_decoder = msgspec.json.Decoder(SubscriptionLine)


def read_line(number: int, line: bytes) -> SubscriptionLine:
    """Decode and check one line (``number`` from 1). Raises LineRefused naming the field."""
    try:
        read = _decoder.decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise LineRefused(number, str(error) or "not a JSON object") from None
    if read.opened_at.tzinfo is None:
        raise LineRefused(number, "opened_at needs a zone, e.g. 2025-11-01T00:00:00Z")
    return read


def opening_command(
    read: SubscriptionLine, number: int, file: str, received_at: int, app_version: str, tenant_id: str
) -> Command:
    """The command for one line; ``file`` names the import in the origin, ``received_at`` in ms."""
    body = OpenSubscription(
        time_zone=read.time_zone,
        currency=read.currency,
        country=read.country,
        segment=read.segment,
        standing=read.standing,
        payment=read.payment,
        plan=read.plan,
        seats=read.seats,
        modules=read.modules,
        opened_at=int(read.opened_at.timestamp() * 1000),
        billing_day=read.billing_day,
        period_start=read.period.start,
        period_end=read.period.end,
        contract=_contract(read.contract),
        invoiced=_invoiced(read.invoiced),
        external_refs=tuple(ExternalRef(r.channel, r.source, r.ref) for r in read.external_refs),
    )
    content = msgspec.json.encode(body, order="deterministic")
    command_id = opening_command_id(read.subscription_id)
    return Command(
        tenant_id=tenant_id,
        livemode=False,
        command_id=command_id,
        type="OpenSubscription",
        account_id=read.account_id,
        subscription_id=read.subscription_id,
        channel="import",
        source="main",
        source_ref=read.subscription_id,
        origin=Origin(f"import:{file}", 0, number),
        intent_index=0,
        intent_count=1,
        received_at=received_at,
        decide_by=None,
        actor="import",
        correlation_id=uuid_of("import", file),
        causation_id=None,
        purchase_order_ref=None,
        digest=hashlib.sha256(read.account_id.encode() + b"\x1f" + content).hexdigest(),
        app_version=app_version,
        traceparent=None,
        body=body,
    )


def _contract(line: ContractLine | None) -> Contract | None:
    if line is None:
        return None
    return Contract(line.start, line.end, line.minimum_term_months, line.minimum_spend_minor)


def _invoiced(lines: tuple[InvoicedLine, ...] | None) -> tuple[InvoicedRow, ...] | None:
    if lines is None:
        return None
    return tuple(
        InvoicedRow(row.item, row.start, row.end, row.quantity, row.amount_minor, row.adjusted_minor)
        for row in lines
    )
