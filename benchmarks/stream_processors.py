"""Question: how does the normalizer compare with other ways to do the same work in one process?

Run: ``.venv/bin/python -m benchmarks.stream_processors [--rounds N] [--seconds S] [--records N]``.
Starts Kafka, PostgreSQL (fsync on) and the registry in a folder of its own and fills the orders topic of the
portal. In every round each runner has a turn, one after the other: a new process reads the topic from its
beginning, is left to get warm, timed by what arrives in its commands topic, and stopped. Then every command
that it made is compared, byte for byte, with what its order has to become, made the slow way.

Everybody reads the same records, does the same work on them, stores positions as often, and has its clients
tuned alike; the tuning is printed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.figures import write_json
from benchmarks.machine import own_stack
from benchmarks.processors.kafka_streams import streams_runner
from benchmarks.processors.measure import Report, Sizes, measure
from benchmarks.processors.quix_environment import quix_runner
from benchmarks.processors.runners import INSTALLED, OURS, NotToBeHad, Runner

QUICK = ("--rounds", "1", "--records", "2000", "--warm", "0")


def runners_to_be_had(folder: Path) -> tuple[list[Runner], dict[str, str]]:
    """Everybody who can take part here, and why others cannot. ``folder``: for what has to be built."""
    runners, left_out = list(INSTALLED), {}
    for title, find in (("Quix Streams", quix_runner), ("Kafka Streams", partial(streams_runner, folder))):
        try:
            runners.append(find())
        except NotToBeHad as why:
            left_out[title] = str(why)
    return runners, left_out


def print_table(report: Report) -> None:
    """The table as Markdown; ratios are of the medians."""
    print(
        "| runner | records/s | lowest | highest | ours is quicker by | µs CPU per record | MB | position |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    ours = report.spread(OURS)["records_per_s"]["median"]
    for runner in report.runners:
        found = report.spread(runner)
        median, lowest, highest = found["records_per_s"].values()
        cpu, rss = found["cpu_us_per_record"]["median"], found["rss_mb"]["median"]
        print(
            f"| {runner.title} | {median:,.0f} | {lowest:,.0f} | {highest:,.0f} | {ours / median:.2f}x "
            f"| {cpu:,.1f} | {rss:,.0f} | {runner.position} |"
        )
    sizes = report.sizes
    looked_at, repeated = sum(p.looked_at for p in report.parts), sum(p.repeated for p in report.parts)
    print(
        f"\n{sizes.rounds} rounds, {sizes.seconds:g} s each after {sizes.warm_s:g} s to get warm, "
        f"{sizes.accounts:,} accounts; {looked_at:,} commands compared, {repeated:,} came again"
    )
    print(*report.environment.values(), sep="\n")
    print(*(f"{runner.title}: {runner.runs_on}" for runner in report.runners), sep="\n")
    print(
        "tuning:",
        ", ".join(f"{name} {value}" for name, value in msgspec.structs.asdict(report.tuning).items()),
    )
    print(*(f"left out: {title}: {why}" for title, why in report.left_out.items()), sep="\n")


def options_of(arguments: Sequence[str] | None) -> tuple[Sizes, argparse.Namespace]:
    """What is asked for: how much, and whatever else."""
    usual = Sizes()
    parser = argparse.ArgumentParser(description="The normalizer beside other stream processors.")
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="timed seconds of each turn")
    parser.add_argument("--records", type=int, default=usual.records, help="orders that wait")
    parser.add_argument("--warm", type=float, default=usual.warm_s, help="seconds before the clock runs")
    parser.add_argument(
        "--only", nargs="+", metavar="WORD", help="ours and those with such a word in their name"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(arguments)
    asked = {"rounds": options.rounds, "seconds": options.seconds, "records": options.records}
    return replace(usual, **asked, warm_s=options.warm), options


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on a stack of its own and print."""
    sizes, options = options_of(arguments)
    with tempfile.TemporaryDirectory(prefix="tierline-bench-java-") as folder, own_stack() as settings:
        runners, left_out = runners_to_be_had(Path(folder))
        if options.only:
            runners = [r for r in runners if r is OURS or any(word in r.title for word in options.only)]
        environment = {"TIERLINE_DATA": str(settings.data)}
        report = measure(settings, sizes, environment, runners, left_out)
    print_table(report)
    if options.json:
        write_json(options.json, msgspec.to_builtins(report.content()))


if __name__ == "__main__":
    main()
