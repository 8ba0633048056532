"""Question: how long does a command that needs no server take, from its start to its answer?

Run: ``.venv/bin/python -m benchmarks.offline_start [--rounds N] [--json FILE]``. Prints the median over
interleaved rounds in milliseconds, on the clock and of CPU. ``--json`` also writes the figures to FILE.

*as it is*: the command as anybody types it. *all loaded*: all other commands and the settings are loaded
before it, as they would be if they were imported where they are listed. Before anything is timed, both
must give the same answer.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import interpreter
from tierline.kit.data_folder import ROOT

AS_IT_IS, ALL_LOADED = "as it is", "all loaded"
WAYS: Mapping[str, str] = {
    AS_IT_IS: "from tierline.cli import main; main()",
    ALL_LOADED: (
        "import tierline.kit.settings; from tierline.cli.commands import LoadedWhenAsked; "
        "dict(LoadedWhenAsked()); from tierline.cli import main; main()"
    ),
}
COMMANDS: Mapping[str, Sequence[str]] = {
    "calendar": (
        *("calendar", "--anchor", "31", "--start", "2024-01-31", "--interval", "1month"),
        *("--count", "6", "--json"),
    ),
    "quote": ("quote", "--scenario", "-", "--json"),
    "quote, table": ("quote", "--scenario", "-", "--table"),
    "catalog check": ("catalog", "check"),
    "catalog show": ("catalog", "show", "--json"),
    "catalog diff": ("catalog", "diff", "catalog/catalog.yaml"),
    "validate": ("validate", "--channel", "portal", "schemas/examples/portal/plan-by-alias.json"),
}
QUICK = ("--rounds", "1")
SCENARIO = {
    "account": {"time_zone": "UTC", "currency": "USD"},
    "subscription": {
        "billing_day": 1,
        "period": {"start": "2024-05-01", "end": "2024-06-01"},
        "items": [{"id": "base", "plan": "team", "unit_minor": 3750, "quantity": 1, "interval": "1month"}],
    },
    "change": {
        "at": "2024-05-12",
        "items": [{"id": "base", "plan": "b", "unit_minor": 90_000, "quantity": 1, "interval": "1year"}],
    },
    "cycle": "keep_billing_day",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """One start: milliseconds on the clock and of CPU, and what was answered."""

    clock_ms: float
    cpu_ms: float
    answer: str


def start(way: str, command: str) -> Cost:
    """Run ``command`` in a process of its own."""
    before, began = _cpu_seconds(), time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", WAYS[way], *COMMANDS[command]],
        input=json.dumps(SCENARIO),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return Cost((time.perf_counter() - began) * 1000, (_cpu_seconds() - before) * 1000, done.stdout)


def measure(rounds: int) -> dict[str, dict[str, Cost]]:
    """The median cost of each command in each way."""
    for command in COMMANDS:
        assert len({start(way, command).answer for way in WAYS}) == 1, command
    costs = defaultdict(list)
    for _ in range(rounds):
        for command in COMMANDS:
            for way in WAYS:
                costs[command, way].append(start(way, command))
    return {command: {way: _median(costs[command, way]) for way in WAYS} for command in COMMANDS}


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.clock_ms for cost in costs),
        statistics.median(cost.cpu_ms for cost in costs),
        costs[0].answer,
    )


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", metavar="FILE", type=Path)
    sizes = parser.parse_args(arguments)
    found = measure(sizes.rounds)
    print(f"{interpreter()}; median of {sizes.rounds} interleaved rounds, ms on the clock (ms of CPU)\n")
    print(f"{'':<14}" + "".join(f"{way:>18}" for way in WAYS))
    for command, costs in found.items():
        cells = (f"{cost.clock_ms:,.0f} ({cost.cpu_ms:,.0f})" for cost in costs.values())
        print(f"{command:<14}" + "".join(f"{cell:>18}" for cell in cells))
    if sizes.json:
        rows = [
            {"command": command, "way": way, "clock_ms": cost.clock_ms, "cpu_ms": cost.cpu_ms}
            for command, costs in found.items()
            for way, cost in costs.items()
        ]
        sizes.json.write_text(json.dumps({"machine": interpreter(), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
