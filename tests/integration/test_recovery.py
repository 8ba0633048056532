"""A database restored from an older backup: its partitions stay closed until the topic has given all back."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.topics import EVENTS
from streams.recovery import Recovered
from tests.integration.test_orders_worker import opening, order
from tests.support.backups import backed_up
from tests.support.order_values import from_elsewhere
from tests.support.orders_bench import OrdersBench
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.kit.broker import send_all
from tierline.kit.records import Message
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

ACCOUNTS = 24
UNKNOWN = order(900)
CLAIMS = (
    "SELECT command_id::text, attempt, encode(digest, 'hex'), order_id::text, outcome, reasons,"
    " first_position FROM oms.command_claim ORDER BY 1, 2"
)


@pytest.fixture
def bench(settings: Settings) -> OrdersBench:
    """Prepared servers."""
    return OrdersBench(settings)


def decide(bench: OrdersBench, logs: Path) -> None:
    """Let a decider work through everything that was published."""
    with bench.running(logs):
        bench.wait_until_read()
        bench.wait_until_published()


def recovered(bench: OrdersBench) -> tuple[list[Recovered], int]:
    """Run the recovery."""
    with bootstrap.recovery(bench.settings) as recovery:
        return list(recovery.events()), recovery.verdicts()


def derived(bench: OrdersBench) -> dict[str, list[object]]:
    """Everything in the store that recovery has to give back."""
    return {
        "claims": bench.query(CLAIMS),
        "origins": bench.query("SELECT * FROM oms.command_origin ORDER BY 1, 2, 3, 4"),
        "references": bench.query("SELECT * FROM oms.external_ref ORDER BY 1, 2, 3, 4, 6"),
        "verdicts": bench.query("SELECT dead_letter_id, class, code FROM deadletter.verdict ORDER BY 1"),
        "events": list(bench.stored()),
    }


def test_what_the_backup_lacks_comes_back_from_the_topics(bench: OrdersBench, tmp_path: Path) -> None:
    """Events, claims, origins, references and verdicts are what they were; nothing is decided twice."""
    numbers = range(ACCOUNTS)
    bench.publish(*map(opening, numbers[:12]), *map(order, numbers[:6]))
    decide(bench, tmp_path / "before")
    with backed_up(bench.settings) as backup:
        bench.publish(
            *map(opening, numbers[12:]),
            *map(order, numbers[6:]),
            from_elsewhere(order(3)),
            *(order(n, "PO-2", seats=1) for n in numbers[:6]),
            UNKNOWN,
        )
        decide(bench, tmp_path / "after")
        before = derived(bench)
        backup.restore()

    with bench.running(tmp_path / "closed") as workers:
        wait_for(lambda: "partition_closed" in workers["orders"].log.read_text(), "a partition stays closed")
    partitions, verdicts = recovered(bench)
    again, _ = recovered(bench)
    given_back = derived(bench)
    decide(bench, tmp_path / "again")

    assert [None] * len(partitions) == [p.refusal for p in partitions]
    assert len(before["events"]) == sum(p.stored + p.imported for p in partitions)
    assert 1 == verdicts
    assert 0 == sum(p.imported for p in again)
    assert before == given_back
    assert before == derived(bench)
    bench.assert_in_step()


def test_a_forged_event_is_refused_by_its_place(bench: OrdersBench, tmp_path: Path) -> None:
    """Only what continues the chain comes back; the partition keeps what it had, the others are recovered."""
    bench.publish(*map(opening, range(4)))
    decide(bench, tmp_path / "before")
    with backed_up(bench.settings) as backup:
        bench.publish(*map(opening, range(4, 12)))
        decide(bench, tmp_path / "after")
        stored = bench.stored()
        backup.restore()
    victim = stored[-1]
    headers = (("type", b"X"), ("position", str(victim.position + 1).encode()), ("hash", bytes(32)))
    send_all(bench.producer, [Message(EVENTS.name, b"k", victim.value, victim.partition, headers)], 30)

    partitions, _ = recovered(bench)

    refused = [p for p in partitions if p.refusal]
    assert [victim.partition] == [p.partition for p in refused]
    assert f"position {victim.position + 1} does not continue the hash chain" in str(refused[0].refusal)
    assert all(not p.refusal for p in partitions if p.partition != victim.partition)
