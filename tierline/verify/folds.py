"""The read models, folded once more from the topic by code of the checker's own, and compared.

Written from the events' documentation, not from the projector: where the two disagree, one is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from tierline.verify.evidence import Evidence, Finding, TopicEvent
from tierline.verify.invariants import finding, settle

Row = dict[str, Any]
Rows = dict[Any, Row]

NEXT_STATE = {
    "OrderReceived": "RECEIVED",
    "OrderValidated": "VALIDATED",
    "OrderHeld": "ON_HOLD",
    "OrderReleased": "RECEIVED",
    "PaymentRequested": "AWAITING_PAYMENT",
    "PaymentAuthorized": "AUTHORIZED",
    "PaymentCaptureRequested": "CAPTURING",
    "OrderCompleted": "COMPLETED",
    "OrderRejected": "REJECTED",
    "OrderFailed": "FAILED",
    "OrderSuperseded": "SUPERSEDED",
}
TERMINAL = frozenset({"COMPLETED", "REJECTED", "FAILED", "SUPERSEDED"})


def fold_tiers(settled: Mapping[int, Sequence[TopicEvent]]) -> tuple[Rows, dict[tuple[int, int], Row]]:
    """What each subscription is on, and every state it had by the place of the decision's last event."""
    now: Rows = {}
    history: dict[tuple[int, int], Row] = {}
    for events in settled.values():
        touched: Row | None = None
        for event in events:
            touched = _tier_step(now, event) or touched
            envelope = event.envelope
            if envelope["decision_index"] == envelope["decision_count"] - 1:
                if touched is not None:
                    history[touched["partition"], touched["position"]] = dict(touched)
                touched = None
    return now, history


def _tier_step(now: Rows, event: TopicEvent) -> Row | None:
    envelope, body = event.envelope, event.envelope["body"]
    subscription = envelope["subscription_id"]
    match envelope["type"]:
        case "SubscriptionOpened":
            row = now.setdefault(subscription, {"subscription_id": subscription})
            for name in ("tier", "plan", "seats", "currency", "billing_day"):
                row[name] = body[name]
            row |= {
                "account_id": envelope["account_id"],
                "features": sorted(body["features"]),
                "modules": sorted(body["modules"]),
                "order_id": None,
            }
            row |= {"limits": _limits(body), "subscription_standing": "good", **_period(body)}
        case "StandingChanged":
            row = now[subscription]
            row["subscription_standing"] = body["to_standing"]
        case "TierChanged":
            row = now[subscription]
            row |= {"tier": body["to_tier"], "plan": body["to_plan"], "seats": body["to_seats"]}
            row["order_id"] = envelope["order_id"]
        case "EntitlementsChanged":
            row = now[subscription]
            row["features"] = sorted((set(row["features"]) | set(body["on"])) - set(body["off"]))
            row["limits"] = _limits(body)
        case "BillingScheduleAdjusted":
            row = now[subscription]
            row |= {name: body[name] for name in ("currency", "billing_day", "next_billing_minor")}
            row |= {"next_billing_date": body["next_billing_date"][:10], **_period(body)}
            row["modules"] = sorted({item["id"] for item in body["items"]} - {"base"})
        case "PeriodRolled":
            row = now[subscription]
            row |= {"next_billing_minor": body["next_billing_minor"]}
            row |= {"next_billing_date": body["next_billing_date"][:10], **_period(body)}
        case _:
            return None
    row |= {
        "partition": event.place.partition,
        "position": event.position,
        "version": envelope["version"],
    }
    return row


def _limits(body: Mapping[str, Any]) -> dict[str, int]:
    return {limit["name"]: limit["value"] for limit in body["limits"]}


def _period(body: Mapping[str, Any]) -> Row:
    return {name: body[name][:10] for name in ("period_start", "period_end")}


def fold_orders(settled: Mapping[int, Sequence[TopicEvent]]) -> Rows:
    """Where each order stands."""
    orders: Rows = {}
    for events in settled.values():
        for event in events:
            _order_step(orders, event)
    return orders


