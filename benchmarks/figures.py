"""Figures of rounds: their median and spread, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Figures = Mapping[str, float]
Titles = Mapping[str, tuple[str, str]]
"""By the name of a figure: its title and how its number is written."""

_WIDTH = 34


def spread(rounds: Sequence[Figures]) -> dict[str, dict[str, float]]:
    """Median, lowest and highest of every figure; all rounds have the same ones."""
    columns = {name: [one[name] for one in rounds] for name in rounds[0]}
    return {
        name: {"median": statistics.median(found), "lowest": min(found), "highest": max(found)}
        for name, found in columns.items()
    }


def print_spread(what: str, rounds: Sequence[Figures], titles: Titles) -> None:
    """One row per figure."""
    print(f"{what:<{_WIDTH}}{'median':>10}{'lowest':>10}{'highest':>10}")
    for name, found in spread(rounds).items():
        title, form = titles[name]
        print(f"{title:<{_WIDTH}}" + "".join(f"{number:>10{form}}" for number in found.values()))


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """The same facts for programs."""
    file.write_text(json.dumps(content, indent=2) + "\n")
