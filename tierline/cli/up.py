"""``tierline up``: start the local stack and the workers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.cli.options import Data, data_folder

if TYPE_CHECKING:
    from tierline.local.folder import DataFolder


def up(
    data: Data = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when all is ready; it runs on.")] = False,
    workers: Annotated[bool, typer.Option(help="Start the workers too, not only the servers.")] = True,
) -> None:
    """Start the local stack and the workers.

    Kafka, PostgreSQL and the schema registry are real servers that listen on this machine only.
    Ctrl-C stops everything; what they stored stays. A second `up` shows what runs.
    """
    from tierline.cli.status import print_overview
    from tierline.local.folder import DataFolder, FolderInUse
    from tierline.local.overview import read_overview
    from tierline.local.supervisor import start_detached

    folder = DataFolder(data_folder(data))
    try:
        if folder.is_owned():
            _say(f"A stack already runs in {folder.path}.")
        elif detach:
            chosen = ["--data", str(folder.path), *([] if workers else ["--no-workers"])]
            start_detached(folder, chosen, _say)
        else:
            _run(folder, workers=workers)
            return
    except FolderInUse as error:
        _say(error.message)
    folder.make_current()
    print_overview(read_overview(folder))


def _run(folder: DataFolder, *, workers: bool) -> None:
    from rich.console import Console

    from tierline.bootstrap import prepare
    from tierline.local.stack import LocalStack
    from tierline.local.supervisor import supervise
    from tierline.local.workers import WORKERS

    stack = LocalStack(folder.path, workers=WORKERS if workers else (), prepare=prepare, notice=_say)
    folder.make_current()
    progress = Console(stderr=True).status(f"starting in {folder.path}")

    def ready() -> None:
        progress.stop()
        _say(f"Ready. Data in {folder.path}   Ctrl-C stops everything.   Look: tierline status")

    if sys.stderr.isatty():
        progress.start()
    try:
        supervise(stack, ready)
    finally:
        progress.stop()
        folder.forget_current()
    _say("Stopped.")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a background start reads these lines as they come
