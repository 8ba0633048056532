"""What is each subscription on now? One row per subscription, the last of its states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from projections.read_model import Event, ReadModel, day, last_per_key
from projections.table import Kind, Row, Table
from tierline.domain.billing import BASE_ITEM

COLUMNS: dict[str, Kind] = {
    "subscription_id": "text",
    "account_id": "text",
    "tier": "text",
    "plan": "text",
    "seats": "integer",
    "modules": "texts",
    "features": "texts",
    "limits": "json",
    "currency": "text",
    "period_start": "date",
    "period_end": "date",
    "billing_day": "integer",
    "next_billing_date": "date",
    "next_billing_minor": "integer",
    "standing": "text",
    "subscription_standing": "text",
    "payment": "text",
    "segment": "text",
    "country": "text",
    "time_zone": "text",
    "order_id": "uuid",
    "received_at": "instant",
    "effective_at": "instant",
    "recorded_at": "instant",
    "version": "integer",
    "partition": "integer",
    "position": "integer",
}
# An event that a payment result caused carries the time of that result; the order's own is in its row.
RECEIVED_AT = (
    "coalesce((SELECT received_at FROM read.order_status WHERE order_id = new.order_id), new.received_at)"
)
TABLE = Table(
    name="tier_status",
    columns=COLUMNS,
    key=("subscription_id",),
    appends=False,
    stored="SELECT {columns} FROM {target} WHERE account_id = ANY(%s)",
    looked_up={"received_at": RECEIVED_AT},
)
TERMS = ("standing", "payment", "segment", "country", "time_zone")

_NO_TERMS: Row = dict.fromkeys(TERMS)


def keys(events: Sequence[Event]) -> set[str]:
    """The accounts whose subscriptions these events change."""
    return {event["account_id"] for event in events if event["type"] in _TOUCHING}


def fold(stored: Sequence[Row], events: Sequence[Event]) -> list[Row]:
    """The rows of all subscriptions that ``events`` change, as of the last of them."""
    return last_per_key(states(stored, events), "subscription_id")


def states(stored: Sequence[Row], events: Sequence[Event]) -> Iterator[Row]:
    """Each state that a subscription was in after a decision which changed it, in order."""
    now = {row["subscription_id"]: row for row in stored}
    terms = {row["account_id"]: {name: row[name] for name in TERMS} for row in stored}
    for _, decision in groupby((e for e in events if e["type"] in _RELEVANT), _decision):
        touched: dict[str, Row] = {}
        for event in decision:
            if event["type"] == "AccountOpened":
                terms[event["account_id"]] = {name: event["body"][name] for name in TERMS}
            elif (changed := _changed(now.get(event["subscription_id"]), event, terms)) is not None:
                now[event["subscription_id"]] = touched[event["subscription_id"]] = changed
        yield from touched.values()


def _decision(event: Event) -> tuple[int, int]:
    return event["partition"], event["position"] - event["decision_index"]


def _changed(row: Row | None, event: Event, terms: dict[str, Row]) -> Row | None:
    if row is not None and event["position"] <= row["position"]:
        return None
    if event["type"] == "SubscriptionOpened":
        return _opened(event, terms.get(event["account_id"], _NO_TERMS))
    if row is None:
        return None
    changed = row | _CHANGES[event["type"]](row, event["body"]) | _mark(event)
    if event["type"] in _PASSING_OF_TIME:
        # An order rolls the subscription on its way; that is not yet what the order changed.
        changed |= {name: row[name] for name in ("order_id", "received_at")}
    return changed


def _mark(event: Event) -> Row:
    mark: Row = {name: event[name] for name in ("effective_at", "recorded_at", "version", "position")}
    if event["order_id"] is not None:
        mark |= {"order_id": event["order_id"], "received_at": event["received_at"]}
    return mark


def _opened(event: Event, terms: Row) -> Row:
    body = event["body"]
    return {
        "subscription_id": event["subscription_id"],
        "account_id": event["account_id"],
        "tier": body["tier"],
        "plan": body["plan"],
        "seats": body["seats"],
        "modules": sorted(body["modules"]),
        "features": sorted(body["features"]),
        "limits": _limits(body),
        "currency": body["currency"],
        "period_start": day(body["period_start"]),
        "period_end": day(body["period_end"]),
        "billing_day": body["billing_day"],
        "next_billing_date": None,
        "next_billing_minor": None,
        "subscription_standing": "good",
        "order_id": None,
        "received_at": event["received_at"],
        "partition": event["partition"],
        **terms,
        **_mark(event),
    }


def _tier_changed(_row: Row, body: Event) -> Row:
    return {"tier": body["to_tier"], "plan": body["to_plan"], "seats": body["to_seats"]}


def _entitlements_changed(row: Row, body: Event) -> Row:
    features = (set(row["features"]) | set(body["on"])) - set(body["off"])
    return {"features": sorted(features), "limits": _limits(body)}


def _billing_adjusted(_row: Row, body: Event) -> Row:
    modules = sorted(item["id"] for item in body["items"] if item["id"] != BASE_ITEM)
    return {
        "currency": body["currency"],
        "billing_day": body["billing_day"],
        "modules": modules,
        **_period(body),
    }


def _period_rolled(_row: Row, body: Event) -> Row:
    return _period(body)


def _period(body: Event) -> Row:
    return {
        "period_start": day(body["period_start"]),
        "period_end": day(body["period_end"]),
        "next_billing_date": day(body["next_billing_date"]),
        "next_billing_minor": body["next_billing_minor"],
    }


def _standing_changed(_row: Row, body: Event) -> Row:
    return {"subscription_standing": body["to_standing"]}


def _limits(body: Event) -> dict[str, int]:
    return {limit["name"]: limit["value"] for limit in body["limits"]}


_CHANGES: dict[str, Callable[[Row, Any], Row]] = {
    "TierChanged": _tier_changed,
    "EntitlementsChanged": _entitlements_changed,
    "BillingScheduleAdjusted": _billing_adjusted,
    "StandingChanged": _standing_changed,
    "PeriodRolled": _period_rolled,
}
_PASSING_OF_TIME = frozenset({"PeriodRolled"})
_TOUCHING = frozenset({"SubscriptionOpened", *_CHANGES})
_RELEVANT = _TOUCHING | {"AccountOpened"}

MODEL = ReadModel(table=TABLE, version=1, fold=fold, keys=keys)
