"""Where does this order stand? One row per order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from projections.read_model import Event, ReadModel, reason_codes
from projections.table import Row, Table

TABLE = Table(
    name="order_status",
    columns={
        "order_id": "uuid",
        "account_id": "text",
        "subscription_id": "text",
        "channel": "text",
        "source": "text",
        "source_ref": "text",
        "state": "text",
        "plan": "text",
        "seats": "integer",
        "modules": "texts",
        "effective": "text",
        "payment_method": "text",
        "requested_by": "text",
        "requested_at": "instant",
        "reasons": "texts",
        "retry": "flag",
        "quote_id": "text",
        "currency": "text",
        "net_minor": "integer",
        "due_minor": "integer",
        "charged_minor": "integer",
        "payment_id": "text",
        "gateway_ref": "text",
        "from_tier": "text",
        "to_tier": "text",
        "superseded_by": "uuid",
        "conflict_with": "uuid",
        "duplicates": "integer",
        "origin_topic": "text",
        "origin_partition": "integer",
        "origin_offset": "integer",
        "intent_index": "integer",
        "intent_count": "integer",
        "command_id": "uuid",
        "attempt": "integer",
        "correlation_id": "text",
        "purchase_order_ref": "text",
        "received_at": "instant",
        "decide_by": "instant",
        "ended_at": "instant",
        "recorded_at": "instant",
        "partition": "integer",
        "position": "integer",
    },
    key=("order_id",),
    appends=False,
    stored="SELECT {columns} FROM {target} WHERE order_id = ANY(%s::uuid[])",
)
TERMINAL = frozenset({"COMPLETED", "REJECTED", "FAILED", "SUPERSEDED"})

_EMPTY: Row = dict.fromkeys(TABLE.columns)


def keys(events: Sequence[Event]) -> list[str]:
    """The orders that were under way before these events; one that is received here has no row yet."""
    first: dict[str, str] = {}
    for event in events:
        if event["order_id"] is not None:
            first.setdefault(event["order_id"], event["type"])
    return [order_id for order_id, kind in first.items() if kind != "OrderReceived"]


def fold(stored: Sequence[Row], events: Sequence[Event]) -> list[Row]:
    """The rows of all orders that ``events`` are about, as of the last of them."""
    orders = {row["order_id"]: row for row in stored}
    changed: dict[str, Row] = {}
    for event in events:
        order_id = event["order_id"]
        if order_id is None:
            continue
        row = changed.get(order_id) or orders.get(order_id)
        if row is None and event["type"] == "OrderReceived":
            changed[order_id] = _received(event)
        elif row is not None and event["position"] > row["position"]:
            if order_id not in changed:
                row = changed[order_id] = dict(row)
            _take(row, event)
    return list(changed.values())


def _received(event: Event) -> Row:
    body, origin = event["body"], event["origin"]
    return _EMPTY | {
        "order_id": event["order_id"],
        "account_id": event["account_id"],
        "subscription_id": event["subscription_id"],
        "channel": event["channel"],
        "source": event["source"],
        "source_ref": event["source_ref"],
        "state": "RECEIVED",
        "plan": body["plan"],
        "seats": body["seats"],
        "modules": body["modules"],
        "effective": body["effective"],
        "payment_method": body["payment_method"],
        "requested_by": body["requested_by"],
        "requested_at": body["requested_at"],
        "reasons": [],
        "duplicates": 0,
        "origin_topic": origin["topic"],
        "origin_partition": origin["partition"],
        "origin_offset": origin["offset"],
        "intent_index": event["intent_index"],
        "intent_count": event["intent_count"],
        "command_id": event["command_id"],
        "attempt": event["attempt"],
        "correlation_id": event["correlation_id"],
        "purchase_order_ref": event["purchase_order_ref"],
        "received_at": event["received_at"],
        "decide_by": event["decide_by"],
        "recorded_at": event["recorded_at"],
        "partition": event["partition"],
        "position": event["position"],
    }


def _take(row: Row, event: Event) -> None:
    row["recorded_at"], row["position"] = event["recorded_at"], event["position"]
    change = _CHANGES.get(event["type"])
    if event["type"] == "DuplicateOrderIgnored":
        row["duplicates"] += 1
    elif change is not None and row["state"] not in TERMINAL:
        row |= change(event, event["body"])


def _ended(state: str, event: Event, reasons: list[str]) -> Row:
    return {"state": state, "ended_at": event["recorded_at"], "reasons": reasons}


def _validated(_event: Event, _body: Event) -> Row:
    return {"state": "VALIDATED", "reasons": []}


def _held(event: Event, _body: Event) -> Row:
    return {"state": "ON_HOLD", "reasons": reason_codes(event)}


def _released(_event: Event, _body: Event) -> Row:
    return {"state": "RECEIVED", "reasons": []}


def _conflict(_event: Event, body: Event) -> Row:
    return {"conflict_with": body["winner_order_id"]}


def _superseded(event: Event, body: Event) -> Row:
    return _ended("SUPERSEDED", event, ["SUPERSEDED"]) | {"superseded_by": body["by_order_id"]}


def _rejected(event: Event, body: Event) -> Row:
    return _ended("REJECTED", event, reason_codes(event)) | {"retry": body["retry"]}


def _failed(event: Event, _body: Event) -> Row:
    return _ended("FAILED", event, reason_codes(event))


def _completed(event: Event, body: Event) -> Row:
    return _ended("COMPLETED", event, [body["reason"]] if body["reason"] else []) | {
        "charged_minor": body["charged_minor"],
        "currency": body["currency"],
    }


def _quoted(_event: Event, body: Event) -> Row:
    return {name: body[name] for name in ("quote_id", "currency", "net_minor", "due_minor")}


def _payment_requested(_event: Event, body: Event) -> Row:
    return {"state": "AWAITING_PAYMENT", "payment_id": body["payment_id"]}


def _authorized(_event: Event, body: Event) -> Row:
    return {"state": "AUTHORIZED", "gateway_ref": body["gateway_ref"]}


def _capture_requested(_event: Event, body: Event) -> Row:
    return {"state": "CAPTURING", "gateway_ref": body["gateway_ref"]}


def _answered_by_gateway(_event: Event, body: Event) -> Row:
    return {"gateway_ref": body["gateway_ref"]}


def _tier_changed(_event: Event, body: Event) -> Row:
    return {"from_tier": body["from_tier"], "to_tier": body["to_tier"]}


_CHANGES: dict[str, Callable[[Event, Any], Row]] = {
    "OrderValidated": _validated,
    "OrderHeld": _held,
    "OrderReleased": _released,
    "OrderConflictDetected": _conflict,
    "OrderSuperseded": _superseded,
    "OrderRejected": _rejected,
    "OrderFailed": _failed,
    "OrderCompleted": _completed,
    "QuoteIssued": _quoted,
    "PaymentRequested": _payment_requested,
    "PaymentAuthorized": _authorized,
    "PaymentCaptureRequested": _capture_requested,
    "PaymentCaptured": _answered_by_gateway,
    "PaymentDeclined": _answered_by_gateway,
    "TierChanged": _tier_changed,
}

MODEL = ReadModel(table=TABLE, version=1, fold=fold, keys=keys)
