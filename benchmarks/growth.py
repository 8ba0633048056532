"""Question: what becomes of rates and latency when there are many accounts and many events?

Run: ``.venv/bin/python -m benchmarks.growth [--accounts 10000,100000] [--events 250000,1000000] [--orders N]
[--rate R] [--seconds N] [--json FILE]``. For each number of accounts it starts Kafka, PostgreSQL (fsync on)
and the registry in a folder of its own, opens the accounts through the decider and lets it decide orders for
them until so many events are stored; nothing is written past the workers. At each number of events it
measures how fast one decider works off ``--orders`` more, how fast one projector takes their events, and,
with all workers running, how long orders of every channel take until their tier can be read, at ``--rate`` a
second.

A million accounts and ten million events are the long form: many hours on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.by_hand import HandTurned, Spent, rare_collection
from benchmarks.decided_orders import DecidedOrders, published_events
from benchmarks.figures import write_json
from benchmarks.machine import own_stack, servers_of
from benchmarks.projector import position_reached, watching
from schemas.topics import PROJECTOR
from tierline import bootstrap
from tierline.kit.database import Connection
from tierline.kit.settings import Settings
from tierline.kit.telemetry import configure_logging
from tierline.local.workers import WORKERS, WorkerGroup
from tierline.workload.percentiles import summary_ms
from tierline.workload.running import publish, settle
from tierline.workload.visibility import visible_tiers

QUICK = ("--accounts", "300", "--events", "3000,6000", "--orders", "300", "--rate", "50", "--seconds", "5")
SETTLE_S = 300.0
WARM_UP_INTENTS = 20
EVENTS_PER_ORDER = 6
AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """``events`` are those that are stored before a place of the curve is measured, lowest first."""

    accounts: tuple[int, ...] = (10_000, 100_000)
    events: tuple[int, ...] = (250_000, 1_000_000)
    orders: int = 4_000
    rate: float = 100
    seconds: float = 20


@dataclass(frozen=True, slots=True)
class Place:
    """One place of the curve: what was there, and what was measured there. Latencies in ms."""

    accounts: int
    events: int
    database_bytes: int
    orders_per_s: float
    cpu_us_per_order: float
    events_per_s: float
    cpu_us_per_event: float
    latency_ms: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Report:
    """All places, and on what they were measured."""

    sizes: Sizes
    environment: dict[str, str]
    places: list[Place]


def measure(
    settings: Settings, accounts: int, sizes: Sizes, environment: Mapping[str, str], logs: Path
) -> tuple[dict[str, str], list[Place]]:
    """The places of one number of accounts, and the servers; database and topics hold nothing yet.

    ``environment`` gives a worker these ``settings``; it logs into the folder ``logs``.
    """
    bootstrap.prepare(settings)
    with watching(settings) as connection, rare_collection():
        source = _source(settings, connection, accounts, sizes)
        with source.decider() as decider:
            decider.open_accounts()
        _catch_up(settings, connection)
        places = []
        for events in sizes.events:
            _grow(settings, source, events)
            _catch_up(settings, connection)
            places.append(_place(settings, connection, source, accounts, sizes, environment, logs))
            print(_row(places[-1]), flush=True)
        return servers_of(connection), places


def _source(settings: Settings, connection: Connection, accounts: int, sizes: Sizes) -> DecidedOrders:
    """Orders received a millisecond apart: begun early enough that the last is not of tomorrow."""
    ahead_ms = max(sizes.events) // EVENTS_PER_ORDER + sizes.orders * len(sizes.events)
    return DecidedOrders(settings, connection, accounts, int(time.time() * 1000) - ahead_ms)


def _grow(settings: Settings, source: DecidedOrders, events: int) -> None:
    with source.decider() as decider:
        while (missing := events - published_events(settings)) > 0:
            decider.decide(min(AT_ONCE, missing // EVENTS_PER_ORDER + 1))


def _catch_up(settings: Settings, connection: Connection) -> Spent:
    events = published_events(settings)
    with HandTurned("projector", PROJECTOR, settings) as projector:
        return projector.until(lambda: position_reached(connection) >= events)


def _place(
    settings: Settings,
    connection: Connection,
    source: DecidedOrders,
    accounts: int,
    sizes: Sizes,
    environment: Mapping[str, str],
    logs: Path,
) -> Place:
    stored = published_events(settings)
    size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    with source.decider() as decider:
        deciding = decider.decide(sizes.orders)
    more = published_events(settings) - stored
    projecting = _catch_up(settings, connection)
    with WorkerGroup(WORKERS, logs, environment):
        latency = _latency(settings, connection, source, sizes)
    return Place(
        accounts=accounts,
        events=stored,
        database_bytes=size[0] if size else 0,
        orders_per_s=sizes.orders / deciding.wall_s,
        cpu_us_per_order=deciding.cpu_s / sizes.orders * 1e6,
        events_per_s=more / projecting.wall_s,
        cpu_us_per_event=projecting.cpu_s / more * 1e6,
        latency_ms=latency,
    )


def _latency(
    settings: Settings, connection: Connection, source: DecidedOrders, sizes: Sizes
) -> Mapping[str, float | None]:
    """From when an order was due until its tier was committed, once the workers have taken their places."""
    for intents in (WARM_UP_INTENTS, round(sizes.rate * sizes.seconds)):
        sent = publish(settings, source.intents.records(intents), intents, sizes.rate, lambda *_: None)
        settle(settings, SETTLE_S, lambda _: None)
    due = {
        (one.delivery.topic, one.delivery.partition, one.delivery.offset): one.due_ms
        for one in sent
        if one.delivery is not None
    }
    tiers = visible_tiers(connection)
    own = [(tier, due.get((tier.topic, tier.partition, tier.offset))) for tier in tiers]
    return summary_ms([tier.visible_ms - at for tier, at in own if at is not None])


HEADS = ("accounts", "events", "GB", "orders/s", "µs/order", "events/s", "µs/event", "p50 ms", "p99 ms")


def _row(one: Place) -> str:
    latencies = (one.latency_ms["p50"], one.latency_ms["p99"])
    cells = (
        *(format(number, ",") for number in (one.accounts, one.events)),
        format(one.database_bytes / 1e9, ".2f"),
        *(format(number, ",.0f") for number in (one.orders_per_s, one.cpu_us_per_order)),
        *(format(number, ",.0f") for number in (one.events_per_s, one.cpu_us_per_event)),
        *("-" if number is None else format(number, ",.0f") for number in latencies),
    )
    return "".join(f"{cell:>11}" for cell in cells)


def print_table(report: Report) -> None:
    """One row per place."""
    print("\n" + "".join(f"{head:>11}" for head in HEADS))
    for one in report.places:
        print(_row(one))
    sizes = report.sizes
    print(f"\n{sizes.orders:,} orders a place; latency at {sizes.rate:g} orders/s for {sizes.seconds:g} s")
    print(*report.environment.values(), sep="\n")


def as_json(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "sizes": asdict(report.sizes),
        "environment": report.environment,
        "places": [asdict(one) for one in report.places],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each number of accounts on a stack of its own and print."""
    usual = Sizes()
    parser = argparse.ArgumentParser(description="Rates and latency as accounts and events grow.")
    parser.add_argument("--accounts", type=_numbers, default=usual.accounts, metavar="N,N")
    parser.add_argument("--events", type=_numbers, default=usual.events, metavar="N,N", help="lowest first")
    parser.add_argument("--orders", type=int, default=usual.orders, help="orders that are measured")
    parser.add_argument("--rate", type=float, default=usual.rate, help="orders a second for the latency")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="for how long")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(arguments)
    sizes = Sizes(options.accounts, options.events, options.orders, options.rate, options.seconds)
    places: list[Place] = []
    environment: dict[str, str] = {}
    for accounts in sizes.accounts:
        with own_stack() as settings, tempfile.TemporaryDirectory(prefix="tierline-bench-logs-") as logs:
            configure_logging(settings.model_copy(update={"log_level": "warning"}), "bench")
            chosen = {"TIERLINE_DATA": str(settings.data)}
            environment, found = measure(settings, accounts, sizes, chosen, Path(logs))
            places += found
    report = Report(sizes, environment, places)
    print_table(report)
    if options.json:
        write_json(options.json, as_json(report))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    main()
