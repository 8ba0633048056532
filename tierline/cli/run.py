"""``tierline run``: one worker in the foreground; this is what production starts."""

from __future__ import annotations

from typing import Annotated

import typer

from tierline.cli.options import Data


def run(
    worker: Annotated[
        str, typer.Argument(help="normalizer, orders, payments, replies, projector or triage.")
    ],
    data: Data = None,
) -> None:
    """Run one worker until SIGTERM or Ctrl-C. Start the same one more than once to share the work."""
    from tierline import bootstrap
    from tierline.kit.settings import load_settings
    from tierline.local.workers import WORKERS

    if worker not in WORKERS:
        raise typer.BadParameter(
            f"{worker!r} is no worker; there are {', '.join(WORKERS)}", param_hint="WORKER"
        )
    bootstrap.run_worker(worker, load_settings(data))
