"""Percentiles of a sample by nearest rank: every figure is one that was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(sorted_values: Sequence[float], share: float) -> float | None:
    """The value that ``share`` (0 to 1) of the values do not exceed; None of an empty sample."""
    if not sorted_values:
        return None
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


def summary_ms(values: Sequence[float]) -> dict[str, float | None]:
    """p50, p95 and p99 of ``values`` in milliseconds, to a tenth."""
    ordered = sorted(values)
    found = {name: percentile(ordered, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
    return {name: None if value is None else round(value, 1) for name, value in found.items()}
