"""The garbage collector, set for workers that make many short-lived objects and hardly any cycles.

Left alone, CPython looks through every object of a turn several times: a quarter of the decider's time.
"""

from __future__ import annotations

import gc

_YOUNG = 50_000
_MIDDLE = 20
_OLD = 100


def collect_rarely() -> None:
    """Set what is loaded aside for good and let new objects pile up before they are searched for cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
