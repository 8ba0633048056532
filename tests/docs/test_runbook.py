"""docs/runbook.md has a section for everything that can be wrong, and no command in it is made up."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from tierline.cli.commands import app
from tierline.domain.outcome import DeadLetterClass
from tierline.kit.health import Reason

PAGE = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)


def commands() -> list[str]:
    """Every command of the page: those of its shell blocks, and those that its sentences name."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    named = re.findall(r"`(tierline [^`]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))
    return [*(line for block in blocks for line in block.splitlines() if line.strip()), *named]


def test_every_reason_of_readiness_has_its_section_in_order_of_priority() -> None:
    """Whoever reads a reason on a screen finds it here."""
    assert [str(reason) for reason in Reason] == [h for h in HEADINGS if h in tuple(Reason)]


def test_every_class_of_dead_letters_has_its_row() -> None:
    """What it means, what to look at, who mends it."""
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .+ \| .+ \|$", PAGE, re.MULTILINE)
    assert [str(one) for one in DeadLetterClass] == [row for row in rows if row in tuple(DeadLetterClass)]


@pytest.mark.parametrize("command", commands())
def test_every_command_exists(command: str) -> None:
    """tests/e2e runs those of the shell blocks; this one is fast."""
    program, *words = shlex.split(command)
    assert "tierline" == program
    found = get_command(app)
    while words and hasattr(found, "commands") and words[0] in found.commands:
        found = found.commands[words.pop(0)]
    assert isinstance(found, typer.core.TyperCommand)
    options = {name for parameter in found.params for name in parameter.opts}
    assert set() == {word for word in words if word.startswith("--")} - options


def test_every_link_inside_the_page_has_its_section() -> None:
    """No dead end."""
    anchors = {heading.lower().replace(" ", "-") for heading in HEADINGS}
    assert set() == set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) - anchors
