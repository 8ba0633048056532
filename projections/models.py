"""Every read model, in the order in which a batch is written.

``order_status`` comes first: the tier models take from it when an order was received.
"""

from __future__ import annotations

from typing import get_args

from projections import audit_entry, order_status, order_timeline, tier_history, tier_status
from projections.read_model import ReadModel
from tierline.domain.events import EventBody

READ_MODELS: tuple[ReadModel, ...] = (
    order_status.MODEL,
    tier_status.MODEL,
    tier_history.MODEL,
    order_timeline.MODEL,
    audit_entry.MODEL,
)
BY_NAME = {model.name: model for model in READ_MODELS}
KNOWN_TYPES = frozenset(body.__name__ for body in get_args(EventBody))
"""The event types that this version was made with; others are counted, and kept by audit and timeline."""
