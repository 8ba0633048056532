"""A command without its words: what a person may see of a dead one, field by field, though it is no text."""

from __future__ import annotations

import json
from collections.abc import Mapping

from deadletter.masking import HARMLESS, Mask, masked_payload
from schemas.avsc import Schema, named_types, parse
from schemas.codec import READS_ONLY, Codec, schema_id_of
from schemas.errors import DecodeCode, DecodeError

HARMLESS_IN_COMMANDS = HARMLESS | {
    "command_id", "type", "source_ref", "order_id", "payment_id", "channel", "source", "topic", "partition",
    "offset", "intent_index", "intent_count", "standing", "period_start", "period_end", "app_version",
}  # fmt: skip


class CommandMask:
    """Masks commands. ``texts``: the writers' schemas by id, as the event store has them."""

    def __init__(self, texts: Mapping[int, str]) -> None:
        self._texts = texts
        self._codec = Codec(READS_ONLY, READS_ONLY, self._schema)
        self._masks: dict[int, Mask] = {}

    def __call__(self, value: bytes | None) -> str:
        """The fields of ``value`` as masked JSON, or why it cannot be read."""
        if not value:
            return masked_payload(value, Mask(()))
        try:
            fields = self._codec.read(value)
        except DecodeError as error:
            return f"({len(value):,} bytes that cannot be read as a command: {error})"
        text = json.dumps(fields, default=str, ensure_ascii=False)
        return masked_payload(text.encode(), self._masks[schema_id_of(value)])

    def _schema(self, schema_id: int) -> Schema:
        text = self._texts.get(schema_id)
        if text is None:
            raise DecodeError(DecodeCode.UNKNOWN_SCHEMA_ID, f"the event store has no schema {schema_id}")
        try:
            schema = parse(text)
        except ValueError as error:
            raise DecodeError(DecodeCode.UNREADABLE_SCHEMA, f"schema {schema_id}: {error}") from error
        known = {field["name"] for record in named_types(schema).values() for field in record["fields"]}
        self._masks[schema_id] = Mask(known, HARMLESS_IN_COMMANDS)
        return schema
