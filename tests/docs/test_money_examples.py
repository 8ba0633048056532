"""docs/money.md is executed: every scenario, every command and every line of Python on it."""

from __future__ import annotations

import doctest
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tierline.cli import main
from tierline.kit.catalog_file import load_catalog

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "money.md").read_text(encoding="utf-8")
SCENARIO: dict[str, Any] = json.loads(re.findall(r"```json scenario\n(.*?)```", PAGE, re.DOTALL)[0])
QUOTES = re.findall(r"```json\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"```\n\$ tierline (.*?)\n(.*?)```", PAGE, re.DOTALL)
SESSIONS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

Run = Callable[[list[str]], str]


def merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396), except that null is a value: in a scenario it means "not known"."""
    if not isinstance(patch, dict) or not isinstance(target, dict):
        return patch
    return {**target, **{key: merged(target.get(key), value) for key, value in patch.items()}}


def lines_of(text: str) -> list[str]:
    """The lines without the spaces at their ends."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """What ``tierline`` prints when it succeeds."""

    def tierline(arguments: list[str]) -> str:
        monkeypatch.setattr(sys, "argv", ["tierline", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert not ended.value.code, printed.err
        return printed.out

    return tierline


@pytest.mark.parametrize(("patch", "expected"), QUOTES)
def test_quote_on_the_page(run: Run, tmp_path: Path, patch: str, expected: str) -> None:
    """The scenario with this change prints exactly this table."""
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps(merged(SCENARIO, json.loads(patch))))

    assert lines_of(expected) == lines_of(run(["quote", "--scenario", str(path)]))


@pytest.mark.parametrize(("command", "expected"), COMMANDS)
def test_command_on_the_page(run: Run, command: str, expected: str) -> None:
    """The command prints exactly these lines."""
    assert lines_of(expected) == lines_of(run(shlex.split(command)))


@pytest.mark.parametrize("session", SESSIONS)
def test_python_on_the_page(session: str) -> None:
    """Each prompt gives the value below it; ``scenario`` and ``catalog`` are those of the page."""
    known = {"scenario": SCENARIO, "catalog": load_catalog(ROOT / "catalog" / "catalog.yaml")}
    example = doctest.DocTestParser().get_doctest(session, known, "money.md", "docs/money.md", 0)
    found: list[str] = []

    doctest.DocTestRunner(verbose=False).run(example, out=found.append)

    assert "" == "".join(found)


def test_the_page_covers_every_mode_and_cycle() -> None:
    """A mode or cycle that is not explained with an example is missing."""
    shown = [json.loads(patch) for patch, _ in QUOTES]

    assert {"second", "thirty360", "actual30", "none"} <= {patch.get("mode") for patch in shown}
    assert {"keep_period", "restart"} <= {patch.get("cycle") for patch in shown}
    assert (4, 7) == (len(COMMANDS), len(SESSIONS))
