"""The slow ways from a record to its command, which the quick ones are compared with."""

from __future__ import annotations

from io import BytesIO

import fastavro
import msgspec

from schemas.avsc import COMMANDS_SUBJECT, load_schema
from schemas.codec import frame_header
from streams.normalizing.normalize import Deployment, command_of
from streams.normalizing.resolve import Resolved
from streams.pipeline import Channel
from streams.reading.contract import Contract
from streams.reading.intent import Arrival, Intent, PlanNames, Reading
from tierline.kit.records import Record

_SCHEMA = load_schema(COMMANDS_SUBJECT)


def read_strictly(channel: Channel, record: Record, plans: PlanNames) -> Reading:
    """The reading without the quick way."""
    assert isinstance(channel.contract, Contract), f"{channel.name} is read in one way only"
    document = channel.contract.read_strictly(record.value)
    arrival = Arrival(channel.name, "main", None, record, plans)
    return Reading(channel.intents(document, arrival), document.unknown_fields, strict=True)


class FastavroWriter:
    """The writing without the generated writer, as quick as fastavro allows."""

    def __init__(self, schema_id: int, deployment: Deployment, decide_within_ms: int) -> None:
        self._frame = frame_header(schema_id)
        self._deployment = deployment
        self._decide_within_ms = decide_within_ms

    def write(self, intent: Intent, resolved: Resolved) -> bytes:
        """The framed bytes of an order."""
        command = command_of(intent, resolved, decide_within_ms=self._decide_within_ms, **self._deployment)
        content = msgspec.to_builtins(command)
        content["body"] = ("tierline.oms.PlaceOrder", content["body"])
        stream = BytesIO()
        stream.write(self._frame)
        fastavro.schemaless_writer(stream, _SCHEMA, content)
        return stream.getvalue()
