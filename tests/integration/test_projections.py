"""Events on a real topic become read models, which the commands show, list and build anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from schemas.registration import register_schemas
from schemas.registry import Registry
from schemas.topics import EVENTS
from tests.support.event_log import EventLog
from tests.support.order_stories import opening, order_id_of, rejection, upgrade, upgrade_through_gateway
from tests.support.projecting import all_content
from tests.support.stack import SharedStack, environment_of, own_part_of
from tierline import bootstrap
from tierline.kit.broker import send_all
from tierline.kit.database import Connection, connect
from tierline.kit.health import Health
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.kit.telemetry import Metrics

pytestmark = pytest.mark.stack
DEADLINE_S = 60


@dataclass(frozen=True, slots=True)
class World:
    """A prepared stack with a projector that runs, and the event logs that were published."""

    settings: Settings
    connection: Connection
    logs: list[EventLog]

    def publish(self, log: EventLog, start: int = 0) -> None:
        """Store and publish the records of ``log`` from ``start`` on, as the decider would."""
        for event, record in list(zip(log.events, log.records, strict=True))[start:]:
            self.connection.execute(
                "INSERT INTO oms.event VALUES (%s, %s, %s, %s, %s, %s, %s, now(), %s, %s)",
                (
                    *(event[n] for n in ("partition", "position", "stream_id", "version", "account_id")),
                    *(event[n] for n in ("order_id", "type", "hash")),
                    record.value,
                ),
            )
        producer = bootstrap.producer(self.settings, "test")
        messages = [
            Message(EVENTS.name, r.key, r.value, log.partition, r.headers) for r in log.records[start:]
        ]
        send_all(producer, messages, DEADLINE_S)

    def wait(self) -> None:
        """Wait until every published event is in the audit trail."""
        wanted = sum(len(log.events) for log in self.logs)
        deadline = time.monotonic() + DEADLINE_S
        while self.audited() < wanted:
            assert time.monotonic() < deadline, f"{self.audited()} of {wanted} events arrived"
            threading.Event().wait(0.02)

    def audited(self) -> int:
        """How many events the audit trail has."""
        row = self.connection.execute("SELECT count(*) FROM read.audit_entry").fetchone()
        return row[0] if row else 0

    def tierline(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a person would."""
        return subprocess.run(
            [sys.executable, "-m", "tierline.cli", *arguments],
            env={**os.environ, **environment_of(self.settings)},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )


@pytest.fixture(scope="module")
def world(shared: SharedStack) -> Iterator[World]:
    """Two accounts with orders of every kind, projected."""
    with ExitStack() as stack:
        settings = stack.enter_context(own_part_of(shared))
        bootstrap.prepare(settings)
        connection = stack.enter_context(connect(settings.database_url, "test"))
        connection.autocommit = True
        registry = stack.enter_context(Registry(settings.registry_url))
        schema_id = register_schemas(registry, connection).events
        worker = bootstrap.BUILDERS["projector"](settings, Metrics(), Health(), stack)
        thread = threading.Thread(target=worker.run)
        thread.start()
        stack.callback(thread.join)
        stack.callback(worker.stop)
        world = World(settings, connection, [EventLog(p, schema_id=schema_id) for p in range(2)])
        for number, log in enumerate(world.logs):
            opening(log, number)
            upgrade_through_gateway(log, number)
            rejection(log, number, order=2)
            world.publish(log)
        world.wait()
        yield world


def test_the_list_says_how_far_every_model_is(world: World) -> None:
    """Nothing is behind; every read model is there with its version."""
    listed = world.tierline("projections", "list", "--json")
    found = json.loads(listed.stdout)

    assert (0, "") == (listed.returncode, listed.stderr)
    assert {"audit_entry", "order_status", "order_timeline", "tier_history", "tier_status"} == {
        model["name"] for model in found["read_models"]
    }
    assert {log.partition: (len(log.events), len(log.events)) for log in world.logs} == {
        place["partition"]: (place["decided"], place["applied"])
        for place in found["partitions"]
        if place["decided"]
    }
    assert "0 events behind in all." in world.tierline("projections", "list").stdout


@pytest.mark.parametrize("name", ["tier_history", "audit_entry"])
def test_a_rebuild_from_the_real_topic_equals_the_live_table(world: World, name: str) -> None:
    """While the projector runs; afterwards it goes on into the new table."""
    before, events = all_content(world.connection), world.audited()
    rebuilt = world.tierline("projections", "rebuild", name)
    equal = before == all_content(world.connection)
    log = world.logs[0]
    start = len(log.records)
    upgrade(log, number=0, order=start)
    world.publish(log, start)
    world.wait()

    assert (0, "") == (rebuilt.returncode, rebuilt.stderr)
    assert f"{name} was built anew from {events} events in " in rebuilt.stdout
    assert f"swapped in: {len(before[name])} rows, as many as before." in rebuilt.stdout
    assert equal
    assert events + 7 == world.audited()


def test_a_read_model_that_does_not_exist_is_named_with_those_that_do(world: World) -> None:
    """Exit code 2: used wrongly."""
    asked = world.tierline("projections", "rebuild", "tiers")

    assert 2 == asked.returncode
    assert "'tiers' is no read model" in asked.stderr
    assert "tier_status" in asked.stderr


def test_an_order_is_shown_with_everything_that_was_decided(world: World) -> None:
    """By its id or the beginning of it; for programs the same facts."""
    order_id = order_id_of(0)
    shown = world.tierline("orders", "show", order_id)
    beginning = world.tierline("orders", "show", order_id[:9], "--json")
    found = json.loads(beginning.stdout)

    assert (0, "") == (shown.returncode, shown.stderr)
    for said in (f"Order {order_id}   COMPLETED", "team-month ×12 seats → business-year ×15 seats, now"):  # noqa: RUF001
        assert said in shown.stdout
    assert " ms from channel to tier" in shown.stdout
    assert order_id == found["order"]["order_id"]
    assert "2026-11-23T10:02:11.124Z" == found["order"]["received_at"]
    assert "OrderReceived" == found["timeline"][0]["type"]
    assert found["channel_to_tier_ms"] is not None


def test_orders_are_found_by_the_channels_reference(world: World) -> None:
    """Newest first; the next command is printed."""
    found = world.tierline("orders", "find", "--channel", "portal", "--ref", "web-1", "--json")
    table = world.tierline("orders", "find", "--channel", "portal", "--ref", "web-1", "--source", "main")

    assert {"COMPLETED", "REJECTED"} == {order["state"] for order in json.loads(found.stdout)}
    assert "Next: tierline orders show " in table.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "ffffffff"), "There is no order ffffffff."),
        (("show", "ord_1"), "'ord_1' is not an order id or the beginning of one."),
        (("show", ""), "More than one order begins with"),
        (("find", "--channel", "portal", "--ref", "none"), "portal sent no order none that was decided."),
    ],
)
def test_an_order_that_is_not_there_is_one_clear_line(
    world: World, arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 1 and what to do."""
    asked = world.tierline("orders", *arguments)

    assert (1, "") == (asked.returncode, asked.stdout)
    assert asked.stderr.startswith(f"error: {said}")
