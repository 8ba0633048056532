"""The command ``tierline``: one thin file per command, listed in ``commands.py``."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script. Exit code 0: done, 1: failed, 2: used wrongly."""
    from tierline.cli.commands import app
    from tierline.cli.errors import explain, show

    try:
        app(prog_name="tierline")
    except Exception as error:
        told = explain(error)
        if told is None:
            raise
        show(told)
        sys.exit(1)
