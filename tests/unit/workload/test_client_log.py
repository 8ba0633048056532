"""The client's own log: a line before and one after each publish, read by the checker's own code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tierline.kit.broker import Delivered, Delivery
from tierline.kit.clock import FakeClock
from tierline.kit.errors import DeliveryFailed
from tierline.kit.records import Message
from tierline.verify.client_log import read_client_log
from tierline.verify.evidence import Place
from tierline.workload.client_log import ClientLog
from tierline.workload.publishing import OpenLoop
from tierline.workload.records import Kind, SampleRecord


class Broker:
    """Takes the first record, refuses the second, never answers the third; keeps what the log said before."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.before: list[int] = []
        self.waiting: list[Delivered] = []

    def send(self, message: Message, delivered: Delivered) -> None:
        self.before.append(len(self.file.read_text().splitlines()))
        self.waiting.append(delivered)

    def serve(self) -> None:
        return

    def flush(self, timeout: float) -> int:
        taken, refused, *unanswered = self.waiting
        taken(Delivery("orders.portal.v1", 2, 40))
        refused(Delivery("orders.portal.v1", -1, -1, "full"))
        return len(unanswered)


def test_each_publish_has_a_line_before_and_one_after(tmp_path: Path) -> None:
    """What the broker took, refused and never answered: the checker reads ok, failed and unknown."""
    file = tmp_path / "client.ndjson"
    broker = Broker(file)
    records = [SampleRecord("portal", key, b"{}", 1, Kind.UPGRADE) for key in ("a", None, "c")]

    with ClientLog(file, "run") as log, pytest.raises(DeliveryFailed):
        list(OpenLoop(broker, FakeClock(0), 10, log).run(records))

    assert [1, 2, 3] == broker.before
    told = [(order.state, order.key, order.place) for order in read_client_log(file)]
    place = Place("orders.portal.v1", 2, 40)
    assert [("ok", b"a", place), ("failed", None, None), ("unknown", b"c", None)] == told


def test_runs_share_a_file(tmp_path: Path) -> None:
    """A log is only ever appended to, also behind a line that a killed client left cut off."""
    file = tmp_path / "client.ndjson"
    for run in ("one", "two"):
        with ClientLog(file, run) as log:
            log.sending(Message("orders.portal.v1", None, b"{}"), 1)
        if run == "one":
            with file.open("a") as torn:
                torn.write('{"order": "one-0", "st')

    orders = [json.loads(line)["order"] for line in file.read_text().splitlines() if line.endswith("}")]
    assert ["one-0", "two-0"] == orders
    assert 2 == len(read_client_log(file))
