"""Question: what do dead letters and held keys cost the normalizer that has to carry them?

Run: ``.venv/bin/python -m benchmarks.normalizer_rates [--rounds N] [--records N] [--held N] [--json FILE]``.
Starts Kafka, PostgreSQL (fsync on) and the registry in a folder of its own and one normalizer, a process as
``tierline run normalizer`` starts it. In every round, one after the other: orders of known accounts, the same
with one record in a hundred that cannot be read, and the same while many keys of unknown accounts are held.
The clock runs from the first record that is sent to the position behind the last one, stored in PostgreSQL;
CPU is that of the normalizer's process.

The held keys came at the beginning of their part and go at its end, when their accounts appear. Each way ends
with a count: so many commands, so many dead letters, so many held keys as there had to be.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from benchmarks.figures import spread, write_json
from benchmarks.machine import own_stack, servers_of
from benchmarks.normalizer_hot_path import portal_order
from schemas.topics import COMMANDS, NORMALIZER, orders_topic
from streams.deciding.external_refs import NewRef, write_refs
from tierline import bootstrap
from tierline.kit.broker import Producer, send_all
from tierline.kit.confluent_broker import ConfluentLog
from tierline.kit.database import Connection
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.local.workers import WorkerGroup

CLEAN, DEAD, HELD = "clean", "1 % dead letters", "keys held"
ORDERS = orders_topic("portal")
ONE_IN = 100
QUICK = ("--rounds", "1", "--records", "500", "--held", "50")
SEND_S = 60.0
LIMIT_S = 300.0
POLL_S = 0.005

_POSITIONS = """
SELECT coalesce(sum(next_offset), 0)::bigint FROM oms.lease WHERE consumer = %s AND topic = %s
"""
_HELD = "SELECT count(*) FROM deadletter.key_hold"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured; the records are those of one way in one round."""

    rounds: int = 3
    records: int = 20_000
    accounts: int = 5_000
    held: int = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    """One way in one round: seconds of wall clock, and of CPU in the normalizer's process."""

    way: str
    records: int
    wall_s: float
    cpu_s: float

    @property
    def figures(self) -> dict[str, float]:
        """The figures of a part by name."""
        return {
            "records_per_s": self.records / self.wall_s,
            "cpu_us_per_record": self.cpu_s / self.records * 1e6,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All parts, and on what they ran."""

    sizes: Sizes
    environment: dict[str, str]
    parts: list[Part]

    def spread(self, way: str) -> dict[str, dict[str, float]]:
        """Median, lowest and highest round of each figure of ``way``."""
        return spread([part.figures for part in self.parts if part.way == way])

    def content(self) -> dict[str, object]:
        """The report with every part, for programs."""
        return {
            "sizes": asdict(self.sizes),
            "environment": self.environment,
            "parts": [asdict(part) | part.figures for part in self.parts],
        }


def write_accounts(connection: Connection, accounts: Iterable[int]) -> None:
    """Let accounts appear, with a subscription each, as the decider writes them."""
    rows = [
        NewRef("*", "*", kind, f"{short}_{number}", f"acc_{number}", f"sub_{number}")
        for number in accounts
        for kind, short in (("subscription", "sub"), ("account", "acc"))
    ]
    with connection.transaction():
        write_refs(connection, rows)


def order_message(account: int, reference: str) -> Message:
    """An order of ``account`` through the portal, under a key of the account's own."""
    order = portal_order(account) | {"reference": reference}
    return Message(ORDERS.name, b"acc_%d" % account, json.dumps(order).encode())


class Intake:
    """The topics and tables around one running normalizer, process ``pid``."""

    def __init__(self, settings: Settings, connection: Connection, producer: Producer, pid: int) -> None:
        self._connection = connection
        self._producer = producer
        self._log = ConfluentLog(settings.kafka)
        self._partitions = range(settings.kafka.partitions)
        self._pid = pid
        self._numbers = iter(range(1 << 40))

    def know(self, accounts: Iterable[int]) -> None:
        """Let accounts appear."""
        write_accounts(self._connection, accounts)

    def messages(self, accounts: Iterable[int]) -> list[Message]:
        """A new order of each account, under a key of the account's own."""
        return [order_message(account, f"web-{next(self._numbers)}") for account in accounts]

    def timed(self, way: str, messages: Sequence[Message]) -> Part:
        """Send ``messages`` and wait until the normalizer has stored that it is through with them."""
        begun, cpu = time.perf_counter(), self._cpu_s()
        send_all(self._producer, messages, SEND_S)
        end = self._end(ORDERS.name)
        self._until(lambda: self._one(_POSITIONS, NORMALIZER, ORDERS.name) == end, f"position {end}")
        return Part(way, len(messages), time.perf_counter() - begun, self._cpu_s() - cpu)

    def hold(self, accounts: Sequence[int]) -> None:
        """Let one record of each unknown account be held."""
        send_all(self._producer, self.messages(accounts), SEND_S)
        self._until(lambda: self.held == len(accounts), f"{len(accounts)} held keys")

    def release(self, accounts: Iterable[int]) -> None:
        """Let the accounts of the held keys appear."""
        self.know(accounts)
        self._until(lambda: self.held == 0, "the held keys to go")

    @property
    def held(self) -> int:
        """How many keys are held."""
        return self._one(_HELD)

    @property
    def commands(self) -> int:
        """How many commands there are."""
        return self._end(COMMANDS.name)

    @property
    def dead(self) -> int:
        """How many dead letters the channel has."""
        assert ORDERS.dead_letter is not None
        return self._end(ORDERS.dead_letter.name)

    def _end(self, topic: str) -> int:
        return sum(self._log.log_range(topic, partition)[1] for partition in self._partitions)

    def _one(self, statement: str, *values: str) -> int:
        return int(self._connection.execute(statement, values).fetchone()[0])  # type: ignore[index] # one row

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _until(done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"waited {LIMIT_S:.0f} s for {what}")
            time.sleep(POLL_S)


def measure(settings: Settings, sizes: Sizes, environment: Mapping[str, str]) -> Report:
    """Measure on the servers that ``settings`` name; their database and topics hold nothing yet.

    ``environment`` gives a process these settings. Raises AssertionError when a way did other work.
    """
    bootstrap.prepare(settings)
    with ExitStack() as resources:
        logs = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="tierline-bench-logs-")))
        url = settings.database_url.get_secret_value()
        connection = resources.enter_context(psycopg.connect(url, autocommit=True))
        told = {**environment, "TIERLINE_LOG_LEVEL": "error"}
        workers = resources.enter_context(WorkerGroup(("normalizer",), logs, told))
        pid = workers["normalizer"].pid
        assert pid is not None
        producer = bootstrap.producer(settings, "bench")
        intake = Intake(settings, connection, producer, pid)
        known = range(sizes.accounts)
        intake.know(known)
        intake.timed(CLEAN, intake.messages(known))
        strangers = iter(range(sizes.accounts, 1 << 40))
        parts = [part for _ in range(sizes.rounds) for part in _round(intake, sizes, strangers)]
        tuning = f"{settings.kafka.partitions} partitions, {settings.batch_records} records a fetch"
        return Report(sizes, {**servers_of(connection), "tuning": tuning}, parts)


