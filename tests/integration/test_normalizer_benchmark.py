"""The benchmark of the normalizer's rates runs on real servers and measures what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figures import write_json
from benchmarks.normalizer_rates import CLEAN, DEAD, HELD, Sizes, measure, print_table
from tests.support.stack import environment_of
from tierline.kit.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]


def test_every_round_carries_dead_letters_and_held_keys(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiny sizes: the three ways take turns, each with the work that its name says."""
    sizes = Sizes(rounds=2, records=200, accounts=50, held=20)
    report = measure(settings, sizes, environment_of(settings))
    write_json(tmp_path / "figures.json", report.content())
    print_table(report)

    assert 2 * [CLEAN, DEAD, HELD] == [part.way for part in report.parts]
    written = json.loads((tmp_path / "figures.json").read_text())
    assert 6 == len(written["parts"])
    assert {200} == {part["records"] for part in written["parts"]}
    told = capsys.readouterr().out
    assert "20 keys held" in told
    assert "fsync on" in told
