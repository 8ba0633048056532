"""Writes events as the decider would: decisions of contiguous positions, versions, a hash chain, Avro bytes.

Bodies are given by type and the fields that matter; the others are empty values of the schema's types.
"""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import fastavro

from schemas.avsc import EVENTS_SUBJECT, Schema, load_schema
from tierline.kit.records import Record

GENESIS = bytes(32)
START_MS = 1_795_428_131_104  # 2026-11-23T10:02:11.104Z
SCHEMA_ID = 7

Body = tuple[str, Mapping[str, Any]]


def uuid_for(*parts: object) -> str:
    """The same uuid for the same parts."""
    return str(uuid5(NAMESPACE_URL, "/".join(map(str, parts))))


class EventLog:
    """One partition of ``oms.events.v1`` under construction."""

    def __init__(self, partition: int = 0, schema: Schema | None = None, schema_id: int = SCHEMA_ID) -> None:
        self.partition = partition
        self.events: list[dict[str, Any]] = []
        self.records: list[Record] = []
        self._schema = schema or load_schema(EVENTS_SUBJECT)
        self._bodies = _branches(self._schema)
        self._prefix = b"\0" + schema_id.to_bytes(4, "big")
        self._versions: dict[str, int] = defaultdict(int)
        self._hash = GENESIS

    def decide(self, *bodies: Body, **envelope: Any) -> list[dict[str, Any]]:
        """Append one decision; ``envelope`` overrides envelope fields of all its events."""
        appended = []
        for index, (kind, fields) in enumerate(bodies):
            event = self._event(kind, fields, index, len(bodies), envelope)
            appended.append(event)
            self._append(event)
        return appended

    def repeat(self, positions: Sequence[int]) -> None:
        """Publish these positions once more, as after a lost acknowledgement."""
        first = {int(r.header("position") or b""): r for r in reversed(self.records)}
        for position in positions:
            self._publish(first[position].value, first[position].headers)

    def _event(
        self, kind: str, fields: Mapping[str, Any], index: int, count: int, envelope: Mapping[str, Any]
    ) -> dict[str, Any]:
        account = envelope.get("account_id", "acc_1")
        subscription = envelope.get("subscription_id", "sub_1")
        of_account = kind.startswith(("Account", "Credit")) or kind == "SubscriptionOpeningRejected"
        stream = f"account:{account}" if of_account else f"subscription:{subscription}"
        self._versions[stream] += 1
        position = len(self.events)
        at = START_MS + position * 10
        event = _empty(self._schema) | {
            "event_id": uuid_for("event", stream, self._versions[stream]),
            "stream_id": stream,
            "version": self._versions[stream],
            "partition": self.partition,
            "position": position,
            "decision_index": index,
            "decision_count": count,
            "type": kind,
            "account_id": account,
            "subscription_id": subscription,
            "channel": "portal",
            "source": "main",
            "source_ref": "web-1",
            "origin": {"topic": "orders.portal.v1", "partition": 0, "offset": position},
            "intent_count": 1,
            "received_at": at,
            "occurred_at": at,
            "recorded_at": at,
            "effective_at": at,
            "command_id": uuid_for("command", account, position - index),
            "command_type": "PlaceOrder",
            "attempt": 1,
            "correlation_id": "c-1",
        }
        event |= envelope
        event["body"] = _empty(self._bodies[kind]) | dict(fields)
        return event

    def _append(self, event: dict[str, Any]) -> None:
        out = io.BytesIO()
        branch = self._bodies[event["type"]]["name"]
        fastavro.schemaless_writer(out, self._schema, event | {"body": (branch, event["body"])})
        value = self._prefix + out.getvalue()
        self._hash = hashlib.sha256(self._hash + value).digest()
        event["hash"] = self._hash
        self.events.append(event)
        headers = (
            ("type", event["type"].encode()),
            ("position", str(event["position"]).encode()),
            ("hash", self._hash),
        )
        self._publish(value, headers)

    def _publish(self, value: bytes | None, headers: tuple[tuple[str, bytes], ...]) -> None:
        offset = len(self.records)
        self.records.append(
            Record("oms.events.v1", self.partition, offset, START_MS + offset, b"acc_1", value, headers)
        )


def read_event(value: bytes, schema: Schema | None = None) -> dict[str, Any]:
    """Decode framed bytes by the reference reader."""
    event = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema or load_schema(EVENTS_SUBJECT), None)
    assert isinstance(event, dict)
    return event


def _branches(schema: Schema) -> dict[str, Schema]:
    union = next(field["type"] for field in schema["fields"] if field["name"] == "body")
    return {branch["name"].rpartition(".")[2]: branch for branch in union}


def _empty(record: Schema) -> dict[str, Any]:
    return {field["name"]: _empty_value(field["type"]) for field in record["fields"]}


def _empty_value(kind: Any) -> Any:
    match kind:
        case ["null", *_]:
            return None
        case {"type": "array"}:
            return []
        case {"type": "record"}:
            return _empty(kind)
        case "string":
            return ""
        case "boolean":
            return False
        case _:
            return 0
