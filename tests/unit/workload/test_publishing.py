"""The open loop keeps its schedule, and percentiles are figures that were measured."""

from __future__ import annotations

import pytest

from tierline.kit.broker import Delivered, Delivery
from tierline.kit.clock import FakeClock
from tierline.kit.errors import DeliveryFailed
from tierline.kit.records import Message
from tierline.workload.percentiles import percentile, summary_ms
from tierline.workload.publishing import OpenLoop
from tierline.workload.records import Kind, SampleRecord


class SlowProducer:
    """Takes ``cost_ms`` for every send and acknowledges all of it at the flush, or refuses it."""

    def __init__(self, clock: FakeClock, cost_ms: int, error: str | None = None) -> None:
        self.clock, self.cost_ms, self.error = clock, cost_ms, error
        self.sent_at: list[int] = []
        self.waiting: list[Delivered] = []

    def send(self, message: Message, delivered: Delivered) -> None:
        self.sent_at.append(self.clock.now_ms())
        self.clock.advance(self.cost_ms)
        self.waiting.append(delivered)

    def serve(self) -> None:
        return

    def flush(self, timeout: float) -> int:
        for offset, delivered in enumerate(self.waiting):
            delivered(Delivery("orders.portal.v1", 0, offset, self.error))
        return 0


def records(count: int) -> list[SampleRecord]:
    return [SampleRecord("portal", None, b"{}", 1, Kind.UPGRADE) for _ in range(count)]


def test_a_quick_producer_sends_each_record_when_it_is_due() -> None:
    """At 10 a second the records leave 100 ms apart."""
    clock = FakeClock(1_000)
    producer = SlowProducer(clock, 0)

    list(OpenLoop(producer, clock, 10).run(records(3)))

    assert [1_000, 1_100, 1_200] == producer.sent_at


def test_a_late_record_keeps_the_instant_at_which_it_was_due() -> None:
    """A producer that needs 250 ms a record is late, and the schedule says by how much."""
    clock = FakeClock(0)
    producer = SlowProducer(clock, 250)

    publications = list(OpenLoop(producer, clock, 10).run(records(3)))

    assert [0, 250, 500] == producer.sent_at
    assert [0, 100, 200] == [p.due_ms for p in publications]


def test_a_refused_record_fails_the_run() -> None:
    """A record that the broker did not take is never counted as published."""
    clock = FakeClock(0)

    with pytest.raises(DeliveryFailed, match="2 of 2 records not taken: full"):
        list(OpenLoop(SlowProducer(clock, 0, "full"), clock, 10).run(records(2)))


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.95, 10), (0.99, 10), (0.1, 1), (1.0, 10)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    """Nearest rank: no value is invented between two."""
    assert expected == percentile(list(range(1, 11)), share)


def test_an_empty_sample_has_no_percentile() -> None:
    """Nothing measured, nothing said."""
    assert {"p50": None, "p95": None, "p99": None} == summary_ms([])
