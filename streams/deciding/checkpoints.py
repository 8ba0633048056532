"""Signed checkpoints: how far each partition's chain went, told where the database cannot be rewritten.

The hash chain alone shows an edited event. It cannot show that the end was cut off, or that somebody who
holds both database and topic hashed everything anew. A checkpoint can: it names size and head of a
partition's chain, is signed, and leaves for a topic of its own and a file outside the database.

The text is that of a transparency log's checkpoint (C2SP tlog-checkpoint) with the head of the chain in the
place of a tree's root: origin, size, head in base64.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from schemas.topics import CHECKPOINTS, EVENTS
from streams.deciding.recording import Head
from tierline.kit.broker import Delivery, Producer
from tierline.kit.records import Message
from tierline.kit.signed_note import NoteSigner
from tierline.kit.telemetry import Metrics

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A partition's chain had ``size`` events, the last of them with the hash ``head``."""

    partition: int
    size: int
    head: bytes

    @property
    def text(self) -> str:
        """The lines that are signed."""
        origin = origin_of(self.partition)
        return f"{origin}\n{self.size}\n{base64.b64encode(self.head).decode()}\n"


def origin_of(partition: int) -> str:
    """The name of one partition's chain."""
    return f"{EVENTS.name}/{partition}"


class CheckpointFile:
    """Appends notes, one JSON object a line, to a file that survives the loss of the database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, partition: int, size: int, note: str) -> None:
        """Write one line and wait until it is on the disk. Raises OSError."""
        line = json.dumps({"partition": partition, "size": size, "note": note}, ensure_ascii=False) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class NoCheckpoints:
    """Nobody gave a key, so nothing is signed."""

    def opened(self, partition: int, size: int) -> None:
        """See ``Checkpoints.opened``."""

    def committed(self, heads: Iterable[Head]) -> None:
        """See ``Checkpoints.committed``."""

    def given_up(self, partitions: Collection[int]) -> None:
        """See ``Checkpoints.given_up``."""


class Checkpoints:
    """Signs the heads of committed chains: every ``every`` events of a partition, and when it is given up.

    A checkpoint that cannot be written is told to operators and tried again with the next turn; it never
    stops the decider, since what it proves is in the chain already.
    """

    def __init__(
        self,
        signer: NoteSigner,
        *,
        producer: Producer,
        append: Callable[[int, int, str], None],
        every: int,
        metrics: Metrics,
    ) -> None:
        self._signer = signer
        self._producer = producer
        self._append = append
        self._every = every
        self._metrics = metrics
        self._heads: dict[int, Checkpoint] = {}
        self._signed: dict[int, int] = {}

    def opened(self, partition: int, size: int) -> None:
        """A partition was taken over with ``size`` events; the next checkpoint is due ``every`` later."""
        self._signed[partition] = size

    def committed(self, heads: Iterable[Head]) -> None:
        """These heads are durable."""
        for head in heads:
            partition, size = head.partition, head.next_position
            self._heads[partition] = Checkpoint(partition, size, head.chain_hash)
            if size - self._signed.setdefault(partition, 0) >= self._every:
                self._sign(self._heads[partition])

    def given_up(self, partitions: Collection[int]) -> None:
        """Sign what is not signed yet of ``partitions``, and forget them."""
        for partition in partitions:
            head = self._heads.pop(partition, None)
            if head is not None and head.size > self._signed.get(partition, 0):
                self._sign(head)
            self._signed.pop(partition, None)

    def _sign(self, checkpoint: Checkpoint) -> None:
        note = self._signer.sign(checkpoint.text)
        try:
            self._append(checkpoint.partition, checkpoint.size, note)
        except OSError as error:
            self._not_written(checkpoint, repr(error))
            return
        partition = checkpoint.partition
        message = Message(CHECKPOINTS.name, str(partition).encode(), note.encode(), partition)
        self._producer.send(message, self._answered)
        self._signed[checkpoint.partition] = checkpoint.size

    def _answered(self, delivery: Delivery) -> None:
        if delivery.error is None:
            self._metrics.checkpoints.labels("written").inc()
            return
        self._metrics.checkpoints.labels("failed").inc()
        _log.error(
            "checkpoint_not_published",
            partition=delivery.partition,
            error=delivery.error,
            action="the checkpoint is in the file; restore the topic, the next checkpoint covers more",
        )

    def _not_written(self, checkpoint: Checkpoint, error: str) -> None:
        self._metrics.checkpoints.labels("failed").inc()
        _log.error(
            "checkpoint_not_written",
            partition=checkpoint.partition,
            size=checkpoint.size,
            error=error,
            action="make room for or give access to the file of TIERLINE_CHECKPOINT__FILE",
        )
