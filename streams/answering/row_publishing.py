"""Rows of a file as messages: what ``tierline publish`` sends for a channel that takes CSV."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from streams.answering.row_answers import FILE_HEADER, ROW_HEADER, UPLOAD_HEADER
from streams.reading.csv_file import CutFile
from tierline.kit.records import Headers, Message

ROW_HEADERS = frozenset({FILE_HEADER, ROW_HEADER, UPLOAD_HEADER})
_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Upload:
    """One publishing of one file. ``id`` sorts by time."""

    id: str
    file: str
    cut: CutFile

    def messages(self, topic: str, headers: Headers) -> Iterator[tuple[int, Message]]:
        """Each row's number and its message."""
        name = self.file.encode("utf-8", "replace")[:_NAME_BYTES]
        for row in self.cut.rows:
            own = (
                (FILE_HEADER, name),
                (ROW_HEADER, str(row.number).encode()),
                (UPLOAD_HEADER, self.id.encode()),
            )
            yield row.number, Message(topic, row.key, row.value, headers=(*headers, *own))


def upload_id(now: datetime) -> str:
    """The id of an upload at ``now`` (UTC); two of the same instant differ."""
    return f"{now:%Y%m%dT%H%M%S%f}Z-{secrets.token_hex(2)}"
