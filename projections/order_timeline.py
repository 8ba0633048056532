"""What happened to this order, step by step? One row per event about an order, of any type."""

from __future__ import annotations

from collections.abc import Sequence

from projections.read_model import Event, ReadModel
from projections.table import Row, Table

TABLE = Table(
    name="order_timeline",
    columns={
        "order_id": "uuid",
        "partition": "integer",
        "position": "integer",
        "type": "text",
        "reason_code": "text",
        "occurred_at": "instant",
        "recorded_at": "instant",
    },
    key=("order_id", "position"),
    appends=True,
)


def fold(_stored: Sequence[Row], events: Sequence[Event]) -> list[Event]:
    """The events that are about an order: every column stands in the envelope under its name."""
    return [event for event in events if event["order_id"] is not None]


MODEL = ReadModel(table=TABLE, version=1, fold=fold)
