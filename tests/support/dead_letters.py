"""Dead letters as the router writes them, and a triage worker that is fed by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from psycopg.rows import dict_row

from deadletter.envelope import DeadLetter, Stage, dead_letter_message
from deadletter.groups import Group
from deadletter.triage import AccountOf, Triage
from schemas.topics import NORMALIZER, TRIAGE
from streams.touched_account import TouchedAccount
from tests.support.channel_examples import PLANS
from tierline.domain.commands import Origin
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.kit.clock import FakeClock
from tierline.kit.database import Connection, connect
from tierline.kit.health import Health
from tierline.kit.leased_worker import LeasedWorker
from tierline.kit.memory_broker import MemoryBroker, MemoryConsumer
from tierline.kit.records import Message, Record
from tierline.kit.settings import Settings
from tierline.kit.telemetry import Metrics

PORTAL = "orders.portal.v1"
DLQ = f"{PORTAL}.{NORMALIZER}.dlq"
FAILED_AT = 1_795_435_200_000
MISSING = Dead(DeadLetterClass.CONTRACT, "MISSING_FIELD", "target", "A required field is missing.")
UNKNOWN = Dead(DeadLetterClass.UNKNOWN_ACCOUNT, "UNKNOWN_REFERENCE", "subscription_id", "Nobody knows it.")
ACCOUNT_OF = TouchedAccount(PLANS)
FAILED_FIRST = datetime(2026, 11, 23, 14, 2, tzinfo=UTC)
GROUP = Group(
    fingerprint="aa" * 16,
    channel="partner",
    stage="contract",
    class_="contract",
    code="MISSING_FIELD",
    field="productOffering.id",
    exception=None,
    function=None,
    records=10,
    accounts=3,
    unread=0,
    held_behind=0,
    exhausted=0,
    sources=("main",),
    app_versions=("1.0",),
    first_failed_at=FAILED_FIRST,
    last_failed_at=FAILED_FIRST,
    example="00000000-0000-5000-8000-000000000000",
)


def portal_value(subscription: str, **changed: Any) -> bytes:
    """A sound order of the portal."""
    order = {"reference": f"web-{subscription}", "subscription_id": subscription, "target": {"seats": 20}}
    return json.dumps(order | changed).encode()


def letter(number: int, dead: Dead = UNKNOWN, **changed: Any) -> DeadLetter:
    """The dead letter of record ``number`` of partition 0 or 1 of the portal's orders."""
    record = Record(
        PORTAL,
        number % 2,
        number // 2,
        FAILED_AT - 5_000,
        f"key-{number}".encode(),
        portal_value(f"sub_{number}"),
        (("source", b"eu"),),
    )
    made = DeadLetter(
        group=NORMALIZER,
        record=record,
        origin=Origin(record.topic, record.partition, record.offset),
        intent_index=0,
        intent_count=1,
        channel="portal",
        dead=dead,
        stage=Stage.CONTEXT,
        app_version="1.0",
        failed_at=FAILED_AT + number * 1_000,
        received_at=record.timestamp_ms,
        source="eu",
    )
    return replace(made, **changed)


def record_of(message: Message, offset: int = 0) -> Record:
    """``message`` as it is read again."""
    return Record(
        message.topic, message.partition or 0, offset, 1, message.key, message.value, message.headers
    )


class Triaging:
    """One triage worker with the partitions of its broker. ``turn`` lets it work once."""

    def __init__(self, settings: Settings, broker: MemoryBroker, account_of: AccountOf = ACCOUNT_OF) -> None:
        self.metrics = Metrics()
        self.clock = FakeClock()
        self.worker = LeasedWorker(
            group=TRIAGE,
            topic=DLQ,
            handler=Triage(account_of),
            consumer=(consumer := MemoryConsumer(broker)),
            connect=partial(connect, settings.database_url, TRIAGE),
            metrics=self.metrics,
            health=Health(),
            batch_records=100,
            clock=self.clock,
        )
        self.worker.join()
        consumer.assign(range(broker.partitions))
        self.worker.turn()

    def turn(self) -> None:
        """Work on what is there; a wait after an outage is over by then."""
        self.clock.advance(60_000)
        self.worker.turn()


def publish(broker: MemoryBroker, letters: Sequence[DeadLetter]) -> None:
    """Put ``letters`` on their dead-letter topic."""
    for one in letters:
        broker.append(dead_letter_message(one))


def stored(connection: Connection) -> list[dict[str, Any]]:
    """Every row of ``deadletter.record``, in the order of the first failure."""
    with connection.cursor(row_factory=dict_row) as cursor:
        query = "SELECT * FROM deadletter.record ORDER BY first_failed_at, dead_letter_id"
        return cursor.execute(query).fetchall()
