"""Poison on ``oms.commands.v1``: each record becomes a dead letter, and the partition keeps moving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import psycopg
import pytest

from schemas.topics import COMMANDS, ORDERS
from streams.subscription_import import opening_command, read_line
from tests.support.pipeline import opened_samples, running_workers
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.domain.commands import Command, Origin, PlaceOrder
from tierline.domain.identity import uuid_of
from tierline.kit.broker import send_all
from tierline.kit.clock import SystemClock
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.verify.check import check
from tierline.verify.evidence import DeadLetter
from tierline.verify.reading import TopicReader, read_evidence
from tierline.workload.accounts import SampleSubscription
from tierline.workload.running import target_of

UPGRADE = PlaceOrder("business-year", 20, (), "now", None, None, None, (), validate_only=False)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

Damage = Callable[[Message], Message]


def an_order(sample: SampleSubscription, number: int) -> Command:
    """A sound order as the normalizer would make it; its origin is a record that nobody published."""
    line = read_line(1, msgspec.json.encode(sample.line))
    now_ms = SystemClock().now_ms()
    opening = opening_command(line, number, "poison", now_ms, "test", "main")
    return replace(
        opening,
        command_id=uuid_of("poison", str(number)),
        type="PlaceOrder",
        channel="portal",
        source_ref=f"poison-{number}",
        origin=Origin("test:poison", 0, number),
        body=UPGRADE,
    )


POISON: dict[str, tuple[str, Damage]] = {
    "no value": ("decode", lambda m: replace(m, value=None)),
    "empty value": ("decode", lambda m: replace(m, value=b"")),
    "wrong magic byte": ("decode", lambda m: replace(m, value=b"\x01" + (m.value or b"")[1:])),
    "unknown schema id": (
        "decode",
        lambda m: replace(m, value=b"\0" + (999_999).to_bytes(4, "big") + (m.value or b"")[5:]),
    ),
    "cut short": ("decode", lambda m: replace(m, value=(m.value or b"")[:40])),
    "trailing bytes": ("decode", lambda m: replace(m, value=(m.value or b"") + b"x")),
    "no key": ("contract", lambda m: replace(m, key=None)),
    "another account's key": ("contract", lambda m: replace(m, key=b"acc_other")),
    "another account's partition": ("contract", lambda m: replace(m, partition=((m.partition or 0) + 1) % 4)),
}


def dead_letters(settings: Settings) -> list[DeadLetter]:
    reader = TopicReader(settings.kafka.bootstrap_servers, settings.kafka.topic_prefix)
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        found = read_evidence(reader, connection).dead_letters
    return [letter for letter in found if letter.place.topic == f"{COMMANDS.name}.{ORDERS}.dlq"]


def test_each_poison_is_a_dead_letter_and_a_sound_command_behind_it_is_decided(
    settings: Settings, tmp_path: Path
) -> None:
    """Class and original bytes are kept; the orders behind the poison complete; verify stays clean."""
    with running_workers(settings, tmp_path):
        samples = opened_samples(settings, 12, 5, "poison")
        with bootstrap.importer(settings) as importer:
            sound = [_message(importer.encode(an_order(s, n)), s, settings) for n, s in enumerate(samples)]
            spoiled = [
                _message(importer.encode(an_order(samples[0], 100 + n)), samples[0], settings)
                for n in range(len(POISON))
            ]
            stranger = replace(
                an_order(samples[0], 99), account_id="acc_nobody", subscription_id="sub_nobody"
            )
            unknown = Message(
                COMMANDS.name,
                b"acc_nobody",
                importer.encode(stranger),
                partition_of("acc_nobody", settings.kafka.partitions),
                (("type", b"PlaceOrder"),),
            )
        poison = {
            name: damage(message)
            for (name, (_, damage)), message in zip(POISON.items(), spoiled, strict=True)
        } | {"unknown": unknown}
        wanted = {name: kind for name, (kind, _) in POISON.items()} | {"unknown": "unknown_account"}
        send_all(bootstrap.producer(settings, "test"), [*poison.values(), *sound], 30)
        wait_for(lambda: _decided(settings, len(sound)), "the sound orders are decided")
        report = check(target_of(settings), 60)
        letters = dead_letters(settings)

    kept = {(letter.dead_letter_class, letter.key, letter.value) for letter in letters}
    assert {(wanted[name], m.key, m.value or None) for name, m in poison.items()} == {
        (kind, key, value or None) for kind, key, value in kept
    }
    assert len(poison) == len({letter.id for letter in letters})
    assert [] == [f.first for f in report.findings if not f.holds and "outcome" not in f.invariant]


def _message(value: bytes, sample: SampleSubscription, settings: Settings) -> Message:
    return Message(
        COMMANDS.name,
        sample.account_id.encode(),
        value,
        partition_of(sample.account_id, settings.kafka.partitions),
        (("type", b"PlaceOrder"),),
    )


def _decided(settings: Settings, orders: int) -> bool:
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        row = connection.execute(
            "SELECT count(*) FROM read.order_status WHERE state IN ('COMPLETED', 'REJECTED', 'FAILED')"
        ).fetchone()
    return row is not None and row[0] >= orders
