"""The README's commands, run in their order in an empty folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import ROOT, a_workplace, run

README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Path]:
    folder = a_workplace(tmp_path)
    yield folder
    run("tierline down", folder)


def test_the_readme_stays_short() -> None:
    """At most 60 lines."""
    assert len(README.splitlines()) <= 60


def test_no_link_of_the_readme_leads_nowhere() -> None:
    """Every page that it names exists."""
    linked = re.findall(r"\]\(([^)]+)\)", README)

    assert [] == [target for target in linked if not (ROOT / target).exists()]


def test_the_make_recipes_of_the_readme_exist() -> None:
    """``make demo`` and ``make test`` are recipes that help explains."""
    makefile = (ROOT / "Makefile").read_text()
    recipes = [command.split()[1] for command in commands() if command.startswith("make ")]

    assert ["demo", "test"] == recipes
    assert all(re.search(rf"^{recipe}: setup ##", makefile, flags=re.MULTILINE) for recipe in recipes)


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_the_command_line_of_the_readme_works(workplace: Path) -> None:
    """Each ``tierline`` line succeeds after the one before it."""
    for command in commands():
        if command.startswith("tierline "):
            run(command, workplace)
