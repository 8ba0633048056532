"""``tierline status``: what runs where, how far it is behind, and what is wrong."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.cli.options import Data, Json, data_folder

if TYPE_CHECKING:
    from tierline.local.folder import DataFolder
    from tierline.local.overview import Overview


def status(
    data: Data = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks of --watch.")] = 2,
    json: Json = False,
) -> None:
    """Show what runs where, how far it is behind, and what is wrong.

    Servers, workers with their readiness, the records that wait and for how long; for whatever is wrong the
    command to type next. Servers that the environment names are asked like those of a local stack.

    Exit code 1 when something is wrong.
    """
    from tierline.local.folder import DataFolder
    from tierline.local.overview import read_overview

    folder = DataFolder(data_folder(data))
    if watch:
        with contextlib.suppress(KeyboardInterrupt):
            _watch(folder, every, json=json)
        return
    found = read_overview(folder)
    print_overview(found, json=json)
    raise typer.Exit(0 if found.is_well else 1)


def print_overview(found: Overview, *, json: bool = False) -> None:
    """Print it for people, or for a program."""
    from tierline.cli.output import print_drawn, print_json
    from tierline.cli.status_view import view

    if json:
        print_json(found.to_json())
    else:
        print_drawn(view(found))


def _watch(folder: DataFolder, every: float, *, json: bool) -> None:
    """On a terminal one screen that is drawn again; elsewhere one whole answer after the other."""
    from rich.live import Live

    from tierline.cli.output import console
    from tierline.cli.status_view import view
    from tierline.local.overview import read_overview

    if sys.stdout.isatty() and not json:
        with Live(console=console(), screen=True, auto_refresh=False) as screen:
            while True:
                screen.update(view(read_overview(folder)), refresh=True)
                time.sleep(every)
    while True:
        print_overview(read_overview(folder), json=json)
        sys.stdout.write("\n")
        sys.stdout.flush()
        time.sleep(every)
