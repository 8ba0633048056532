"""Channel ``partner``: TM Forum TMF622 Product Ordering v4, ``ProductOrder_Create``.

One product order may carry several intents: its items are grouped by the subscription that they name,
in the order in which the subscriptions first stand in it. ``quantity`` of a ``modify`` is absolute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from streams.reading.contract import Contract, Document
from streams.reading.fields import Reference, Whole, Word, milliseconds_of, start_instant
from streams.reading.intent import NOW, Arrival, Intent, reference_of_content
from streams.reading.refusal import Code, Refused

MAX_ITEMS = 500
ONE = 1

_POLYMORPHIC = ("@type", "@baseType", "@schemaLocation")
_REFERRED = ("href", "name", "@referredType", *_POLYMORPHIC)


class Named(Struct, frozen=True, gc=False):
    """A reference by id: to an offering or to a billing account."""

    tolerated: ClassVar = _REFERRED

    id: Reference


class Product(Struct, frozen=True, gc=False):
    """The product that an item is about: here always a subscription."""

    tolerated: ClassVar = (
        "agreement",
        "billingAccount",
        "description",
        "isBundle",
        "isCustomerVisible",
        "orderDate",
        "place",
        "product",
        "productCharacteristic",
        "productOffering",
        "productOrderItem",
        "productPrice",
        "productRelationship",
        "productSerialNumber",
        "productSpecification",
        "productTerm",
        "realizingResource",
        "realizingService",
        "relatedParty",
        "startDate",
        "status",
        "terminationDate",
        *_REFERRED,
    )

    id: Reference | UnsetType | None = UNSET


class Item(Struct, frozen=True, gc=False, rename="camel"):
    """One line of a product order. ``unavailable``: fields that ask for something not built yet."""

    unavailable: ClassVar = ("payment", "quoteItem", "productOrderItem")
    tolerated: ClassVar = (
        "appointment",
        "itemPrice",
        "itemTerm",
        "itemTotalPrice",
        "productOfferingQualificationItem",
        "productOrderItemRelationship",
        "qualification",
        "state",
        *unavailable,
        *_POLYMORPHIC,
    )

    id: Reference
    action: Literal["add", "modify", "delete", "noChange"]
    quantity: Whole | UnsetType | None = UNSET
    product: Product | UnsetType | None = UNSET
    product_offering: Named | UnsetType | None = UNSET
    billing_account: Named | UnsetType | None = UNSET


class ProductOrder(Struct, frozen=True, gc=False, rename="camel"):
    """One order of a partner. ``requested_start_date``: RFC 3339."""

    unavailable: ClassVar = ("payment", "quote")
    tolerated: ClassVar = (
        "agreement",
        "cancellationDate",
        "cancellationReason",
        "category",
        "channel",
        "description",
        "note",
        "notificationContact",
        "orderTotalPrice",
        "priority",
        "productOfferingQualification",
        "relatedParty",
        "requestedCompletionDate",
        *unavailable,
        *_POLYMORPHIC,
    )

    product_order_item: Annotated[list[Item], Meta(min_length=1, max_length=MAX_ITEMS)]
    external_id: Reference | UnsetType | None = UNSET
    requested_start_date: Word | UnsetType | None = UNSET
    billing_account: Named | UnsetType | None = UNSET


CONTRACT = Contract(ProductOrder, reference="externalId")


class Line(Struct, frozen=True, gc=False):
    """What one item asks for. ``plan`` and ``seats`` of a ``modify``, ``module`` of an ``add``.

    ``is_several``: the module is wanted more than once; it goes with all seats, or is there once.
    """

    index: int
    action: str
    account: str | None
    subscription: str | None
    plan: str | None
    seats: int | None
    module: str | None
    is_several: bool

    def path(self, field: str) -> str:
        """The payload path of a field of the item."""
        return f"productOrderItem[{self.index}].{field}"


def intents(document: Document[ProductOrder], arrival: Arrival) -> tuple[Intent, ...]:
    """One intent per subscription (or, without one, per account) that the order touches."""
    order, record, raw = document.content, arrival.record, document.raw
    start, effective = order.requested_start_date or None, NOW
    if start is not None:
        effective = start_instant(start, "requestedStartDate", record.timestamp_ms)
    reference = order.external_id or _content_reference(order, start)
    not_yet = _not_yet(raw, effective)
    groups = _groups(
        [_line(index, item, order, arrival) for index, item in enumerate(order.product_order_item)]
    )
    made = []
    for index, lines in enumerate(groups):
        plan = _agreed(lines, "productOffering.id", _PLAN)
        seats = _agreed(lines, "quantity", _SEATS)
        unavailable = (*not_yet, *_not_yet_in(lines, raw))
        modules = tuple(sorted({line.module for line in lines if line.module is not None}))
        if plan is None and seats is None and not modules and not unavailable:
            raise Refused(Code.NOTHING_ORDERED, f"productOrderItem[{lines[0].index}]")
        account = _agreed(lines, "billingAccount.id", _ACCOUNT)
        subscription = lines[0].subscription
        intent = Intent(
            arrival.channel,
            arrival.source,
            reference,
            account,
            subscription,
            False,
            plan,
            seats,
            modules,
            effective,
            None,
            None,
            None,
            unavailable,
            False,
            record.topic,
            record.partition,
            record.offset,
            record.timestamp_ms,
            index,
            len(groups),
            arrival.traceparent,
            lines[0].path("product.id" if subscription is not None else "billingAccount.id"),
        )
        made.append(intent)
    return tuple(made)


_PLAN = attrgetter("plan")
_SEATS = attrgetter("seats")
_ACCOUNT = attrgetter("account")


def _line(index: int, item: Item, order: ProductOrder, arrival: Arrival) -> Line:
    account = item.billing_account or order.billing_account or None
    offering = item.product_offering.id if item.product_offering else None
    modifies, adds = item.action == "modify", item.action == "add"
    if adds and offering is None:
        raise Refused(Code.MISSING_FIELD, f"productOrderItem[{index}].productOffering.id")
    return Line(
        index,
        item.action,
        None if account is None else account.id,
        (item.product.id or None) if item.product else None,
        arrival.plans[offering] if modifies and offering is not None else None,
        item.quantity if modifies and item.quantity is not UNSET else None,
        offering if adds else None,
        adds and item.quantity not in (UNSET, None, ONE),
    )


def _groups(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines that ask for something, by what they touch, in the order of first appearance."""
    touching = [line for line in lines if line.action != "noChange"]
    if not touching:
        raise Refused(Code.NOTHING_ORDERED, "productOrderItem")
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in _with_additions(touching):
        groups.setdefault(_touched(line), []).append(line)
    for line in lines:
        if line.action == "noChange" and ("subscription", line.subscription) in groups:
            raise Refused(Code.CONTRADICTING_ITEMS, line.path("action"))
    return list(groups.values())


