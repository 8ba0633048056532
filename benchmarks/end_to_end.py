"""Question: how long does an order take from its publication until its tier can be read, at which load?

Run: ``.venv/bin/python -m benchmarks.end_to_end [--rates 50,200,500,1000] [--seconds N] [--no-search]
[--soak-seconds N --soak-rate R] [--json FILE]``. Starts the whole local stack, workers included, in a folder
of its own and sends orders of all channels on a schedule that does not wait: an order that is late because
something was slow counts from the instant at which it was due. Two of five accounts pay through the sandbox
gateway, which takes its 20 ms. Then the highest rate is looked for at which 99 of 100 tiers are visible
within 2 s: between the highest that held and the lowest that did not, until they are a seventh apart.

The load generator runs on the same machine. CPU and memory are those of the time of publishing. A soak is one
long run at one rate; its line of memory after the first half says what a million orders would add.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import write_json
from benchmarks.machine import servers_of
from benchmarks.process_use import OTHERS, Use, Watch
from tierline import bootstrap
from tierline.kit.database import connect
from tierline.kit.settings import Settings
from tierline.local.stack import LocalStack
from tierline.local.workers import WORKERS
from tierline.verify.waiting import ProgressReader
from tierline.workload.load import LoadPlan, LoadReport, run_load
from tierline.workload.orders import CHANNELS
from tierline.workload.running import RunFailed, settle, target_of

QUICK = ("--rates", "50,100", "--seconds", "5", "--no-search")
LIMIT_MS = 2_000
NEAR_ENOUGH = 1.15
SEED = 7
GENERATOR = "load generator"
CATCH_UP_S = 900.0
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rates in order intents a second, each for ``seconds``; a soak of 0 seconds is left out."""

    rates: tuple[float, ...] = (50, 200, 500, 1_000)
    seconds: float = 60
    search: bool = True
    settle_s: float = 180
    warm_up_s: float = 10
    soak_seconds: float = 0
    soak_rate: float = 200


@dataclass(frozen=True, slots=True)
class Step:
    """One run at one rate. ``report`` is None when its last outcome did not come in time.

    ``left``: how many records each consumer still had before it when the last order had been sent.
    """

    rate: float
    seconds: float
    report: LoadReport | None
    uses: Mapping[str, Use]
    left: Mapping[str, int]

    @property
    def p99_ms(self) -> float | None:
        """Of the time from when an order was due until its tier was committed."""
        return self.report.from_schedule["p99"] if self.report else None

    @property
    def held(self) -> bool:
        """Whether the rate was sustained."""
        return self.p99_ms is not None and self.p99_ms <= LIMIT_MS


@dataclass(frozen=True, slots=True)
class Report:
    """All steps in their order, the soak apart, and on what they ran."""

    sizes: Sizes
    environment: dict[str, str]
    steps: list[Step]
    soak: Step | None

    @property
    def highest_held(self) -> float | None:
        """The highest rate that was sustained."""
        return max((step.rate for step in self.steps if step.held), default=None)


def measure(settings: Settings, pids: Mapping[str, int], sizes: Sizes) -> Report:
    """Measure the running pipeline that ``settings`` name; ``pids`` are its processes by name."""
    runner = _Runner(settings, {**pids, GENERATOR: os.getpid()}, sizes.settle_s)
    if sizes.warm_up_s:
        runner.run(min(sizes.rates), sizes.warm_up_s)
    steps = [runner.run(rate, sizes.seconds) for rate in sizes.rates]
    while sizes.search and (rate := next_rate(steps)) is not None:
        steps.append(runner.run(rate, sizes.seconds))
    soak = runner.run(sizes.soak_rate, sizes.soak_seconds) if sizes.soak_seconds else None
    with connect(settings.database_url, "bench") as connection:
        environment = servers_of(connection)
    return Report(sizes, environment, steps, soak)


def next_rate(steps: Iterable[Step]) -> float | None:
    """Where to look next for the highest rate that holds; None when it is known nearly enough."""
    held = {step.rate: step.held for step in steps}
    good = max((rate for rate, ok in held.items() if ok), default=0.0)
    bad = min((rate for rate, ok in held.items() if not ok and rate > good), default=None)
    if bad is None:
        return good * 2
    if good == 0.0:
        return round(bad / 2) if bad >= 2 else None
    middle = float(round((good * bad) ** 0.5))
    return None if bad / good <= NEAR_ENOUGH or middle in held else middle


class _Runner:
    """Runs one load after the other, each with subscriptions of its own."""

    def __init__(self, settings: Settings, pids: Mapping[str, int], settle_s: float) -> None:
        self._settings = settings
        self._pids = pids
        self._settle_s = settle_s
        self._runs = 0

    def run(self, rate: float, seconds: float) -> Step:
        self._runs += 1
        plan = LoadPlan(rate, seconds, CHANNELS, SEED, f"bench{self._runs}", self._settle_s)
        left: dict[str, int] | None = None
        with Watch(self._pids) as watch:

            def progress(title: str, _done: int, _total: int) -> None:
                if title == "orders published":
                    watch.begin()

            def waiting(_records: int) -> None:
                nonlocal left
                watch.end()
                left = self._left() if left is None else left

            try:
                report = run_load(self._settings, plan, progress, waiting)
            except RunFailed:
                settle(self._settings, CATCH_UP_S, waiting)
                report = None
        step = Step(rate, seconds, report, watch.uses, left or {})
        print(_line(step), flush=True)
        return step

    def _left(self) -> dict[str, int]:
        """Records before each consumer, upstream first."""
        target = target_of(self._settings)
        found: Counter[str] = Counter()
        with connect(self._settings.database_url, "bench") as connection:
            reader = ProgressReader(target.bootstrap_servers, target.topic_prefix, connection)
            with closing(reader):
                for part in reader.remaining():
                    found[part.consumer] += part.records
        return dict(found)


