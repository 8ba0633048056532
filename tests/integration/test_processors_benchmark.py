"""The benchmark of stream processors runs on real servers and compares what they made."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from benchmarks.figures import write_json
from benchmarks.processors.measure import Sizes, measure
from benchmarks.processors.runners import OURS
from benchmarks.stream_processors import print_table, runners_to_be_had
from tests.support.stack import environment_of
from tierline.kit.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def test_every_runner_makes_the_same_commands(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiny sizes: every runner that is to be had here is through with all orders, and not a byte differs."""
    runners, left_out = runners_to_be_had(tmp_path)
    sizes = Sizes(rounds=1, records=200, accounts=50, seconds=60, warm_s=0)
    report = measure(settings, sizes, environment_of(settings), runners, left_out)
    write_json(tmp_path / "figures.json", msgspec.to_builtins(report.content()))
    print_table(report)

    assert [(runner.title, 200, 200) for runner in runners] == [
        (part.runner, part.looked_at, part.stored) for part in report.parts
    ]
    written = json.loads((tmp_path / "figures.json").read_text())
    assert {runner.title for runner in runners} == set(written["runners"])
    told = capsys.readouterr().out
    assert f"| {OURS.title} |" in told
    assert all(f"left out: {title}: {why}" in told for title, why in left_out.items())
