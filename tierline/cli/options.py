"""Options that mean the same on every command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def _choose(data: Path | None) -> Path | None:
    """From here on every reader of the settings, child processes included, sees the chosen folder."""
    if data is not None:
        os.environ["TIERLINE_DATA"] = str(data.resolve())
    return data


Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        callback=_choose,
        help="Data folder of the stack.",
        show_default="TIERLINE_DATA, else the stack that `up` started, else .tierline/default",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the same facts as JSON.")]


def data_folder(data: Path | None) -> Path:
    """The data folder that a command works on when ``data`` is what ``--data`` gave."""
    from tierline.kit.settings import load_settings

    return load_settings(data).data
