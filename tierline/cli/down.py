"""``tierline down``: stop the local stack."""

from __future__ import annotations

import typer

from tierline.cli.options import Data, data_folder


def down(data: Data = None) -> None:
    """Stop the local stack; its data stays.

    Returns when the last process is gone. Also ends what a killed `up` left behind.
    """
    from tierline.local.folder import DataFolder
    from tierline.local.supervisor import stop

    folder = DataFolder(data_folder(data))
    stopped = stop(folder)
    folder.forget_current()
    said = f"Stopped. The data stays in {folder.path}" if stopped else f"Nothing runs in {folder.path}"
    typer.echo(said)