def _touched(line: Line) -> tuple[str, str]:
    if line.subscription is not None:
        return "subscription", line.subscription
    if line.account is not None:
        return "account", line.account
    raise Refused(Code.MISSING_REFERENCE, line.path("product.id"))


def _with_additions(lines: Sequence[Line]) -> Sequence[Line]:
    """An ``add`` has no product yet: it goes with the order's only subscription, if the account allows."""
    if len(lines) == 1:
        return lines
    named = {line.subscription: line.account for line in lines if line.subscription is not None}
    if len(named) != 1:
        return lines
    [(subscription, account)] = named.items()
    return [
        structs.replace(line, subscription=subscription)
        if line.action == "add" and line.subscription is None and line.account in (None, account)
        else line
        for line in lines
    ]


def _agreed(lines: Sequence[Line], field: str, value_of: Callable[[Line], Any]) -> Any:
    """The one value that the lines name, None if they name none; raises ``Refused`` where two differ."""
    agreed = None
    for line in lines:
        value = value_of(line)
        if agreed is None:
            agreed = value
        elif value is not None and value != agreed:
            raise Refused(Code.CONTRADICTING_ITEMS, line.path(field))
    return agreed


def _not_yet(raw: Mapping[str, Any] | None, effective: str) -> tuple[str, ...]:
    asked = () if raw is None else tuple(name for name in ProductOrder.unavailable if raw.get(name))
    return asked if effective == NOW else ("requestedStartDate", *asked)


def _not_yet_in(lines: Sequence[Line], raw: Mapping[str, Any] | None) -> Iterator[str]:
    for line in lines:
        if line.action == "delete":
            yield line.path("action")
        if line.is_several:
            yield line.path("quantity")
        if raw is not None:
            item = raw["productOrderItem"][line.index]
            yield from (line.path(name) for name in Item.unavailable if item.get(name))


def _content_reference(order: ProductOrder, start: str | None) -> str:
    ordered = order.billing_account.id if order.billing_account else ""
    items = (
        (
            item.action,
            "" if item.quantity in (UNSET, None) else str(item.quantity),
            (item.product.id or "") if item.product else "",
            item.billing_account.id if item.billing_account else ordered,
            item.product_offering.id if item.product_offering else "",
        )
        for item in order.product_order_item
    )
    begins = "" if start is None else str(milliseconds_of(start, "requestedStartDate"))
    return reference_of_content((begins, *(part for item in sorted(items) for part in item)))
