"""One table of commands: all of them are found and told of, and each loads only itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from benchmarks import offline_start
from tierline.cli.commands import COMMANDS, FILES, app

ROOT = Path(__file__).parents[3]
SLOW = {"pydantic", "psycopg", "confluent_kafka", "fastavro", "faust", "alembic", "asyncio", "rich"}
FOR_PROGRAMS = [words for words in offline_start.COMMANDS.values() if "--table" not in words]


def invoke(*arguments: str) -> Result:
    """Run ``tierline`` in this process."""
    return CliRunner().invoke(app, arguments, prog_name="tierline")


@pytest.mark.parametrize("arguments", FOR_PROGRAMS, ids=" ".join)
def test_an_offline_answer_waits_for_nothing_but_its_own(arguments: tuple[str, ...]) -> None:
    """No other command, no settings, no client: each of them takes as long to load as the answer itself."""
    script = (
        "import atexit, sys; from tierline.cli import main; "
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        input=json.dumps(offline_start.SCENARIO),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    others = {f"tierline.cli.{FILES.get(name, name)}" for name in COMMANDS if name != arguments[0]}
    assert set() == {*done.stderr.split()} & (SLOW | others)


def test_help_tells_of_every_command() -> None:
    """Each with a sentence, in the order of the table, though only asking for it loads it."""
    done = invoke("--help")

    told = [line.split(maxsplit=1) for line in done.output.partition("Commands:\n")[2].splitlines()]
    assert 0 == done.exit_code
    assert [*COMMANDS] == [line[0] for line in told if len(line) == 2]


def test_a_misspelt_command_is_guessed() -> None:
    """Used wrongly: exit code 2, with the one that was probably meant."""
    done = invoke("calender")

    assert 2 == done.exit_code
    assert "Did you mean 'calendar'?" in done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_found(name: str) -> None:
    """Its help has the name it is called by."""
    done = invoke(name, "-h")

    assert 0 == done.exit_code
    assert done.output.startswith(f"Usage: tierline {name} ")
