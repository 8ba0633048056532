"""Question: how many events a second does one projector take when it reads all of them again?

Run: ``.venv/bin/python -m benchmarks.projector [--rounds N] [--orders N] [--accounts N] [--json FILE]``.
Starts Kafka, PostgreSQL (fsync on) and the registry in a folder of its own, lets a decider fill the topic of
events (invoice accounts, orders of every channel), and then in every round empties all read models and lets
one projector in this process catch up from position 0. The clock runs from the turn with the first event to
the commit of the last. CPU is that of this process and, apart, of the server process that holds its session.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import psycopg

from benchmarks.by_hand import HandTurned, rare_collection
from benchmarks.decided_orders import DecidedOrders, published_events
from benchmarks.figures import Figures, print_spread, spread, write_json
from benchmarks.machine import own_stack, servers_of
from projections.models import READ_MODELS
from projections.runner import BATCH_RECORDS
from schemas.topics import EVENTS, PROJECTOR
from tierline import bootstrap
from tierline.kit.database import Connection
from tierline.kit.settings import Settings
from tierline.kit.telemetry import configure_logging

QUICK = ("--rounds", "2", "--orders", "1000", "--accounts", "300")
WORKER = "projector"
TITLES = {
    "events_per_s": ("events/s", ",.0f"),
    "cpu_us_per_event": ("µs CPU per event", ",.1f"),
    "server_cpu_us_per_event": ("µs CPU of PostgreSQL per event", ",.1f"),
    "events_per_turn": ("events a turn", ",.0f"),
}

_REACHED = "SELECT coalesce(sum(next_offset), 0)::bigint FROM oms.lease WHERE (consumer, topic) = (%s, %s)"
_FORGET = "DELETE FROM oms.lease WHERE (consumer, topic) = (%s, %s)"
_SESSION = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured; the orders are those of all rounds together, each reads all of their events."""

    rounds: int = 3
    orders: int = 15_000
    accounts: int = 5_000


@dataclass(frozen=True, slots=True)
class Round:
    """What one round gave: wall clock and CPU of the projector, and CPU of its session's server process."""

    events: int
    turns: int
    wall_s: float
    cpu_s: float
    server_cpu_s: float

    @property
    def figures(self) -> Figures:
        """The figures of a round by name."""
        return {
            "events_per_s": self.events / self.wall_s,
            "cpu_us_per_event": self.cpu_s / self.events * 1e6,
            "server_cpu_us_per_event": self.server_cpu_s / self.events * 1e6,
            "events_per_turn": self.events / self.turns,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All rounds, and on what they ran."""

    sizes: Sizes
    environment: dict[str, str]
    rounds: list[Round]


def measure(settings: Settings, sizes: Sizes) -> Report:
    """Measure on the servers that ``settings`` name; their database and topics hold nothing yet."""
    bootstrap.prepare(settings)
    with watching(settings) as connection, rare_collection():
        source = DecidedOrders(settings, connection, sizes.accounts)
        with source.decider() as decider:
            decider.open_accounts()
            decider.decide(sizes.orders)
        events = published_events(settings)
        rounds = [catch_up(settings, connection, events) for _ in range(sizes.rounds)]
        return Report(sizes, _environment(settings, connection), rounds)


def watching(settings: Settings) -> Connection:
    """A session for looking, and for emptying what a round has filled."""
    return psycopg.connect(settings.database_url.get_secret_value(), autocommit=True)


def catch_up(settings: Settings, connection: Connection, events: int) -> Round:
    """One round: empty the read models, let a projector read all ``events``."""
    for model in READ_MODELS:
        connection.execute(f"TRUNCATE {model.table.live}")
    connection.execute(_FORGET, (PROJECTOR, EVENTS.name))
    session = ServerProcess(connection, PROJECTOR)
    with HandTurned(WORKER, PROJECTOR, settings) as projector:
        spent = projector.until(lambda: position_reached(connection) >= events)
        return Round(events, spent.turns, spent.wall_s, spent.cpu_s, session.cpu_s())


def position_reached(connection: Connection) -> int:
    """How many events the projector has taken, of all partitions."""
    return _number(connection, _REACHED, (PROJECTOR, EVENTS.name))


class ServerProcess:
    """The process of PostgreSQL that serves one session on this machine."""

    def __init__(self, connection: Connection, application: str) -> None:
        self._connection = connection
        self._application = application

    def cpu_s(self) -> float:
        """Seconds of CPU that it used since the session began."""
        pid = _number(self._connection, _SESSION, (self._application,))
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system


def _number(connection: Connection, query: str, given: tuple[str, ...]) -> int:
    return int(connection.execute(query, given).fetchone()[0])  # type: ignore[index] # one row


def _environment(settings: Settings, connection: Connection) -> dict[str, str]:
    kafka = settings.kafka
    return {
        **servers_of(connection),
        "tuning": (
            f"{kafka.partitions} partitions, {BATCH_RECORDS:,} records a turn at most,"
            f" fetch wait {kafka.fetch_wait_ms} ms"
        ),
    }


def print_table(report: Report) -> None:
    """One row per figure: the median of the rounds, the lowest and the highest."""
    print_spread("one projector, all read models", [one.figures for one in report.rounds], TITLES)
    sizes, events = report.sizes, report.rounds[0].events
    print(
        f"\n{sizes.rounds} rounds of {events:,} events, those of {sizes.orders:,} orders"
        f" and {sizes.accounts:,} accounts"
    )
    print(*report.environment.values(), sep="\n")


def as_json(report: Report) -> dict[str, object]:
    """The report with every round, for programs."""
    return {
        "sizes": asdict(report.sizes),
        "environment": report.environment,
        "figures": spread([one.figures for one in report.rounds]),
        "rounds": [asdict(one) | dict(one.figures) for one in report.rounds],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on a stack of its own and print."""
    usual = Sizes()
    parser = argparse.ArgumentParser(description="Rate of one projector on real servers.")
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--orders", type=int, default=usual.orders, help="orders whose events are read")
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