def _round(intake: Intake, sizes: Sizes, strangers: Iterator[int]) -> Iterator[Part]:
    accounts = [number % sizes.accounts for number in range(sizes.records)]
    yield _counted(intake, CLEAN, intake.messages(accounts), dead=0)
    spoilt = intake.messages(accounts)
    for number in range(0, len(spoilt), ONE_IN):
        spoilt[number] = Message(ORDERS.name, spoilt[number].key, b'{"reference": ')
    yield _counted(intake, DEAD, spoilt, dead=len(range(0, len(spoilt), ONE_IN)))
    unknown = [next(strangers) for _ in range(sizes.held)]
    intake.hold(unknown)
    yield _counted(intake, HELD, intake.messages(accounts), dead=0)
    assert sizes.held == intake.held, f"{intake.held} keys are held"
    intake.release(unknown)


def _counted(intake: Intake, way: str, messages: Sequence[Message], *, dead: int) -> Part:
    before = intake.commands, intake.dead
    part = intake.timed(way, messages)
    made = intake.commands - before[0], intake.dead - before[1]
    assert made == (len(messages) - dead, dead), f"{way}: commands and dead letters are {made}"
    return part


def print_table(report: Report) -> None:
    """One row per way; its ratio to the clean one is of the medians."""
    columns = "records/s", "lowest", "highest", "of clean", "µs CPU"
    print(f"{'one normalizer':<20}" + "".join(f"{column:>10}" for column in columns))
    clean = report.spread(CLEAN)["records_per_s"]["median"]
    for way in (CLEAN, DEAD, HELD):
        found = report.spread(way)
        median, lowest, highest = found["records_per_s"].values()
        name = f"{report.sizes.held:,} {HELD}" if way == HELD else way
        cpu = found["cpu_us_per_record"]["median"]
        print(
            f"{name:<20}{median:>10,.0f}{lowest:>10,.0f}{highest:>10,.0f}{median / clean:>10.0%}{cpu:>10.0f}"
        )
    sizes = report.sizes
    print(f"\n{sizes.rounds} rounds of {sizes.records:,} records each way, {sizes.accounts:,} known accounts")
    print(*report.environment.values(), sep="\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on a stack of its own and print."""
    usual = Sizes()
    parser = argparse.ArgumentParser(description="Rates of one normalizer on real servers.")
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--records", type=int, default=usual.records, help="records of one way in a round")
    parser.add_argument("--held", type=int, default=usual.held, help="keys that are held in the third way")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(arguments)
    sizes = Sizes(options.rounds, options.records, usual.accounts, options.held)
    with own_stack() as settings:
        report = measure(settings, sizes, {"TIERLINE_DATA": str(settings.data)})
    print_table(report)
    if options.json:
        write_json(options.json, report.content())


if __name__ == "__main__":
    main()
