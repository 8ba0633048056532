"""Sample orders of the portal."""

from __future__ import annotations

import json
from typing import Any

from tierline.workload.json_orders import JsonOrders
from tierline.workload.records import Ask, SampleRecord


def portal_order(ask: Ask) -> SampleRecord:
    """One order as the portal sends it."""
    target: dict[str, Any] = {"plan": ask.plan, "seats": ask.seats}
    if ask.modules:
        target["modules"] = list(ask.modules)
    payload = {
        "reference": ask.reference,
        "account_id": ask.sample.account_id,
        "subscription_id": ask.sample.subscription_id,
        "target": target,
        "effective": "now",
        "payment_method": "pm_card_visa",
        "requested_by": "usr_9",
    }
    return SampleRecord("portal", ask.sample.subscription_id, json.dumps(payload).encode(), 1, ask.kind)


PORTAL = JsonOrders(portal_order, misspelt=('"target"', '"targt"'))
