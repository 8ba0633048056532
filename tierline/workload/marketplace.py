"""Sample operations of the marketplace: changes of plan, seats and standing, and webhooks that come late."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tierline.workload.accounts import SampleSubscription
from tierline.workload.records import Kind, SampleRecord

CHANNEL = "marketplace"
PLANS = {"team-month": "silver", "business-year": "gold", "enterprise-year": "platinum"}
TOO_FEW_SEATS = 3
# The marketplace goes on calling a webhook for eight hours.
RETRIED = (timedelta(minutes=2), timedelta(hours=7))


def change(
    reference: str, sample: SampleSubscription, plan: str | None, seats: int, kind: Kind, began: datetime
) -> SampleRecord:
    """An order: of another plan with its seats, or of seats alone."""
    action = "ChangeQuantity" if plan is None else "ChangePlan"
    named = PLANS.get(plan or sample.plan, plan or sample.plan)
    return _record(sample, kind, began, id=reference, action=action, planId=named, quantity=seats)


def late_change(
    reference: str, sample: SampleSubscription, seats: int, rng: random.Random, now: datetime
) -> SampleRecord:
    """An order that the marketplace counts as accepted for long; every other one cannot be carried out."""
    began = now - RETRIED[0] - (RETRIED[1] - RETRIED[0]) * rng.random()
    if rng.random() < 0.5:
        return change(reference, sample, "enterprise-year", TOO_FEW_SEATS, Kind.LATE, began)
    return change(reference, sample, None, seats, Kind.LATE, began)


def suspension(
    references: tuple[str, str], sample: SampleSubscription, rng: random.Random, now: datetime
) -> tuple[SampleRecord, SampleRecord]:
    """A suspension and the reinstatement after it; every third pair arrives the other way round."""
    suspend, reinstate = (
        _record(sample, Kind.STANDING, began, id=reference, action=action, status=status)
        for reference, action, status, began in (
            (references[0], "Suspend", "Succeeded", now - timedelta(milliseconds=20)),
            (references[1], "Reinstate", "InProgress", now - timedelta(milliseconds=10)),
        )
    )
    return (suspend, reinstate) if rng.random() < 2 / 3 else (reinstate, suspend)


def unsubscription(reference: str, sample: SampleSubscription, now: datetime) -> SampleRecord:
    """The end of a subscription."""
    return _record(sample, Kind.STANDING, now, id=reference, action="Unsubscribe", status="Succeeded")


def _record(sample: SampleSubscription, kind: Kind, began: datetime, **said: Any) -> SampleRecord:
    operation = {
        "subscriptionId": sample.marketplace_ref,
        "publisherId": "acme",
        "offerId": "acme-suite",
        "planId": PLANS.get(sample.plan, sample.plan),
        "timeStamp": began.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "status": "InProgress",
        "operationRequestSource": "Azure",
        "purchaseToken": None,
    } | said
    return SampleRecord(CHANNEL, sample.marketplace_ref, json.dumps(operation).encode(), 1, kind)