_COLUMNS = {"orders/s": 9, "for": 7, "tiers/s": 10, "p50 ms": 9, "p95 ms": 9, "p99 ms": 9}
_CORES = {"cores busy": 12, "by others": 11}
HEADING = "".join(f"{title:>{width}}" for title, width in (_COLUMNS | _CORES).items())


def _line(step: Step) -> str:
    cores = f"{sum(use.cores for name, use in step.uses.items() if name != OTHERS):.2f}"
    others = f"{step.uses[OTHERS].cores if OTHERS in step.uses else 0.0:.2f}"
    shown = f"{step.rate:>9,.0f}{step.seconds:>5,.0f} s"
    if step.report is None:
        return f"{shown}{'':>37}{cores:>12}{others:>11}  not settled in time"
    latencies = (step.report.from_schedule[name] for name in ("p50", "p95", "p99"))
    written = "".join(f"{'-' if value is None else format(value, ',.0f'):>9}" for value in latencies)
    held = "held" if step.held else f"p99 over {LIMIT_MS / 1000:.0f} s"
    if not step.held and step.left:
        most = max(step.left, key=step.left.__getitem__)
        held += f"; {step.left[most]:,} records before {most}"
    return f"{shown}{step.report.reached_per_second:>10,.1f}{written}{cores:>12}{others:>11}  {held}"


def print_table(report: Report) -> None:
    """One row per rate, then what each process used at the highest rate that held, then the soak."""
    print(f"\n{HEADING}")
    for step in sorted(report.steps, key=lambda step: step.rate):
        print(_line(step))
    highest = report.highest_held
    print("\nno rate held" if highest is None else f"\nhighest rate that held: {highest:,.0f} orders/s")
    for step in report.steps:
        if step.rate == highest:
            _print_uses(step)
    if report.soak:
        print(f"\nsoak\n{HEADING}\n{_line(report.soak)}")
        _print_uses(report.soak, growth=True)
    print(*report.environment.values(), sep="\n")


def _print_uses(step: Step, *, growth: bool = False) -> None:
    """``growth``: also what a million orders would add, which only a long run can tell."""
    shown = f"at {step.rate:,.0f} orders/s"
    print(f"\n{shown:<22}{'cores':>8}{'peak MB':>10}" + (f"{'MB a million':>15}" if growth else ""))
    for name, use in step.uses.items():
        slope = growth_per_million(use, step.rate)
        added = "" if not growth else f"{'-' if slope is None else format(slope / _MB, '+,.1f'):>15}"
        print(f"{name:<22}{use.cores:>8.2f}{use.peak / _MB:>10,.0f}{added}")


def growth_per_million(use: Use, rate: float) -> float | None:
    """Bytes that a million orders would add, by the line through the second half of the run."""
    slope = use.growth_per_s()
    return None if slope is None else slope / rate * 1e6


def as_json(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "sizes": asdict(report.sizes),
        "environment": report.environment,
        "highest_held": report.highest_held,
        "steps": [_step_json(step) for step in report.steps],
        "soak": _step_json(report.soak) if report.soak else None,
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "rate": step.rate,
        "seconds": step.seconds,
        "held": step.held,
        "load": step.report.as_json() if step.report else None,
        "left": dict(step.left),
        "processes": {
            name: {
                "cores": round(use.cores, 3),
                "peak_bytes": use.peak,
                "bytes_per_million": growth_per_million(use, step.rate),
            }
            for name, use in step.uses.items()
        },
    }


def stack_pids(stack: LocalStack) -> dict[str, int]:
    """The workers and servers of ``stack``, by name."""
    parts = [*(stack.worker(name) for name in WORKERS), *stack.servers]
    return {part.name: part.pid for part in parts if part.pid is not None}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on a stack of its own and print."""
    usual = Sizes()
    parser = argparse.ArgumentParser(description="Time from publishing an order to its tier, by load.")
    rates = ",".join(f"{rate:g}" for rate in usual.rates)
    parser.add_argument("--rates", default=rates, help=f"orders a second, separated by commas ({rates})")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="for how long each rate")
    parser.add_argument("--no-search", action="store_true", help="without the highest rate that holds")
    parser.add_argument(
        "--soak-seconds", type=float, default=usual.soak_seconds, help="a long run at the end"
    )
    parser.add_argument("--soak-rate", type=float, default=usual.soak_rate)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(arguments)
    sizes = Sizes(
        rates=tuple(float(rate) for rate in options.rates.split(",")),
        seconds=options.seconds,
        search=not options.no_search,
        soak_seconds=options.soak_seconds,
        soak_rate=options.soak_rate,
    )
    with (
        tempfile.TemporaryDirectory(prefix="tierline-bench-") as folder,
        LocalStack(Path(folder), workers=WORKERS, prepare=bootstrap.prepare, usual_ports=False) as stack,
    ):
        report = measure(stack.settings, stack_pids(stack), sizes)
    print_table(report)
    if options.json:
        write_json(options.json, as_json(report))


if __name__ == "__main__":
    main()
