"""Question: how many orders a second does one decider take?

Run: ``.venv/bin/python -m benchmarks.decider [--rounds N] [--orders N] [--accounts N] [--json FILE]``. Starts
Kafka, PostgreSQL (fsync on) and the registry in a folder of its own, opens the accounts, and then in every
round: puts the orders on the commands topic, lets one decider in this process work them off, and writes the
event rows of that round once more by a bare COPY into a table of the same shape. The clock runs from the
turn with the first order to the commit of the last; CPU is that of this process, servers left out.

The orders went through the normalizer: invoice accounts, upgrades and partner orders over two subscriptions,
with 3 % duplicates and 4 % that no rule lets pass.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from benchmarks.by_hand import rare_collection
from benchmarks.decided_orders import DecidedOrders
from benchmarks.figures import Figures, print_spread, spread, write_json
from benchmarks.machine import own_stack, servers_of
from tierline import bootstrap
from tierline.kit.database import Connection
from tierline.kit.settings import Settings
from tierline.kit.telemetry import configure_logging

QUICK = ("--rounds", "2", "--orders", "500", "--accounts", "300")
WORKER = "orders"
LEAST_ACCEPTED, LEAST_EVENTS = 0.9, 4.0

_SAME_SHAPE = """
CREATE SCHEMA bench;
CREATE TABLE bench.event (LIKE oms.event INCLUDING ALL);
"""
_NEW_ROWS = """
COPY (SELECT event.* FROM oms.event
        LEFT JOIN (SELECT partition, max(position) AS last FROM bench.event GROUP BY partition) AS copied
       USING (partition)
       WHERE position > coalesce(copied.last, -1) ORDER BY partition, position)
TO STDOUT (FORMAT BINARY)
"""
_COPY_IN = "COPY bench.event FROM STDIN (FORMAT BINARY)"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured; the orders are those of one round."""

    rounds: int = 3
    orders: int = 10_000
    accounts: int = 5_000


@dataclass(frozen=True, slots=True)
class Round:
    """What one round gave. Seconds of wall clock and CPU are those of the decider, ``copy_s`` of the COPY."""

    orders: int
    events: int
    accepted: int
    wall_s: float
    cpu_s: float
    copy_s: float

    @property
    def figures(self) -> Figures:
        """The figures of a round by name."""
        return {
            "orders_per_s": self.orders / self.wall_s,
            "events_per_s": self.events / self.wall_s,
            "cpu_us_per_order": self.cpu_s / self.orders * 1e6,
            "copy_events_per_s": self.events / self.copy_s,
            "copy_ratio": self.wall_s / self.copy_s,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All rounds, and on what they ran."""

    sizes: Sizes
    environment: dict[str, str]
    rounds: list[Round]

    @property
    def accepted(self) -> float:
        """The share of orders that became one."""
        return sum(one.accepted for one in self.rounds) / sum(one.orders for one in self.rounds)

    @property
    def events_per_order(self) -> float:
        """Events that were stored for one order."""
        return sum(one.events for one in self.rounds) / sum(one.orders for one in self.rounds)


def measure(settings: Settings, sizes: Sizes) -> Report:
    """Measure on the servers that ``settings`` name; their database and topics hold nothing yet.

    Raises AssertionError when too few orders are accepted for the figures to answer the question.
    """
    bootstrap.prepare(settings)
    with rare_collection():
        report = _measured(settings, sizes)
    assert report.accepted >= LEAST_ACCEPTED, f"only {report.accepted:.0%} were accepted"
    assert report.events_per_order >= LEAST_EVENTS, f"only {report.events_per_order:.1f} events an order"
    return report


def _measured(settings: Settings, sizes: Sizes) -> Report:
    url = settings.database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection:
        environment = _environment(settings, connection)
        rounds = []
        with DecidedOrders(settings, connection, sizes.accounts).decider() as decider:
            decider.open_accounts()
            connection.execute(_SAME_SHAPE)
            _copy_new_rows(connection)
            for _ in range(sizes.rounds):
                before = decider.outcomes()
                spent = decider.decide(sizes.orders)
                ended = decider.outcomes() - before
                events, copy_s = _copy_new_rows(connection)
                rounds.append(
                    Round(ended.total(), events, ended["completed"], spent.wall_s, spent.cpu_s, copy_s)
                )
    return Report(sizes, environment, rounds)


def _copy_new_rows(connection: Connection) -> tuple[int, float]:
    """Copy the event rows that are not in the other table yet; how many, and the seconds of writing them."""
    with connection.cursor() as cursor:
        with cursor.copy(_NEW_ROWS) as copy:
            rows = b"".join(copy)
        begun = time.perf_counter()
        with cursor.copy(_COPY_IN) as copy:
            copy.write(rows)
        return cursor.rowcount, time.perf_counter() - begun


def _environment(settings: Settings, connection: Connection) -> dict[str, str]:
    kafka = settings.kafka
    return {
        **servers_of(connection),
        "tuning": (
            f"{kafka.partitions} partitions, {settings.batch_records} records a turn,"
            f" linger {kafka.linger_ms} ms, fetch wait {kafka.fetch_wait_ms} ms"
        ),
    }


TITLES = {
    "orders_per_s": ("orders/s", ",.0f"),
    "events_per_s": ("events/s", ",.0f"),
    "cpu_us_per_order": ("µs CPU per order", ",.0f"),
    "copy_events_per_s": ("bare COPY, events/s", ",.0f"),
    "copy_ratio": ("COPY is quicker by", ",.1f"),
}


def print_table(report: Report) -> None:
    """One row per figure: the median of the rounds, the lowest and the highest."""
    print_spread("one decider", [one.figures for one in report.rounds], TITLES)
    sizes = report.sizes
    print(
        f"\n{sizes.rounds} rounds of {sizes.orders:,} orders, {sizes.accounts:,} accounts;"
        f" {report.accepted:.1%} accepted, {report.events_per_order:.1f} events an order"
    )
    print(*report.environment.values(), sep="\n")


def as_json(report: Report) -> dict[str, object]:
    """The report with every round, for programs."""
    return {
        "sizes": asdict(report.sizes),
        "environment": report.environment,
        "accepted": report.accepted,
        "events_per_order": report.events_per_order,
        "figures": spread([one.figures for one in report.rounds]),
        "rounds": [asdict(one) | dict(one.figures) for one in report.rounds],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on a stack of its own and print."""
    usual = Sizes()
    parser = argparse.ArgumentParser(description="Rate of one decider on real servers.")
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--orders", type=int, default=usual.orders, help="orders of one round")
    parser.add_argument("--accounts", type=int, default=usual.accounts)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(arguments)
    with own_stack() as settings:
        configure_logging(settings.model_copy(update={"log_level": "warning"}), WORKER)
        report = measure(settings, Sizes(options.rounds, options.orders, options.accounts))
    print_table(report)
    if options.json:
        write_json(options.json, as_json(report))


if __name__ == "__main__":
    main()
