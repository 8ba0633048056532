"""The one error of the decider: something that cannot be, is."""

from __future__ import annotations


class BrokenInvariant(RuntimeError):
    """State, command and context contradict each other: a bug, never bad input.

    Nothing was decided. Operator: the partition stands still; report the message and the command's origin.
    """
