"""The normalizer on real servers: every record ends once, in order, whatever happens to the process."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions

from schemas.topics import COMMANDS, NORMALIZER
from streams.normalizer import NormalizerWorker
from tests.support.hold_policies import no_patience
from tests.support.normalizer_bench import NormalizerBench
from tests.support.waiting import wait_for
from tierline.kit.confluent_broker import new_admin
from tierline.kit.errors import PositionOutsideLog
from tierline.kit.health import Health
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.kit.telemetry import Metrics

pytestmark = pytest.mark.stack

PORTAL = "orders.portal.v1"
PARTNER = "orders.partner.v1"
LONG_WAIT_MS = 60_000
STRANGERS = 10
"""Records of an unknown account: so few that dying in a row they open no breaker."""


def portal(name: str, reference: str, *, partition: int | None = None, key: bytes | None = None) -> Message:
    """A sound portal order for ``sub_<name>``."""
    order = {"reference": reference, "subscription_id": f"sub_{name}", "target": {"seats": 20}}
    return Message(PORTAL, key, json.dumps(order).encode(), partition)


def partner(*names: str, reference: str) -> Message:
    """A partner order: an intent for each ``sub_<name>``."""
    items = [
        {"id": str(i), "action": "modify", "quantity": 15, "product": {"id": f"sub_{name}"}}
        for i, name in enumerate(names)
    ]
    return Message(PARTNER, None, json.dumps({"externalId": reference, "productOrderItem": items}).encode())


def digest(value: bytes | None) -> str | None:
    """What stands for bytes in a failure message."""
    return None if value is None else hashlib.sha256(value).hexdigest()


def test_a_thousand_mixed_records_end_exactly_once_each(settings: Settings, tmp_path: Path) -> None:
    """Commands for what is sound, dead letters and replies for the rest; nothing twice, nothing lost."""
    bench = NormalizerBench(settings, unknown_account_wait_ms=200, hold_policy=no_patience(tmp_path))
    bench.know(*map(str, range(50)))
    messages: list[Message] = []
    for i in range(1_000):
        match i % 20:
            case 3:
                messages.append(Message(PORTAL, b"k", b'{"broken'))
            case 7 if i < 20 * STRANGERS:
                messages.append(portal("nobody", f"r-{i}"))
            case 11 | 13:
                messages.append(partner(str(i % 50), str((i + 1) % 50), reference=f"po-{i}"))
            case _:
                messages.append(portal(str(i % 50), f"r-{i}", key=f"sub_{i % 50}".encode()))
    bench.publish(messages)

    with bench.running(tmp_path):
        bench.wait_until_all_ended()

    dead = bench.dead("portal")
    assert Counter(
        {("decode", "MALFORMED_JSON"): 50, ("unknown_account", "UNKNOWN_REFERENCE"): STRANGERS}
    ) == Counter(d.cause for d in dead)
    intents = Counter((c["source_ref"], c["intent_index"]) for c in bench.commands())
    assert (850 - STRANGERS + 200, {1}) == (len(intents), set(intents.values()))
    assert bench.orders("portal") | bench.orders("partner") == bench.ended()
    assert Counter(dead=50 + STRANGERS, held=STRANGERS) == Counter(bench.told("portal"))


POISON: dict[str, tuple[bytes | None, str, str]] = {
    "no utf-8": (b'{"reference":"\xff\xfe"}', "decode", "INVALID_UTF8"),
    "nul bytes": (b"\xff\xfe\x00\x01", "decode", "NUL_BYTE"),
    "empty": (b"", "decode", "EMPTY_VALUE"),
    "tombstone": (None, "decode", "TOMBSTONE"),
    "nan": (b'{"reference":"r","subscription_id":"sub_1","target":{"seats":NaN}}', "decode", "NOT_A_NUMBER"),
    "duplicate keys": (
        b'{"reference":"r","reference":"s","subscription_id":"sub_1","target":{"seats":2}}',
        "decode",
        "DUPLICATE_KEY",
    ),
    "nested": (b"[" * 100_000, "decode", "NESTING_TOO_DEEP"),
    "integer over 64 bits": (
        b'{"reference":"r","subscription_id":"sub_1","target":{"seats":99999999999999999999}}',
        "decode",
        "INTEGER_TOO_LARGE",
    ),
    "lone surrogate": (
        b'{"reference":"\\ud800","subscription_id":"sub_1","target":{"seats":2}}',
        "decode",
        "LONE_SURROGATE",
    ),
    "byte order mark": (b"\xef\xbb\xbf{}", "decode", "BYTE_ORDER_MARK"),
    "over one mebibyte": (b" " * (1024 * 1024 + 1), "oversize", "RECORD_TOO_LARGE"),
    "almost four mebibytes": (b"\x00" * (4 * 1024 * 1024 - 4096), "oversize", "RECORD_TOO_LARGE"),
    "missing field": (b'{"reference":"r","subscription_id":"sub_1"}', "contract", "MISSING_FIELD"),
}


def test_every_poison_is_a_dead_letter_with_its_bytes_and_the_partition_keeps_moving(
    settings: Settings, tmp_path: Path
) -> None:
    """Class, code, origin, key and the original bytes; a sound order follows each poison and passes."""
    bench = NormalizerBench(settings)
    bench.know("1")
    for i, (value, _, _) in enumerate(POISON.values()):
        bench.publish([Message(PORTAL, b"p%d" % i, value, 0, (("source", b"main"), ("x-trace", b"kept")))])
        bench.publish([portal("1", f"r-{i}", partition=0)])

    with bench.running(tmp_path):
        bench.wait_until_all_ended()

    dead = {d.origin: d for d in bench.dead("portal")}
    found = {
        name: (digest(d.record.value), *d.cause, d.record.key, d.headers["x-trace"])
        for i, name in enumerate(POISON)
        if (d := dead.get((PORTAL, 0, 2 * i))) is not None
    }
    expected = {
        name: (digest(value), class_, code, b"p%d" % i, "kept")
        for i, (name, (value, class_, code)) in enumerate(POISON.items())
    }
    assert expected == found
    assert {(PORTAL, 0, 2 * i + 1) for i in range(len(POISON))} == set(bench.accepted())
    replies = [json.loads(r.value or b"") for r in bench.replies("portal")]
    assert [("dead", 2 * i) for i in range(len(POISON))] == sorted(
        (r["outcome"], r["origin"]["offset"]) for r in replies
    )


def test_an_account_that_appears_within_the_wait_is_accepted_in_order(
    settings: Settings, tmp_path: Path
) -> None:
    """Its records wait, those of others pass; it goes as soon as the reference is told of."""
    bench = NormalizerBench(settings, unknown_account_wait_ms=LONG_WAIT_MS)
    bench.know("known")
    late = [portal("late", f"late-{i}", partition=1, key=b"late") for i in range(5)]
    others = [portal("known", f"known-{i}", partition=1, key=b"known") for i in range(5)]
    bench.publish([message for pair in zip(late, others, strict=True) for message in pair])

    with bench.running(tmp_path):
        wait_for(lambda: bench.count(COMMANDS.name) >= len(others), "the orders of the known account")
        assert {"acc_known"} == {c["account_id"] for c in bench.commands()}
        bench.know("late")
        bench.wait_until_all_ended()

    assert [f"late-{i}" for i in range(5)] == [
        c["source_ref"] for c in bench.commands() if c["account_id"] == "acc_late"
    ]
    assert [] == bench.dead("portal")


def test_an_intent_once_called_dead_stays_dead_when_it_is_read_again(
    settings: Settings, tmp_path: Path
) -> None:
    """The account is known at the second delivery; the first verdict counts, and has one id."""
    bench = NormalizerBench(settings, unknown_account_wait_ms=100, hold_policy=no_patience(tmp_path))
    bench.publish([portal("late", "r-1", partition=0)])
    with bench.running(tmp_path / "first"):
        bench.wait_until_all_ended()

    bench.know("late")
    bench.execute("UPDATE oms.lease SET next_offset = 0 WHERE consumer = %s", NORMALIZER)
    with bench.running(tmp_path / "second"):
        bench.wait_until_all_ended()

    first, second = bench.dead("portal")
    assert ([], first.headers["oms.dlq.id"], first.cause) == (
        bench.commands(),
        second.headers["oms.dlq.id"],
        second.cause,
    )


@pytest.mark.timeout(240)
def test_a_process_that_dies_anywhere_loses_nothing(settings: Settings, tmp_path: Path) -> None:
    """Killed between read, produce, verdict, dead letter, acknowledgement and saved position, in turn."""
    bench = NormalizerBench(settings)
    bench.know(*map(str, range(10)))
    points = ("read", "produce", "verdict", "dead_letter", "acknowledgement", "progress")
    with bench.running(tmp_path) as worker:
        for point in points:
            worker.restart({"TIERLINE_CRASH_POINT": f"normalizer.after_{point}"})
            armed = worker.pid
            bench.publish(
                [
                    Message(PORTAL, None, b"poison") if i % 10 == 3 else portal(str(i % 10), f"{point}-{i}")
                    for i in range(100)
                ]
            )
            wait_for(lambda was=armed: worker.pid != was and worker.is_running(), f"{point} to kill", 60)  # type: ignore[misc] # bound on purpose
        bench.wait_until_all_ended()

    assert bench.orders("portal") == bench.ended()
    assert 90 * len(points) == len({(c["source_ref"]) for c in bench.commands()})
    accepted, dead = set(bench.accepted()), {d.origin for d in bench.dead("portal")}
    assert (set(), 10 * len(points)) == (
        accepted & dead,
        len({d.headers["oms.dlq.id"] for d in bench.dead("portal")}),
    )


def test_a_normal_stop_saves_where_it_was_and_the_next_start_repeats_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    """SIGTERM with records on their way: they are acknowledged and counted before it ends."""
    bench = NormalizerBench(settings)
    bench.know("1")
    enough = threading.Event()

    def traffic() -> None:
        for burst in itertools.takewhile(lambda _: not enough.wait(0.05), itertools.count()):
            bench.publish([portal("1", f"{burst}-{i}") for i in range(20)])

    publishing = threading.Thread(target=traffic)
    with bench.running(tmp_path / "first") as first:
        publishing.start()
        wait_for(lambda: bench.count(COMMANDS.name) > 0, "the first commands")
        first.stop()
        before = bench.count(COMMANDS.name)
    with bench.running(tmp_path / "second"):
        wait_for(lambda: bench.count(COMMANDS.name) > before, "the second to go on")
        enough.set()
        publishing.join()
        bench.wait_until_all_ended()

    assert {1} == set(bench.accepted().values())
    assert bench.orders("portal") == set(bench.accepted())


def test_two_processes_share_the_partitions_and_hand_them_over(settings: Settings, tmp_path: Path) -> None:
    """A second one joins under load, the first one leaves: nothing is lost, and no intent ends twice over."""
    bench = NormalizerBench(settings)
    bench.know(*map(str, range(10)))

    def traffic(name: str) -> None:
        bench.publish([portal(str(i % 10), f"{name}-{i}") for i in range(500)])

    with bench.running(tmp_path / "a") as first:
        traffic("alone")
        wait_for(lambda: len(bench.ended()) == 500, "the first 500")
        with bench.running(tmp_path / "b"):
            traffic("both")
            wait_for(lambda: _members(bench) == 2, "both to hold partitions", 60)
            traffic("shared")
            first.stop()
            traffic("second")
            bench.wait_until_all_ended()

    assert bench.orders("portal") == bench.ended()
    assert [] == bench.dead("portal")


def _members(bench: NormalizerBench) -> int:
    """How many processes of the group have partitions."""
    group = bench.settings.kafka.topic_prefix + NORMALIZER
    admin = new_admin(bench.settings.kafka)
    [answer] = admin.describe_consumer_groups([group]).values()
    return sum(bool(member.assignment.topic_partitions) for member in answer.result().members)


def test_a_process_whose_lease_was_taken_ends_and_the_next_one_goes_on(
    settings: Settings, tmp_path: Path
) -> None:
    """It must not decide anything any more; its supervisor starts another."""
    bench = NormalizerBench(settings)
    bench.know("1")
    with bench.running(tmp_path) as worker:
        bench.publish([portal("1", "r-1", partition=0)])
        bench.wait_until_all_ended()
        before = worker.pid
        bench.execute("UPDATE oms.lease SET epoch = epoch + 1, owner = gen_random_uuid()")
        bench.publish([portal("1", "r-2", partition=0)])
        wait_for(lambda: worker.pid != before, "another process", 60)
        bench.wait_until_all_ended()

    assert {"r-1", "r-2"} == {c["source_ref"] for c in bench.commands()}
    assert "exit_hard" in (tmp_path / "normalizer.log").read_text()


def test_lost_database_sessions_cost_nothing(settings: Settings, tmp_path: Path) -> None:
    """Sessions are ended again and again under load: no dead letter, no loss."""
    bench = NormalizerBench(settings)
    bench.know(*map(str, range(50)))
    with bench.running(tmp_path):
        for burst in range(10):
            bench.publish([portal(str(i % 50), f"{burst}-{i}") for i in range(100)])
            bench.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
                NORMALIZER,
            )
        bench.wait_until_all_ended()

    assert ([], 1_000) == (bench.dead("portal"), len({c["source_ref"] for c in bench.commands()}))


@pytest.mark.parametrize("position", [10, -1], ids=["after the end", "before the beginning"])
def test_a_position_outside_the_log_refuses_to_start(settings: Settings, position: int) -> None:
    """A clear error with what to do, instead of a silent jump."""
    bench = NormalizerBench(settings)
    bench.execute(
        "INSERT INTO oms.lease (consumer, topic, partition, epoch, owner, next_offset)"
        " VALUES (%s, %s, 0, 1, gen_random_uuid(), %s)",
        NORMALIZER,
        PORTAL,
        position,
    )
    worker = NormalizerWorker(
        bench.settings, schema_id=1, catalog=_NoPlans(), metrics=Metrics(), health=Health()
    )

    with pytest.raises(PositionOutsideLog, match="next_offset"):
        worker.run()
    assert position == bench.positions()[PORTAL, 0]


class _NoPlans:
    def plan_for_alias(self, channel: str, external_id: str) -> Any:
        return None


def test_kafka_is_told_the_positions_for_its_lag_tools(settings: Settings, tmp_path: Path) -> None:
    """The group's committed offsets follow the leases."""
    bench = NormalizerBench(settings)
    bench.know("1")
    bench.publish([portal("1", f"r-{i}", partition=0) for i in range(7)])
    group = settings.kafka.topic_prefix + NORMALIZER
    admin = new_admin(settings.kafka)

    def told() -> int:
        [answer] = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
        places = answer.result().topic_partitions
        return max((p.offset for p in places if p.topic.endswith(PORTAL) and p.partition == 0), default=-1)

    with bench.running(tmp_path):
        wait_for(lambda: told() == 7, "offset 7 of the group")
