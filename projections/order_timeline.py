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


def fold(_stored: Sequence[Row], events: Sequence[Event]) -> list[Row]:
    """One row per event that is about an order."""
    return [
        {column: event[column] for column in TABLE.columns}
        for event in events
        if event["order_id"] is not None
    ]


MODEL = ReadModel(table=TABLE, version=1, fold=fold)
