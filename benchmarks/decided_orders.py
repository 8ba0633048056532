"""Orders as the normalizer makes them, decided by the real worker: what fills an event store honestly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from benchmarks.by_hand import HandTurned, Spent
from benchmarks.sample_commands import OrderIntents, invoice_samples, openings
from schemas.avsc import COMMANDS_SUBJECT
from schemas.topics import COMMANDS, EVENTS, ORDERS
from streams.normalizing.normalize import TYPE, Normalizer
from tierline import bootstrap
from tierline.domain.commands import Command
from tierline.kit.broker import send_all
from tierline.kit.confluent_broker import ConfluentLog
from tierline.kit.database import Connection
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.kit.version import APP_VERSION

WORKER = "orders"
SEND_S = 60.0
AT_ONCE = 10_000

_REACHED = "SELECT coalesce(sum(next_offset), 0)::bigint FROM oms.lease WHERE (consumer, topic) = (%s, %s)"

Decide = Callable[[int], Spent]


class DecidedOrders:
    """Invoice accounts and orders for them, decided by a worker in this process.

    ``connection`` is for looking; its database and topics are prepared and hold nothing yet. ``intents`` goes
    on after the last order that was decided; the first is received at ``start_ms``, now without one.
    """

    def __init__(
        self, settings: Settings, connection: Connection, accounts: int, start_ms: int | None = None
    ) -> None:
        catalog = bootstrap.catalog(settings)
        self._settings = settings
        self._connection = connection
        self._start_ms = int(time.time() * 1000) if start_ms is None else start_ms
        self._samples = invoice_samples(accounts, catalog)
        self._log = ConfluentLog(settings.kafka)
        self._producer = bootstrap.producer(settings, "tierline-bench")
        self.intents = OrderIntents(self._samples, catalog, self._start_ms)

    @contextmanager
    def decider(self) -> Iterator[Decide]:
        """One worker of the name orders; what it gives sends so many orders and decides them."""
        normalizer = _normalizer(self._settings, self._connection)
        with HandTurned(WORKER, ORDERS, self._settings) as worker:

            def decide(orders: int) -> Spent:
                commands = (normalizer.command(*found) for found in self.intents.take(orders))
                return self._work_off(
                    worker,
                    (
                        Message(COMMANDS.name, made.key, made.value, made.partition, ((TYPE, made.type),))
                        for made in commands
                    ),
                )

            yield decide

    def open_accounts(self) -> None:
        """Open every subscription."""
        with (
            bootstrap.importer(self._settings) as importer,
            HandTurned(WORKER, ORDERS, self._settings) as worker,
        ):
            opened = openings(self._samples, self._start_ms)
            self._work_off(worker, _messages(opened, importer.encode, self._settings.kafka.partitions))

    def _work_off(self, worker: HandTurned, messages: Iterable[Message]) -> Spent:
        spent, rest = Spent(0, 0, 0), iter(messages)
        while batch := list(islice(rest, AT_ONCE)):
            send_all(self._producer, batch, SEND_S)
            end = _length(self._log, COMMANDS.name, self._settings)
            spent += worker.until(lambda end=end: self._reached() >= end)  # type: ignore[misc] # a lambda
        return spent

    def _reached(self) -> int:
        row = self._connection.execute(_REACHED, (ORDERS, COMMANDS.name)).fetchone()
        return int(row[0]) if row else 0


def published_events(settings: Settings) -> int:
    """How many records the topic of events holds."""
    return _length(ConfluentLog(settings.kafka), EVENTS.name, settings)


def _length(log: ConfluentLog, topic: str, settings: Settings) -> int:
    ranges = (log.log_range(topic, partition) for partition in range(settings.kafka.partitions))
    return sum(end - first for first, end in ranges)


def _messages(
    commands: Iterable[Command], encode: Callable[[Command], bytes], partitions: int
) -> Iterable[Message]:
    for command in commands:
        account = command.account_id
        place = partition_of(account, partitions)
        headers = (("type", command.type.encode()),)
        yield Message(COMMANDS.name, account.encode(), encode(command), place, headers)


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
