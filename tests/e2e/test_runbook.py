"""The runbook's commands, run in their order on a stack where orders went through and some are dead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import ROOT, a_workplace, run

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", RUNBOOK, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Path]:
    """A running stack on which one channel has sent what it should not."""
    folder = a_workplace(tmp_path)
    (folder / "broken.json").write_text('{"reference": "r-1", "subscription_id": "sub_1"}')
    run("tierline up --detach", folder)
    try:
        run("tierline load --rate 20 --seconds 2", folder)
        run("tierline publish --channel portal broken.json", folder)
        run("tierline verify --wait", folder)
        yield folder
    finally:
        run("tierline down", folder)


@pytest.mark.stack
@pytest.mark.timeout(1200)
def test_every_command_of_the_runbook_works(workplace: Path) -> None:
    """Each one succeeds, and the overview names what waits for a person."""
    told = {command: run(command, workplace) for command in commands()}

    assert "1 contract" in told["tierline status"]
    assert "MISSING_FIELD" in told["tierline dlq groups"]
    assert "clean" in told["tierline verify --wait"]
