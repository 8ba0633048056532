"""What a dead record calls the account or subscription that it is about, where that can be read."""

from __future__ import annotations

from streams.pipeline import CHANNELS, read_intents
from streams.reading.intent import PlanAliases, PlanNames, Reading
from tierline.kit.records import Record


class TouchedAccount:
    """Reads the reference of one intent of a consumed record; the record's key stands in for it.

    A channel sets as key its own reference of the account or subscription, the normalizer the account.
    """

    def __init__(self, catalog: PlanAliases) -> None:
        self._channels = {
            channel.topic.name: (channel, PlanNames(catalog, channel.name)) for channel in CHANNELS.values()
        }

    def __call__(self, record: Record, intent_index: int) -> str | None:
        reading = self._reading(record)
        if reading is not None and intent_index < len(reading.intents):
            intent = reading.intents[intent_index]
            return intent.subscription_ref or intent.account_ref
        return _text(record.key)

    def _reading(self, record: Record) -> Reading | None:
        row = self._channels.get(record.topic)
        if row is None:
            return None
        try:
            reading = read_intents(row[0], record, row[1])
        except Exception:  # noqa: BLE001 - reading it is what killed it: its key has to do
            return None
        return reading if isinstance(reading, Reading) else None


def _text(key: bytes | None) -> str | None:
    try:
        text = key.decode() if key else ""
    except UnicodeDecodeError:
        return None
    return text if text and text.isprintable() else None
