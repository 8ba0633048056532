"""What a record of ``oms.events.v1`` says without being decoded, and where a reader stands after it."""

from __future__ import annotations

from collections.abc import Sequence

from tierline.kit.leases import Lease, Progress
from tierline.kit.records import Record


class HeaderMissing(Exception):
    """A record of ``oms.events.v1`` lacks a header that the decider always writes.

    Somebody else wrote to the topic: find the writer; ``tierline verify`` names the record.
    """

    def __init__(self, record: Record, name: str) -> None:
        super().__init__(f"{record.topic}[{record.partition}]@{record.offset} has no header {name}")


def _header(record: Record, name: str) -> bytes:
    value = record.header(name)
    if value is None:
        raise HeaderMissing(record, name)
    return value


def type_of(record: Record) -> str:
    """The type of the event."""
    return _header(record, "type").decode()


def position_of(record: Record) -> int:
    """The position of the event in its partition."""
    return int(_header(record, "position"))


def progress_after(records: Sequence[Record], lease: Lease) -> Progress:
    """Where a reader of ``records`` stands: repeats of events from before do not move its position back."""
    newest = max(records, key=position_of)
    following = position_of(newest) + 1
    if following <= lease.next_position:
        return Progress(records[-1].offset + 1, lease.next_position, lease.chain_hash)
    return Progress(records[-1].offset + 1, following, _header(newest, "hash"))
