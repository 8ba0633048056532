"""The client's own log of what it published: NDJSON, one line before and one after each publish.

The line before names topic, key, SHA-256 of the value and how many intents it carries (``sent``), the one
after what the broker said: ``ok`` with its place, or ``failed``. An order without an answer is unknown: the
client ended before it came. ``tierline verify --client-log`` reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from os import SEEK_END
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tierline.kit.broker import Delivered, Delivery
from tierline.kit.records import Message


class ClientLog:
    """Appends to ``file``, each line at once, so that it outlives a killed client (not a dead machine).

    ``run`` keeps the orders of this run apart from those of others in the same file.
    """

    def __init__(self, file: Path, run: str) -> None:
        self._run = run
        self._sent = 0
        self._file = file.open("a+b", buffering=0)
        if self._file.seek(0, SEEK_END):
            self._file.seek(-1, SEEK_END)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")  # behind a line that a killed client left cut off

    def sending(self, message: Message, intents: int) -> Delivered:
        """Note that ``message`` is about to be sent; returns who is to hear the broker's answer."""
        order = f"{self._run}-{self._sent}"
        self._sent += 1
        self._write(
            {
                "order": order,
                "state": "sent",
                "topic": message.topic,
                "key": None if message.key is None else message.key.decode(),
                "sha256": hashlib.sha256(message.value or b"").hexdigest(),
                "intents": intents,
            }
        )

        def answered(delivery: Delivery) -> None:
            if delivery.error is None:
                place = {"partition": delivery.partition, "offset": delivery.offset}
                self._write({"order": order, "state": "ok", **place})
            else:
                self._write({"order": order, "state": "failed", "error": delivery.error})

        return answered

    def close(self) -> None:
        """No more lines."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
