"""The benchmark of growth runs on real servers and measures what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.growth import Report, Sizes, as_json, measure, print_table
from tests.support.stack import environment_of
from tierline.kit.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def test_each_place_of_the_curve_has_rates_and_latency(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiny sizes: events are stored first, and in the end all workers carry orders of every channel."""
    sizes = Sizes(accounts=(30,), events=(300,), orders=40, rate=40, seconds=1)
    servers, places = measure(settings, 30, sizes, environment_of(settings), tmp_path)
    report = Report(sizes, servers, places)
    print_table(report)

    (place,) = as_json(report)["places"]
    assert place["events"] >= 300
    assert place["orders_per_s"] > 0
    assert place["events_per_s"] > 0
    assert place["latency_ms"]["p99"] is not None
    assert "fsync on" in capsys.readouterr().out
