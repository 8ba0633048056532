"""``tierline verify`` on a real stack that somebody damaged: each damage is found and named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from schemas.topics import EVENTS
from tests.support.pipeline import Traffic, opened_samples, running_workers, settled_and_clean
from tests.support.stack import SharedStack, own_part_of
from tierline import bootstrap
from tierline.kit.broker import Delivery, send_all
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.verify.check import Report, StillRunning, check
from tierline.verify.client_log import TAKEN
from tierline.verify.reading import EvidenceMissing, TopicReader
from tierline.workload.client_log import ClientLog
from tierline.workload.running import target_of

SEED = 11

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def finished(shared: SharedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A pipeline that has decided 150 orders and was stopped; clean."""
    with own_part_of(shared) as settings:
        logs = tmp_path_factory.mktemp("logs")
        with running_workers(settings, logs):
            samples = opened_samples(settings, 60, SEED, "damage")
            with Traffic(settings, samples, SEED, 150, 150, logs, name="damage") as traffic:
                pass
            settled_and_clean(settings, traffic)
        yield settings


def session(settings: Settings) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(settings.database_url.get_secret_value(), autocommit=True)


def broken_in(report: Report) -> dict[str, str]:
    return {found.invariant: str(found.first) for found in report.findings if not found.holds}


@contextmanager
def damaged(settings: Settings, table: str, damage: str) -> Iterator[None]:
    """Run ``damage`` on ``table`` and put the table back as it was."""
    with session(settings) as connection:
        connection.execute(f"CREATE TABLE public.kept AS TABLE {table}")
        connection.execute(damage)
        try:
            yield
        finally:
            connection.execute(f"TRUNCATE {table}")
            connection.execute(f"INSERT INTO {table} TABLE public.kept")
            connection.execute("DROP TABLE public.kept")


@pytest.mark.parametrize(
    ("table", "damage", "invariant", "offender"),
    [
        (
            "oms.event",
            "UPDATE oms.event SET value = value || 'x' WHERE position = 3",
            "store and topic are equal byte for byte",
            ", 3) differs from oms.events.v1",
        ),
        (
            "oms.event",
            "DELETE FROM oms.event WHERE position = 5",
            "store and topic are equal byte for byte",
            "position 5 is not in the store",
        ),
        (
            "read.audit_entry",
            "DELETE FROM read.audit_entry WHERE position = 4",
            "audit_entry equals its fold",
            ", 4) is missing",
        ),
        (
            "read.audit_entry",
            "UPDATE read.audit_entry SET order_id = gen_random_uuid() WHERE position = 6",
            "audit_entry equals its fold",
            ", 6) has order_id",
        ),
        (
            "read.tier_status",
            "UPDATE read.tier_status SET tier = 'enterprise' WHERE plan = 'business-year'",
            "tier_status equals its fold",
            "has tier 'enterprise', the events say 'business'",
        ),
        (
            "read.tier_history",
            "UPDATE read.tier_history SET seats = seats + 1 WHERE order_id IS NOT NULL",
            "tier_history equals its fold",
            "has seats",
        ),
        (
            "read.order_status",
            "UPDATE read.order_status SET charged_minor = charged_minor + 1 WHERE charged_minor > 0",
            "order_status equals its fold",
            "has charged_minor",
        ),
        (
            "sandbox.payment",
            "UPDATE sandbox.payment SET captures = 2 WHERE status = 'captured'",
            "no effect happens twice",
            "captured 2 times at the gateway",
        ),
    ],
)
def test_a_damaged_table_is_found(
    finished: Settings, table: str, damage: str, invariant: str, offender: str
) -> None:
    """An edited or deleted row breaks its invariant, with the row named; nothing else is needed."""
    with damaged(finished, table, damage):
        broken = broken_in(check(target_of(finished), 10))

    assert offender in broken[invariant]
    assert {} == broken_in(check(target_of(finished), 10))


def test_a_rehashed_store_is_found(finished: Settings) -> None:
    """A row that was edited and a chain that was hashed anew behind it still differ from the topic."""
    with damaged(finished, "oms.event", "SELECT 1"):
        with session(finished) as connection:
            rows = connection.execute(
                "SELECT position, value FROM oms.event WHERE partition = 1 ORDER BY position"
            ).fetchall()
            previous = bytes(32)
            for position, value in rows:
                changed = bytes(value) + (b"x" if position == 2 else b"")  # type: ignore[call-overload]
                previous = hashlib.sha256(previous + changed).digest()
                connection.execute(
                    "UPDATE oms.event SET value = %s, hash = %s WHERE partition = 1 AND position = %s",
                    (changed, previous, position),
                )
        broken = broken_in(check(target_of(finished), 10))

    assert "oms.event (1, 2) differs" in broken["store and topic are equal byte for byte"]


def test_an_order_that_only_its_client_knows_of_is_found(finished: Settings, tmp_path: Path) -> None:
    """The client was told a place, and nothing stands there: neither Kafka nor PostgreSQL could tell."""
    file = tmp_path / "client.ndjson"
    with ClientLog(file, "lost") as log:
        answered = log.sending(Message("orders.portal.v1", None, b"{}"), 1)
        answered(Delivery("orders.portal.v1", 0, 1_000_000))
    target = replace(target_of(finished), client_logs=(file,))

    offence = f"{file}:1 (orders.portal.v1, ok): lost, no record stands at orders.portal.v1[0]@1000000"
    assert {TAKEN: offence} == broken_in(check(target, 10))


def test_an_empty_stack_is_not_called_clean(settings: Settings) -> None:
    """Where nothing was published there is nothing to be proud of."""
    bootstrap.prepare(settings)

    with pytest.raises(EvidenceMissing, match="nothing to verify"):
        check(target_of(settings), 5)


def test_work_under_way_is_not_called_clean(settings: Settings) -> None:
    """A record that nobody has read yet is named as under way."""
    bootstrap.prepare(settings)
    producer = bootstrap.producer(settings, "test")
    send_all(producer, [Message("orders.portal.v1", None, b"{}")], 10)

    with pytest.raises(StillRunning, match="tierline-normalizer has 1 records of"):
        check(target_of(settings), 0)


def events_of_the_first_partition(settings: Settings) -> list[Message]:
    reader = TopicReader(settings.kafka.bootstrap_servers, settings.kafka.topic_prefix)
    return [
        Message(EVENTS.name, read.key, read.value, 0, tuple(read.headers.items()))
        for read in reader.read(EVENTS)
        if read.place.partition == 0
    ]


def append(settings: Settings, added: list[Message]) -> None:
    """Write to the events topic behind the back of its one writer; the readers have read it."""
    send_all(bootstrap.producer(settings, "test"), added, 10)
    with session(settings) as connection:
        connection.execute(
            "UPDATE oms.lease SET next_offset = next_offset + %s WHERE topic = %s AND partition = 0",
            (len(added), EVENTS.name),
        )


def test_repeats_in_the_topic_are_judged_by_their_bytes(finished: Settings) -> None:
    """Events published again are dropped; a position that comes again with other bytes is named."""
    log = events_of_the_first_partition(finished)
    append(finished, log[-4:])
    honest = broken_in(check(target_of(finished), 10))
    append(finished, [replace(log[3], value=log[9].value)])
    forged = broken_in(check(target_of(finished), 10))

    assert {} == honest
    assert (
        "position 3 again with other bytes" in forged["a position is only ever repeated with the same bytes"]
    )