def _order_step(orders: Rows, event: TopicEvent) -> None:
    envelope, body = event.envelope, event.envelope["body"]
    order_id, kind = envelope["order_id"], envelope["type"]
    if order_id is None:
        return
    if kind == "OrderReceived":
        orders[order_id] = {
            "order_id": order_id,
            "account_id": envelope["account_id"],
            "subscription_id": envelope["subscription_id"],
            "channel": envelope["channel"],
            "source": envelope["source"],
            "source_ref": envelope["source_ref"],
            "plan": body["plan"],
            "seats": body["seats"],
            "modules": sorted(body["modules"]),
            "received_at": envelope["received_at"],
            "decide_by": envelope.get("decide_by"),
            "origin_topic": envelope["origin"]["topic"],
            "origin_partition": envelope["origin"]["partition"],
            "origin_offset": envelope["origin"]["offset"],
            "duplicates": 0,
            "charged_minor": None,
        }
    order = orders[order_id]
    if kind == "DuplicateOrderIgnored":
        order["duplicates"] += 1
    if kind == "OrderCompleted":
        order["charged_minor"] = body["charged_minor"]
    if kind in NEXT_STATE and order.get("state") not in TERMINAL:
        order["state"] = NEXT_STATE[kind]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, UUID | date):
        return str(value)
    return sorted(value) if isinstance(value, list) else value


def equal_to_fold(
    name: str, expected: Mapping[Any, Row], rows: Sequence[Mapping[str, Any]], key: Callable[[Row], Any]
) -> Finding:
    """Each folded row is in the read model with the same values, and the read model has no other."""

    def offences() -> Iterator[str]:
        missing = dict(expected)
        for raw in rows:
            row = {column: _plain(value) for column, value in raw.items()}
            place = key(row)
            wanted = missing.pop(place, None)
            if wanted is None:
                yield f"read.{name}: {place} is not in the events"
                continue
            for column, value in wanted.items():
                if row[column] != value:
                    yield f"read.{name}: {place} has {column} {row[column]!r}, the events say {value!r}"
                    break
        for place in missing:
            yield f"read.{name}: {place} is missing"

    return finding(f"{name} equals its fold", len(expected), offences())


def audit_rows(settled: Mapping[int, Sequence[TopicEvent]]) -> Rows:
    """One audit row per event."""
    return {
        (event.place.partition, event.position): {
            "event_id": event.envelope["event_id"],
            "type": event.envelope["type"],
            "stream_id": event.envelope["stream_id"],
            "version": event.envelope["version"],
            "order_id": event.envelope["order_id"],
            "command_id": event.envelope["command_id"],
            "recorded_at": event.envelope["recorded_at"],
            "hash": event.hash_header,
        }
        for events in settled.values()
        for event in events
    }


def timeline_rows(settled: Mapping[int, Sequence[TopicEvent]]) -> Rows:
    """One timeline row per event about an order."""
    return {
        (event.envelope["order_id"], event.position): {
            "type": event.envelope["type"],
            "partition": event.place.partition,
            "recorded_at": event.envelope["recorded_at"],
        }
        for events in settled.values()
        for event in events
        if event.envelope["order_id"] is not None
    }


def judge_read_models(evidence: Evidence) -> list[Finding]:
    """Every read model against its own fold of the topic."""
    settled = settle(evidence.topic)
    now, history = fold_tiers(settled)
    models = evidence.read_models

    def by_place(row: Row) -> Any:
        return row["partition"], row["position"]

    return [
        equal_to_fold("tier_status", now, models["tier_status"], lambda row: row["subscription_id"]),
        equal_to_fold("tier_history", history, models["tier_history"], by_place),
        equal_to_fold(
            "order_status", fold_orders(settled), models["order_status"], lambda row: row["order_id"]
        ),
        equal_to_fold(
            "order_timeline",
            timeline_rows(settled),
            models["order_timeline"],
            lambda row: (row["order_id"], row["position"]),
        ),
        equal_to_fold("audit_entry", audit_rows(settled), models["audit_entry"], by_place),
    ]
