"""The benchmark from publishing to tier runs on a whole pipeline and measures what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.end_to_end import GENERATOR, Sizes, as_json, measure, print_table
from benchmarks.figures import write_json
from benchmarks.process_use import OTHERS
from tests.support.pipeline import running_workers
from tierline.kit.settings import Settings
from tierline.local.workers import WORKERS

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def test_every_rate_has_its_latencies_and_each_process_its_use(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiny sizes: a rate, then a soak; every part of the pipeline is watched."""
    sizes = Sizes((20,), seconds=2, search=False, warm_up_s=0, soak_seconds=3, soak_rate=20)
    with running_workers(settings, tmp_path / "logs") as workers:
        pids = {worker.name: worker.pid for worker in workers if worker.pid is not None}
        report = measure(settings, pids, sizes)
    write_json(tmp_path / "figures.json", as_json(report))
    print_table(report)

    written = json.loads((tmp_path / "figures.json").read_text())
    (step,) = written["steps"]
    assert 40 == step["load"]["offered"]
    assert step["load"]["tier_changes"] > 0
    assert {"p50", "p95", "p99"} == step["load"]["latency_ms"]["from_schedule"].keys()
    assert {*WORKERS, GENERATOR, OTHERS} == step["processes"].keys()
    assert all(use["peak_bytes"] > 0 for name, use in step["processes"].items() if name != OTHERS)
    assert 60 == written["soak"]["load"]["offered"]
    assert "fsync on" in capsys.readouterr().out
