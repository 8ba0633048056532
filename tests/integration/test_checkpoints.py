"""Signed checkpoints on real servers: who rewrites database and topic together is still found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from schemas.create_topics import create_topics
from schemas.topics import EVENTS
from streams.deciding.event_store import Published
from streams.publisher import event_message
from tests.integration.test_orders_worker import opening, order
from tests.support.orders_bench import OrdersBench, StoredRow
from tierline.kit.broker import send_all
from tierline.kit.confluent_broker import ConfluentProducer, new_admin
from tierline.kit.settings import Settings
from tierline.verify.check import check_checkpoints
from tierline.verify.evidence import Finding
from tierline.workload.running import target_of

pytestmark = pytest.mark.stack

EVERY = 25
ACCOUNTS = 40
Attack = Callable[[OrdersBench, list[StoredRow]], list[StoredRow]]


@pytest.fixture
def bench(settings: Settings, tmp_path: Path) -> OrdersBench:
    """A decider that decided some orders, signed on the way and at its stop, and is gone."""
    bench = OrdersBench(settings)
    bench.publish(*map(opening, range(ACCOUNTS)), *map(order, range(ACCOUNTS)))
    with bench.running(tmp_path, TIERLINE_CHECKPOINT__EVERY=str(EVERY)):
        bench.wait_until_read()
        bench.wait_until_published()
    return bench


def checked(bench: OrdersBench) -> Finding:
    """What ``tierline checkpoint verify`` finds."""
    return check_checkpoints(target_of(bench.settings))


def test_topic_and_file_hold_what_was_signed(bench: OrdersBench) -> None:
    """Each checkpoint stands in both, the last one of a partition covers its last event, and all agree."""
    found = checked(bench)

    assert (True, None) == (found.holds, found.first)
    kept = bench.settings.checkpoint.file
    assert kept is not None
    assert 2 * len(kept.read_text().splitlines()) == found.checked
    sizes = {int(line.split('"size": ')[1].split(",")[0]) for line in kept.read_text().splitlines()}
    per_partition = bench.query("SELECT count(*) FROM oms.event GROUP BY partition")
    assert {count for (count,) in per_partition} <= sizes


def cut_tail(_: OrdersBench, rows: list[StoredRow]) -> list[StoredRow]:
    """The last event of the longest partition disappears."""
    longest = max(rows, key=lambda row: row.position)
    return [row for row in rows if row is not longest]


def hash_anew(bench: OrdersBench, rows: list[StoredRow]) -> list[StoredRow]:
    """One early event gets another actor, and everything behind it a chain that fits."""
    victim = next(row for row in rows if row.position == 3)
    forged = replace(bench.codec.to_event(bench.codec.read(victim.value)), actor="somebody else")
    changed, previous = [], bytes(32)
    for row in rows:
        previous = bytes(32) if row.position == 0 else previous
        value = bench.codec.encode_event(forged) if row is victim else row.value
        previous = hashlib.sha256(previous + value).digest()
        changed.append(row._replace(hash=previous, value=value))
    return changed


def rewrite(bench: OrdersBench, rows: Sequence[StoredRow]) -> None:
    """Put ``rows`` into the store and into a new topic, as somebody with every password could."""
    with_account = dict(bench.query("SELECT stream_id || version, account_id FROM oms.event"))
    bench.execute(
        "DELETE FROM oms.event WHERE stream_id || version <> ALL(%s)",
        [f"{row.stream_id}{row.version}" for row in rows],
    )
    for row in rows:
        bench.execute(
            "UPDATE oms.event SET value = %s, hash = %s WHERE partition = %s AND position = %s",
            row.value,
            row.hash,
            row.partition,
            row.position,
        )
    kafka = bench.settings.kafka
    admin = new_admin(kafka)
    for deleted in admin.delete_topics([kafka.topic_prefix + EVENTS.name]).values():
        deleted.result()
    again = retry_if_exception_type((KafkaException, RuntimeError))
    Retrying(retry=again, wait=wait_fixed(0.2), stop=stop_after_delay(30), reraise=True)(
        create_topics, admin, kafka
    )
    messages = [
        event_message(
            Published(
                row.partition,
                row.position,
                with_account[f"{row.stream_id}{row.version}"],
                row.type,
                row.hash,
                row.value,
            )
        )
        for row in rows
    ]
    send_all(ConfluentProducer(kafka, "forger"), messages, 30)


@pytest.mark.parametrize(
    ("attack", "told"),
    [(cut_tail, "its tail was cut off"), (hash_anew, "it was rewritten")],
    ids=["a tail cut off", "a chain hashed anew"],
)
def test_a_rewritten_history_is_found(bench: OrdersBench, attack: Attack, told: str) -> None:
    """Store and topic agree with each other and each chain is sound; only what was signed tells."""
    rewrite(bench, attack(bench, bench.stored()))

    bench.assert_in_step()
    found = checked(bench)

    assert told in str(found.first)
