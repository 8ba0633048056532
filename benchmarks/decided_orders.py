"""Orders as the normalizer makes them, decided by the real worker: what fills an event store honestly."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from benchmarks.decider import Decider
from benchmarks.sample_commands import OrderIntents, invoice_samples, openings
from schemas.avsc import COMMANDS_SUBJECT
from schemas.topics import COMMANDS, EVENTS
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

SEND_S = 60.0


class DecidedOrders:
    """Opens invoice accounts and lets a decider in this process work off orders for them.

    ``connection`` is for looking; its database and topics are prepared and hold nothing yet.
    """

    def __init__(
        self, settings: Settings, connection: Connection, accounts: int, resources: ExitStack
    ) -> None:
        catalog, now_ms = bootstrap.catalog(settings), int(time.time() * 1000)
        samples = invoice_samples(accounts, catalog)
        importer = resources.enter_context(bootstrap.importer(settings))
        self._producer = importer.producer
        self._decider = Decider(settings, connection, resources)
        self._normalizer = _normalizer(settings, connection)
        self._intents = OrderIntents(samples, catalog, now_ms)
        self._work_off(_messages(openings(samples, now_ms), importer.encode, settings.kafka.partitions))

    def decide(self, orders: int) -> Counter[str]:
        """Send ``orders`` more and return how they ended when all of them are decided."""
        commands = (self._normalizer.command(*found) for found in self._intents.take(orders))
        return self._work_off(
            Message(COMMANDS.name, made.key, made.value, made.partition, ((TYPE, made.type),))
            for made in commands
        )

    def _work_off(self, messages: Iterable[Message]) -> Counter[str]:
        send_all(self._producer, list(messages), SEND_S)
        return self._decider.work_off()[2]


def published_events(settings: Settings) -> int:
    """How many records the topic of events holds."""
    log = ConfluentLog(settings.kafka)
    ranges = (log.log_range(EVENTS.name, partition) for partition in range(settings.kafka.partitions))
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
