"""The demo as a newcomer runs it: its summary adds up, and every command that it prints works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import a_workplace, run
from tierline.workload.orders import CHANNELS

INTENTS = 400
OUTCOMES = ("accepted", "rejected", "duplicates", "held", "skipped", "dead_lettered")


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Path]:
    folder = a_workplace(tmp_path)
    yield folder
    run("tierline down --data .tierline/demo", folder)


@pytest.mark.stack
@pytest.mark.timeout(420)
def test_the_demo_loses_nothing_and_its_commands_work(workplace: Path) -> None:
    """``tierline demo`` ends clean; what it tells people to type next does what it says."""
    printed = run(f"tierline demo --orders {INTENTS} --rate 200", workplace)

    summary = json.loads((workplace / ".tierline/demo/summary.json").read_text())
    assert INTENTS == summary["published"]
    assert 0 == summary["lost"]
    assert INTENTS == sum(summary[outcome] for outcome in OUTCOMES)
    ended = sum(summary[end] for end in ("completed", "failed", "superseded", "operations"))
    assert summary["accepted"] <= ended <= summary["accepted"] + summary["held"]
    assert summary["tier_changes"] == summary["completed"] - summary.get("already_in_force", 0)
    assert all(summary["latency_ms"][p] is not None for p in ("p50", "p95", "p99"))
    assert set(CHANNELS) == set(summary["per_channel"])
    assert not any(summary["verify"].values())
    assert summary["waited_for_accounts"]["orders"] > 0
    assert "went on when their accounts came" in printed

    _, _, following = printed.partition("look next")
    commands = re.findall(r"tierline .*", following)
    assert "tierline up --detach --data .tierline/demo" == commands[0]
    told = {command.split()[1]: run(command, workplace) for command in commands}
    assert "COMPLETED" in told["orders"]
    assert "tierline_outcome" in told["replies"]
    assert "clean" in told["verify"]
    assert "decode" in told["dlq"]
    assert "sub_demo_" in told["psql"]
