"""Ends what a dead supervisor left running in a data folder."""

from __future__ import annotations

import signal

from tierline.local.folder import DataFolder

ORPHAN_STOP_TIMEOUT_S = 20.0
GENTLE = {"postgres": signal.SIGINT}


def end_orphans(folder: DataFolder) -> list[str]:
    """Stop the processes recorded in the folder that still are what was recorded; return their names.

    The caller must own the folder. A process is only signalled when pid, start time and command line agree.
    """
    state = folder.read_state()
    if state is None:
        return []
    return [
        name
        for name, process in state.children()
        if process.end(GENTLE.get(name, signal.SIGTERM), ORPHAN_STOP_TIMEOUT_S)
    ]
