"""``tierline bench``: list the benchmarks of the checkout, and run them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tierline.cli.errors import CommandError
from tierline.cli.output import print_table
from tierline.kit.data_folder import ROOT

ASKS = "Question: "
FOLDER = "benchmarks"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What a file in ``benchmarks/`` answers, and the arguments that let it answer quickly."""

    question: str
    quick: tuple[str, ...]


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which to run; without one: a list.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Run all of them.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: to see that it runs.")] = False,
) -> None:
    """List the benchmarks, or run some of them one after the other.

    They are part of a checkout, not of what is installed. Those that need servers start their own. Sizes
    of your own: python -m benchmarks.NAME --help
    """
    known = find_benchmarks(ROOT)
    if unknown := sorted({*(names or ())} - known.keys()):
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(known)}", param_hint="NAME")
    chosen = list(known) if every else names or []
    if not chosen:
        print_table(("name", "question"), [(name, found.question) for name, found in known.items()])
    for name in chosen:
        typer.echo(f"\n── {name}: {known[name].question}\n")
        _run(name, known[name].quick if quick else ())


def find_benchmarks(root: Path) -> Mapping[str, Benchmark]:
    """The benchmarks of the checkout ``root`` by name: files whose first line asks a question.

    Raises CommandError where there are none, because ``root`` is no checkout.
    """
    found = {file.stem: read for file in sorted((root / FOLDER).glob("*.py")) if (read := _read(file))}
    if not found:
        raise CommandError(
            f"There are no benchmarks in {root}: they are not part of what is installed.",
            "Run this from a checkout of Tierline, in its own environment:  make setup && make bench",
        )
    return found


def _read(file: Path) -> Benchmark | None:
    """Read without running: a benchmark loads what it measures."""
    tree = ast.parse(file.read_text("utf-8"))
    first = (ast.get_docstring(tree) or "").partition("\n")[0]
    if not first.startswith(ASKS):
        return None
    quick: tuple[str, ...] = ()
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "QUICK":
            quick = tuple(ast.literal_eval(node.value))
    return Benchmark(first.removeprefix(ASKS), quick)


def _run(name: str, arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", f"{FOLDER}.{name}", *arguments]
    ended = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - our own module
    if ended.returncode:
        raise CommandError(
            f"The benchmark {name} ended with exit code {ended.returncode}.",
            f"Alone, with sizes of your own:  {sys.executable} -m {FOLDER}.{name} --help",
        )
