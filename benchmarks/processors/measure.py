"""Rounds of turns on servers that hold nothing else, and their report."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from benchmarks.figures import spread
from benchmarks.machine import servers_of
from benchmarks.normalizer_rates import SEND_S, order_message, write_accounts
from benchmarks.processors.assignment import Tuning
from benchmarks.processors.outputs import expected_of
from benchmarks.processors.runners import Place, Runner
from benchmarks.processors.turn import Part, Turns
from benchmarks.processors.work import SOURCE, schema_id
from streams.normalizing.positions import SAVE_EVERY_S
from streams.record_reader import FETCH_BYTES, PARTITION_FETCH_BYTES, POLL_RECORDS
from tierline import bootstrap
from tierline.kit.broker import send_all
from tierline.kit.confluent_broker import ConfluentLog, producer_config
from tierline.kit.records import Message, Record
from tierline.kit.settings import KafkaSettings, Settings

_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: ``records`` orders wait, and each turn is timed for ``seconds`` of them.

    ``warm_s``: seconds from the first command of a turn to the clock; 0 times the start as well.
    """

    rounds: int = 3
    records: int = 600_000
    accounts: int = 5_000
    seconds: float = 8.0
    warm_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Report:
    """All parts, and on what they ran. ``left_out``: runners that could not take part, and why."""

    sizes: Sizes
    tuning: Tuning
    environment: dict[str, str]
    runners: Sequence[Runner]
    left_out: Mapping[str, str]
    parts: list[Part]

    def spread(self, runner: Runner) -> dict[str, dict[str, float]]:
        """Median, lowest and highest round of each figure of ``runner``."""
        return spread([part.figures for part in self.parts if part.runner == runner.title])

    def content(self) -> dict[str, object]:
        """The report with every part, for programs."""
        return {
            "sizes": asdict(self.sizes),
            "tuning": self.tuning,
            "environment": self.environment,
            "runners": {
                runner.title: {"runs_on": runner.runs_on, "position": runner.position, **self.spread(runner)}
                for runner in self.runners
            },
            "left_out": self.left_out,
            "parts": [asdict(part) | part.figures for part in self.parts],
        }


def tuning_of(kafka: KafkaSettings) -> Tuning:
    """How our own clients are set, for the others to be set alike."""
    producer = producer_config(kafka, "bench")
    return Tuning(
        linger_ms=producer["linger.ms"],
        batch_bytes=producer["batch.size"],
        compression=producer["compression.type"],
        fetch_wait_ms=kafka.fetch_wait_ms,
        fetch_min_bytes=kafka.fetch_min_bytes,
        fetch_bytes=FETCH_BYTES,
        partition_fetch_bytes=PARTITION_FETCH_BYTES,
        poll_records=POLL_RECORDS,
        commit_ms=round(SAVE_EVERY_S * 1000),
        session_ms=kafka.session_timeout_ms,
        heartbeat_ms=kafka.heartbeat_interval_ms,
    )


def measure(
    settings: Settings,
    sizes: Sizes,
    environment: Mapping[str, str],
    runners: Sequence[Runner],
    left_out: Mapping[str, str] | None = None,
) -> Report:
    """Measure on the servers that ``settings`` name; their database and topics hold nothing yet.

    ``environment`` gives a process these settings. Raises AssertionError where the bytes of a runner differ.
    """
    bootstrap.prepare(settings)
    with ExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="tierline-bench-turns-")))
        url = settings.database_url.get_secret_value()
        connection = resources.enter_context(psycopg.connect(url, autocommit=True))
        write_accounts(connection, range(sizes.accounts))
        _publish(settings, sizes)
        turns = Turns(
            settings,
            connection,
            Place(settings, environment, folder),
            tuning_of(settings.kafka),
            expected_of(_orders(settings), settings, schema_id(connection), sizes.accounts),
            seconds=sizes.seconds,
            warm_s=sizes.warm_s,
        )
        parts = [turns.take(runner) for _ in range(sizes.rounds) for runner in runners]
        named = {**servers_of(connection), "partitions": f"{settings.kafka.partitions} partitions"}
        return Report(sizes, tuning_of(settings.kafka), named, runners, left_out or {}, parts)


def _publish(settings: Settings, sizes: Sizes) -> None:
    producer = bootstrap.producer(settings, "bench")
    for begin in range(0, sizes.records, _AT_ONCE):
        numbers = range(begin, min(begin + _AT_ONCE, sizes.records))
        messages: list[Message] = [order_message(n % sizes.accounts, f"web-{n}") for n in numbers]
        send_all(producer, messages, SEND_S)


def _orders(settings: Settings) -> Iterator[Record]:
    log = ConfluentLog(settings.kafka)
    for partition in range(settings.kafka.partitions):
        yield from log.read(SOURCE, partition, *log.log_range(SOURCE, partition))
