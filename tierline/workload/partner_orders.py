"""Sample orders of a partner, some of them over two subscriptions."""

from __future__ import annotations

import json

from tierline.workload.json_orders import JsonOrders
from tierline.workload.records import Ask, SampleRecord

OFFERINGS = {"business-month": "OFF-BUSINESS-M", "business-year": "OFF-BUSINESS-Y"}


def partner_order(*asks: Ask) -> SampleRecord:
    """One product order with an item for each of ``asks``; the first one names it."""
    items = [
        {
            "id": str(number),
            "action": "modify",
            "quantity": ask.seats,
            "product": {"id": ask.sample.partner_ref},
            "productOffering": {"id": OFFERINGS.get(ask.plan, ask.plan)},
        }
        for number, ask in enumerate(asks, 1)
    ]
    payload = {"externalId": asks[0].reference, "productOrderItem": items}
    key = asks[0].sample.partner_ref
    return SampleRecord("partner", key, json.dumps(payload).encode(), len(items), asks[0].kind)


PARTNER = JsonOrders(partner_order, misspelt=('"action"', '"aktion"'))
