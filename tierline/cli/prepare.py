"""``tierline prepare``: make what the workers need on servers that exist."""

from __future__ import annotations

from tierline.cli.options import Data


def prepare(data: Data = None) -> None:
    """Make or bring up to date tables, topics and schemas; safe to run again.

    `tierline up` does this by itself. On servers of your own, run it once before a new version starts:
    a worker refuses to start where something is missing.
    """
    from tierline import bootstrap
    from tierline.cli.output import console
    from tierline.kit.settings import load_settings

    bootstrap.prepare(load_settings(data))
    console().print("Tables, topics and schemas are there and fit this version.   Next: tierline run WORKER")
