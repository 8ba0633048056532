"""When the decider signs how far a partition's chain went, and where that goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.topics import CHECKPOINTS
from streams.deciding.checkpoints import CheckpointFile, Checkpoints
from streams.deciding.recording import Head
from tierline.kit.memory_broker import MemoryBroker, MemoryProducer
from tierline.kit.signed_note import NoteSigner
from tierline.kit.telemetry import Metrics
from tierline.verify.checkpoints import Claimed, VerifierKey, opened

EVERY = 10


class Signing:
    """Checkpoints of one decider, with everything that they wrote."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "checkpoints.ndjson"
        signer = NoteSigner.create("tierline.test", folder / "key")
        self.key = VerifierKey.parse(signer.verifier_key)
        self.broker = MemoryBroker(partitions=4)
        self.metrics = Metrics()
        self.producer = MemoryProducer(self.broker)
        self.checkpoints = Checkpoints(
            signer,
            producer=self.producer,
            append=CheckpointFile(self.file).append,
            every=EVERY,
            metrics=self.metrics,
        )

    def reach(self, partition: int, size: int) -> None:
        """``size`` events of ``partition`` are committed."""
        self.checkpoints.committed([Head(partition, size, bytes([size]) * 32)])

    @property
    def published(self) -> list[Claimed]:
        """What the topic's notes claim, checked with the public key."""
        self.producer.flush(1)
        return [
            opened((record.value or b"").decode(), [self.key])
            for record in self.broker.records(CHECKPOINTS.name)
        ]

    @property
    def kept(self) -> list[Claimed]:
        """What the file's notes claim."""
        if not self.file.exists():
            return []
        return [opened(json.loads(line)["note"], [self.key]) for line in self.file.read_text().splitlines()]

    def count(self, outcome: str) -> float | None:
        """The metric."""
        return self.metrics.registry.get_sample_value("oms_checkpoints_total", {"outcome": outcome})


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    """A decider that took over partition 1 at 5 events."""
    signing = Signing(tmp_path)
    signing.checkpoints.opened(1, 5)
    return signing


def test_a_checkpoint_is_due_after_so_many_events(signing: Signing) -> None:
    """Counted from where the partition was taken over, then from the last checkpoint."""
    for size in (14, 15, 24, 25):
        signing.reach(1, size)

    expected = [Claimed(1, 15, bytes([15]) * 32), Claimed(1, 25, bytes([25]) * 32)]
    assert expected == signing.published
    assert expected == signing.kept
    assert 2.0 == signing.count("written")


def test_what_is_given_up_is_signed_first(signing: Signing) -> None:
    """At a stop and at a rebalance; once only, and nothing where nothing happened."""
    signing.checkpoints.opened(2, 7)
    signing.reach(1, 8)
    signing.checkpoints.given_up([1, 2])
    signing.checkpoints.given_up([1, 2])

    assert [Claimed(1, 8, bytes([8]) * 32)] == signing.published == signing.kept


def test_partitions_are_counted_apart(signing: Signing) -> None:
    """Nine events here and nine there are no ten."""
    signing.checkpoints.opened(2, 5)
    signing.reach(1, 14)
    signing.reach(2, 14)

    assert [] == signing.published


def test_a_file_that_cannot_be_written_is_tried_again(signing: Signing) -> None:
    """It is counted as failed and nothing is published that is not kept; the next turn signs what stands."""
    signing.file.mkdir()
    signing.reach(1, 15)
    failed = signing.count("failed")
    signing.file.rmdir()
    signing.reach(1, 16)

    assert 1.0 == failed
    assert [Claimed(1, 16, bytes([16]) * 32)] == signing.published == signing.kept
