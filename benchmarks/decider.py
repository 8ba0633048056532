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
import gc
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.machine import own_stack, servers_of
from benchmarks.sample_commands import OrderIntents, invoice_samples, openings
from schemas.avsc import COMMANDS_SUBJECT
from schemas.topics import COMMANDS, ORDERS
from streams.normalizing.normalize import TYPE, Normalizer
from streams.normalizing.resolve import Resolved
from streams.reading.intent import Intent
from tierline import bootstrap
from tierline.domain.commands import Command
from tierline.kit.broker import send_all
from tierline.kit.confluent_broker import ConfluentLog
from tierline.kit.database import Connection
from tierline.kit.garbage import collect_rarely
from tierline.kit.health import Health
from tierline.kit.leased_worker import LeasedWorker
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.kit.telemetry import Metrics, configure_logging
from tierline.kit.version import APP_VERSION

QUICK = ("--rounds", "2", "--orders", "500", "--accounts", "300")
WORKER = "orders"
SEND_S = 60.0
STANDSTILL_S = 60.0
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
    def figures(self) -> dict[str, float]:
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
    def spread(self) -> dict[str, dict[str, float]]:
        """Median, lowest and highest round of every figure."""
        columns = {name: [one.figures[name] for one in self.rounds] for name in self.rounds[0].figures}
        return {
            name: {"median": statistics.median(found), "lowest": min(found), "highest": max(found)}
            for name, found in columns.items()
        }

    @property
    def accepted(self) -> float:
        """The share of orders that became one."""
        return sum(one.accepted for one in self.rounds) / sum(one.orders for one in self.rounds)

    @property
    def events_per_order(self) -> float:
        """Events that were stored for one order."""
        return sum(one.events for one in self.rounds) / sum(one.orders for one in self.rounds)


