"""Named places where a worker can be made to die, so that a test can kill it between any two steps.

``TIERLINE_CRASH_POINT=<name>`` kills at the first pass, ``<name>:<n>`` at the n-th; ``stop@<name>`` freezes
the process there until somebody sends it SIGCONT. Every name is listed here and nowhere else.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

CRASH_POINTS = frozenset(
    {
        "worker.after_acquire",
        "worker.after_process",
        "worker.before_commit",
        "worker.after_commit",
        "worker.after_committed",
        "orders.after_claims",
        "orders.after_events",
        "orders.after_snapshots",
        "orders.after_dead_letters",
        "orders.mid_publish",
        "payments.after_attempt",
        "payments.after_gateway",
        "payments.after_results",
        "replies.after_send",
        "projector.after_fold",
        "projector.after_write",
        "triage.after_write",
        "normalizer.after_read",
        "normalizer.after_produce",
        "normalizer.after_verdict",
        "normalizer.after_dead_letter",
        "normalizer.after_acknowledgement",
        "normalizer.after_progress",
        "normalizer.before_progress_commit",
        "normalizer.before_hold_commit",
        "normalizer.after_hold_commit",
        "normalizer.after_held_reply",
        "normalizer.after_hold_load",
        "normalizer.after_release_begun",
        "normalizer.after_release_sent",
        "normalizer.after_release_settled",
        "normalizer.after_removal",
    }
)


FREEZE = "stop@"


class UnknownCrashPoint(ValueError):
    """The setting names no crash point. The known names are in ``tierline/kit/crash_points.py``."""


Watcher = Callable[[str], None]


class _Armed:
    name: str = ""
    passes_left: int = 0
    by: signal.Signals = signal.SIGKILL
    watcher: Watcher | None = None


def arm(setting: str) -> None:
    """Choose where this process dies: ``name``, ``name:n`` for the n-th pass, '' for nowhere.

    With ``stop@`` before the name it freezes there instead.
    """
    freezes = setting.startswith(FREEZE)
    name, _, passes = setting.removeprefix(FREEZE).partition(":")
    if name and name not in CRASH_POINTS:
        raise UnknownCrashPoint(f"no crash point {name!r}; known: {', '.join(sorted(CRASH_POINTS))}")
    _Armed.name = name
    _Armed.passes_left = int(passes or 1)
    _Armed.by = signal.SIGSTOP if freezes else signal.SIGKILL


def watch(watcher: Watcher | None) -> None:
    """Tell ``watcher`` of every place that is passed, until None takes its place: for simulations."""
    _Armed.watcher = watcher


def reached(name: str) -> None:
    """Die here, as kill -9 would, or freeze, when this is the armed place."""
    if _Armed.watcher is not None:
        _Armed.watcher(name)
    if name != _Armed.name:
        return
    _Armed.passes_left -= 1
    if _Armed.passes_left == 0:
        os.kill(os.getpid(), _Armed.by)
