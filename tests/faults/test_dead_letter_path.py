"""The way to the dead-letter topic is broken: nothing is lost, and one record's fault stays that record's."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.create_topics import create_topics
from schemas.topics import NORMALIZER, Topic, orders_topic
from tests.support.fault_runs import Fault, FaultRun, Faults
from tests.support.normalizer_bench import NormalizerBench
from tests.support.pipeline import InFlight, opened_samples, running_workers
from tests.support.stack import environment_of
from tests.support.waiting import wait_for
from tierline.kit.confluent_broker import new_admin
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.verify.check import Report, check
from tierline.workload.orders import SampleOrders
from tierline.workload.records import Kind
from tierline.workload.running import target_of

pytestmark = [pytest.mark.fault, pytest.mark.timeout(420)]

PORTAL = orders_topic("portal")
WAIT_S = 120
SMALL_BYTES = 16_384
IMPATIENCE_MS = 5_000
"""How long a worker tries to send to a topic that is gone."""


def twin_of(topic: Topic) -> Topic:
    """The topic of its dead letters."""
    assert topic.dead_letter is not None
    return topic.dead_letter


def dead_letter_topic(settings: Settings) -> str:
    """The portal's dead-letter topic, as it is called on the wire."""
    return settings.kafka.topic_prefix + twin_of(PORTAL).name


def delete(settings: Settings) -> None:
    """Take the portal's dead-letter topic away, and see that it is gone."""
    admin, name = new_admin(settings.kafka), dead_letter_topic(settings)
    admin.delete_topics([name], operation_timeout=30)[name].result()
    wait_for(lambda: name not in admin.list_topics(timeout=30).topics, f"{name} is gone", WAIT_S)


def shrink(admin: AdminClient, name: str) -> None:
    """Let the topic take small records only."""
    entry = ConfigEntry("max.message.bytes", str(SMALL_BYTES), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    for answer in admin.incremental_alter_configs([resource], request_timeout=30).values():
        answer.result()


def bad(number: int, size: int = 10) -> Message:
    """A record of its own key that cannot be read, nor packed smaller."""
    rest = random.Random(size).randbytes(size)
    return Message(PORTAL.name, b"bad-%d" % number, b'{"broken' + rest, number % 4)


def sound(settings: Settings, seed: int) -> list[Message]:
    """Orders of the portal that can be decided."""
    samples = opened_samples(settings, 60, seed, "dead-letters")
    mix: dict[Kind, float] = {}
    records = SampleOrders(samples, seed, "dead-letters", channels=("portal",), mix=mix).take(80)
    return [Message(PORTAL.name, (record.key or "").encode() or None, record.value) for record in records]


def clean(settings: Settings) -> Report:
    """Wait for every outcome; the report, where nothing is broken."""
    report = check(target_of(settings), WAIT_S)
    assert [] == [f"{f.invariant}: {f.first}" for f in report.findings if not f.holds]
    return report


def test_without_its_dead_letter_topic_the_normalizer_refuses_to_start(settings: Settings) -> None:
    """It names the topic and what to do; it does not wait for the first dead record to find out."""
    bench = NormalizerBench(settings)
    delete(settings)
    ended = subprocess.run(
        [sys.executable, "-m", "tierline.cli", "run", "normalizer"],
        env={**os.environ, **environment_of(bench.settings)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert 1 == ended.returncode
    assert dead_letter_topic(settings) in ended.stderr
    assert "tierline prepare" in ended.stderr


def test_a_dead_letter_topic_that_goes_away_costs_nothing(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """The worker ends rather than pass a dead record by; with the topic back every record has its outcome.

    Triage waits to be told that its positions hold for the new topic as well.
    """
    impatient = settings.kafka.model_copy(update={"delivery_timeout_ms": IMPATIENCE_MS})
    bench = NormalizerBench(settings.model_copy(update={"kafka": impatient}))
    run = FaultRun(InFlight(bench.settings))
    with running_workers(bench.settings, tmp_path) as workers:
        orders = sound(bench.settings, 7)
        normalizer = workers["normalizer"]
        bench.publish(orders[:40])
        bench.wait_until_all_ended(WAIT_S)
        delete(settings)
        before = normalizer.restarts
        bench.publish([*(bad(number) for number in range(8)), *orders[40:]])
        run.hit(Fault.NO_DEAD_LETTERS, normalizer.name, run.in_flight.wait_for_work(NORMALIZER))
        wait_for(lambda: normalizer.restarts > before, "the normalizer has ended", WAIT_S)
        assert 0 < bench.fetch("SELECT count(*) FROM deadletter.verdict")[0][0], (
            "no dead letter was under way"
        )
        create_topics(new_admin(bench.settings.kafka), bench.settings.kafka)
        bench.wait_until_all_ended(WAIT_S)
        bench.execute("DELETE FROM oms.setting WHERE name = 'topic_id.' || %s", twin_of(PORTAL).name)
        report = clean(bench.settings)
        faults.ended(run, report, 88)

    assert 8 == report.tallies["portal"].dead_lettered
    assert 88 == report.tallies["portal"].outcomes
    assert "was not taken" in (tmp_path / "normalizer.log").read_text()


def test_a_dead_letter_that_is_too_large_is_told_without_its_bytes(
    settings: Settings, tmp_path: Path
) -> None:
    """The broker refuses the copy for good: the worker goes on, and length and digest stand in for it."""
    bench = NormalizerBench(settings)
    with running_workers(bench.settings, tmp_path) as workers:
        orders = sound(bench.settings, 8)
        shrink(new_admin(settings.kafka), dead_letter_topic(settings))
        pid = workers["normalizer"].pid
        bench.publish([bad(0, 2 * SMALL_BYTES), bad(1), *orders])
        bench.wait_until_all_ended(WAIT_S)
        assert pid == workers["normalizer"].pid
        report = clean(bench.settings)

    assert (2, 82) == (report.tallies["portal"].dead_lettered, report.tallies["portal"].outcomes)
    told = {letter.record.key: letter.headers.get("oms.dlq.value.bytes") for letter in bench.dead("portal")}
    assert {b"bad-0": str(2 * SMALL_BYTES + 8), b"bad-1": None} == told