class Decider:
    """The worker that ``tierline run orders`` runs, turned by hand so that it can be timed."""

    def __init__(self, settings: Settings, connection: Connection, resources: ExitStack) -> None:
        self._metrics = Metrics()
        worker = bootstrap.BUILDERS[WORKER](settings, self._metrics, Health(), resources)
        assert isinstance(worker, LeasedWorker)
        self._worker = worker
        self._partitions = settings.kafka.partitions
        self._log = ConfluentLog(settings.kafka)
        self._watch = connection
        worker.join()
        resources.callback(worker.leave)

    def work_off(self) -> tuple[float, float, Counter[str]]:
        """Until the topic is read: seconds of wall clock, of CPU, and how many orders ended how."""
        end = sum(self._log.log_range(COMMANDS.name, p)[1] for p in range(self._partitions))
        before = done = self._outcomes()
        begun = ended = now = time.perf_counter(), time.process_time()
        while self._reached() < end:
            if now[0] - ended[0] > STANDSTILL_S:
                raise RuntimeError(f"the decider stands still at {self._reached()} of {end} records")
            working = True
            while working:
                now = time.perf_counter(), time.process_time()
                self._worker.turn()
                outcomes = self._outcomes()
                working = outcomes != done
                if working:
                    begun = begun if done != before else now
                    ended, done = (time.perf_counter(), time.process_time()), outcomes
        return ended[0] - begun[0], ended[1] - begun[1], done - before

    def _reached(self) -> int:
        rows = self._watch.execute(
            "SELECT coalesce(sum(next_offset), 0)::bigint FROM oms.lease WHERE consumer = %s", (ORDERS,)
        )
        return int(rows.fetchone()[0])  # type: ignore[index] # one row

    def _outcomes(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for family in self._metrics.records.collect():
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    found[sample.labels["outcome"]] += int(sample.value)
        return found


def measure(settings: Settings, sizes: Sizes) -> Report:
    """Measure on the servers that ``settings`` name; their database and topics hold nothing yet.

    Raises AssertionError when too few orders are accepted for the figures to answer the question.
    """
    settings = settings.model_copy(update={"log_level": "warning"})
    configure_logging(settings, WORKER)
    bootstrap.prepare(settings)
    with _rare_collection():
        report = _measured(settings, sizes)
    assert report.accepted >= LEAST_ACCEPTED, f"only {report.accepted:.0%} were accepted"
    assert report.events_per_order >= LEAST_EVENTS, f"only {report.events_per_order:.1f} events an order"
    return report


@contextmanager
def _rare_collection() -> Iterator[None]:
    """The garbage collector as a worker has it, and afterwards as it was, with nothing left behind."""
    before = gc.get_threshold()
    collect_rarely()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    gc.collect()


def _measured(settings: Settings, sizes: Sizes) -> Report:
    catalog = bootstrap.catalog(settings)
    now_ms = int(time.time() * 1000)
    samples = invoice_samples(sizes.accounts, catalog)
    intents = OrderIntents(samples, catalog, now_ms)
    with ExitStack() as resources:
        url = settings.database_url.get_secret_value()
        connection = resources.enter_context(psycopg.connect(url, autocommit=True))
        environment = _environment(settings, connection)
        importer = resources.enter_context(bootstrap.importer(settings))
        decider = Decider(settings, connection, resources)
        normalizer = _normalizer(settings, connection)
        partitions = settings.kafka.partitions
        opened = [_message(command, importer.encode, partitions) for command in openings(samples, now_ms)]
        send_all(importer.producer, opened, SEND_S)
        decider.work_off()
        connection.execute(_SAME_SHAPE)
        _copy_new_rows(connection)
        rounds = []
        for _ in range(sizes.rounds):
            orders = [_order_message(normalizer, *found) for found in intents.take(sizes.orders)]
            send_all(importer.producer, orders, SEND_S)
            wall_s, cpu_s, outcomes = decider.work_off()
            events, copy_s = _copy_new_rows(connection)
            rounds.append(Round(outcomes.total(), events, outcomes["completed"], wall_s, cpu_s, copy_s))
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


def _normalizer(settings: Settings, connection: Connection) -> Normalizer:
    found = connection.execute("SELECT max(id) FROM oms.schema WHERE subject = %s", (COMMANDS_SUBJECT,))
    return Normalizer(
        int(found.fetchone()[0]),  # type: ignore[index] # one row
        tenant_id=settings.tenant_id,
        livemode=settings.livemode,
        app_version=APP_VERSION,
        partitions=settings.kafka.partitions,
        decide_within_ms=settings.marketplace.decide_within_ms,
    )


def _message(command: Command, encode: Callable[[Command], bytes], partitions: int) -> Message:
    account = command.account_id
    headers = (("type", command.type.encode()),)
    place = partition_of(account, partitions)
    return Message(COMMANDS.name, account.encode(), encode(command), place, headers)


def _order_message(normalizer: Normalizer, intent: Intent, found: Resolved) -> Message:
    framed = normalizer.command(intent, found)
    return Message(COMMANDS.name, framed.key, framed.value, framed.partition, ((TYPE, framed.type),))


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
    print(f"{'one decider':<22}{'median':>10}{'lowest':>10}{'highest':>10}")
    for name, spread in report.spread.items():
        title, form = TITLES[name]
        print(f"{title:<22}" + "".join(f"{spread[column]:>10{form}}" for column in spread))
    sizes = report.sizes
    print(
        f"\n{sizes.rounds} rounds of {sizes.orders:,} orders, {sizes.accounts:,} accounts;"
        f" {report.accepted:.1%} accepted, {report.events_per_order:.1f} events an order"
    )
    print(*report.environment.values(), sep="\n")


def write_json(report: Report, file: Path) -> None:
    """The report with every round, for programs."""
    content: dict[str, Any] = {
        "sizes": asdict(report.sizes),
        "environment": report.environment,
        "accepted": report.accepted,
        "events_per_order": report.events_per_order,
        "figures": report.spread,
        "rounds": [asdict(one) | one.figures for one in report.rounds],
    }
    file.write_text(json.dumps(content, indent=2) + "\n")


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
        report = measure(settings, Sizes(options.rounds, options.orders, options.accounts))
    print_table(report)
    if options.json:
        write_json(report, options.json)


if __name__ == "__main__":
    main()
