"""Orders as the normalizer makes them, decided by the real worker: what fills an event store honestly."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice

from benchmarks.by_hand import HandTurned, Spent
from benchmarks.sample_commands import OrderIntents, invoice_samples, openings
from schemas.avsc import COMMANDS_SUBJECT
from schemas.topics import COMMANDS, EVENTS, ORDERS
from streams.importer import Importer
from streams.normalizing.normalize import TYPE, Normalizer
from streams.normalizing.resolve import Resolved
from streams.reading.intent import Intent
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
        self.intents = OrderIntents(self._samples, catalog, self._start_ms)

    @contextmanager
    def decider(self) -> Iterator[Decider]:
        """One worker of the name orders."""
        with (
            bootstrap.importer(self._settings) as importer,
            HandTurned(WORKER, ORDERS, self._settings) as worker,
        ):
            opened = openings(self._samples, self._start_ms)
            yield Decider(self._settings, self._connection, worker, importer, opened, self.intents)


class Decider:
    """Sends commands and turns the worker until all of them are decided."""

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        worker: HandTurned,
        importer: Importer,
        opened: Iterable[Command],
        intents: OrderIntents,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._worker = worker
        self._importer = importer
        self._openings = opened
        self._intents = intents
        self._normalizer = _normalizer(settings, connection)

    def open_accounts(self) -> Spent:
        """Open every subscription."""
        encode, partitions = self._importer.encode, self._settings.kafka.partitions
        return self._work_off(_message(command, encode, partitions) for command in self._openings)

    def decide(self, orders: int) -> Spent:
        """Decide ``orders`` more."""
        return self._work_off(self._order(*found) for found in self._intents.take(orders))

    def outcomes(self) -> Counter[str]:
        """How many commands ended how so far."""
        return self._worker.outcomes()

    def _order(self, intent: Intent, found: Resolved) -> Message:
        made = self._normalizer.command(intent, found)
        return Message(COMMANDS.name, made.key, made.value, made.partition, ((TYPE, made.type),))

    def _work_off(self, messages: Iterable[Message]) -> Spent:
        spent, rest, log = Spent(0, 0, 0), iter(messages), ConfluentLog(self._settings.kafka)
        while batch := list(islice(rest, AT_ONCE)):
            send_all(self._importer.producer, batch, SEND_S)
            end = _length(log, COMMANDS.name, self._settings)
            spent += self._worker.until(partial(self._has_reached, end))
        return spent

    def _has_reached(self, end: int) -> bool:
        row = self._connection.execute(_REACHED, (ORDERS, COMMANDS.name)).fetchone()
        return row is not None and int(row[0]) >= end


def published_events(settings: Settings) -> int:
    """How many records the topic of events holds."""
    return _length(ConfluentLog(settings.kafka), EVENTS.name, settings)


def _length(log: ConfluentLog, topic: str, settings: Settings) -> int:
    ranges = (log.log_range(topic, partition) for partition in range(settings.kafka.partitions))
    return sum(end - first for first, end in ranges)


def _message(command: Command, encode: Callable[[Command], bytes], partitions: int) -> Message:
    account = command.account_id
    headers = (("type", command.type.encode()),)
    place = partition_of(account, partitions)
    return Message(COMMANDS.name, account.encode(), encode(command), place, headers)


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
