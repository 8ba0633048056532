"""Who did what, when, why and for how much? One row per event, of any type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from projections.read_model import Event, ReadModel, reason_codes
from projections.table import Kind, Row, Table

# These stand in the row as they stand in the envelope.
_COPIED: dict[str, Kind] = {
    "partition": "integer",
    "position": "integer",
    "event_id": "uuid",
    "stream_id": "text",
    "version": "integer",
    "type": "text",
    "account_id": "text",
    "subscription_id": "text",
    "order_id": "uuid",
    "actor": "text",
    "channel": "text",
    "source": "text",
    "source_ref": "text",
    "intent_index": "integer",
    "intent_count": "integer",
    "command_id": "uuid",
    "command_type": "text",
    "attempt": "integer",
    "correlation_id": "text",
    "causation_id": "text",
    "purchase_order_ref": "text",
    "policy_version": "text",
    "catalog_version": "text",
    "received_at": "instant",
    "occurred_at": "instant",
    "recorded_at": "instant",
    "effective_at": "instant",
    "hash": "bytes",
    "body": "json",
}
TABLE = Table(
    name="audit_entry",
    columns=_COPIED
    | {
        "origin_topic": "text",
        "origin_partition": "integer",
        "origin_offset": "integer",
        "reason_codes": "texts",
        "currency": "text",
        "net_minor": "integer",
        "amount_minor": "integer",
    },
    key=("partition", "position"),
    appends=True,
)
# The fee of an event is the first of these that its body has.
_AMOUNTS = ("due_minor", "charged_minor", "amount_minor")


def fold(_stored: Sequence[Row], events: Sequence[Event]) -> list[Row]:
    """One row per event; what stands in the envelope under the name of a column is taken as it is."""
    return [_row(event) for event in events]


def _row(event: Event) -> Row:
    body, origin = event["body"], event["origin"]
    return {
        **event,
        "origin_topic": origin["topic"],
        "origin_partition": origin["partition"],
        "origin_offset": origin["offset"],
        "reason_codes": reason_codes(event),
        "currency": _of_type(str, body.get("currency")),
        "net_minor": _of_type(int, body.get("net_minor")),
        "amount_minor": next((_of_type(int, body[name]) for name in _AMOUNTS if name in body), None),
    }


def _of_type(kind: type, value: Any) -> Any:
    """``value`` where it is what the column holds; a future type may give the name to something else."""
    return value if type(value) is kind else None


MODEL = ReadModel(table=TABLE, version=1, fold=fold)
