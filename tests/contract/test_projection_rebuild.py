"""A rebuild gives the same rows as the live table, beside live traffic, and can be stopped at any point."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from projections import next_table, rebuild
from projections.intake import LogBroken
from projections.models import BY_NAME, READ_MODELS
from projections.read import tier_visible_at
from projections.read_model import ReadModel
from projections.rebuild import Rebuild, Rebuilt, TableInUse
from schemas.topics import EVENTS
from tests.support.event_log import EventLog, read_event
from tests.support.order_stories import opening, rejection, upgrade, upgrade_through_gateway
from tests.support.projecting import Projecting, all_content, content, publish
from tierline.kit.database import Connection, connect
from tierline.kit.leases import LeaseLost
from tierline.kit.memory_broker import MemoryBroker
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack
each_model = pytest.mark.parametrize("model", READ_MODELS, ids=lambda model: model.name)
AUDIT = BY_NAME["audit_entry"]


@pytest.fixture
def broker() -> MemoryBroker:
    """Two partitions of events."""
    return MemoryBroker(partitions=2)


@pytest.fixture
def logs() -> list[EventLog]:
    """One log per partition, each with orders of several kinds."""
    logs = [EventLog(partition) for partition in range(2)]
    for number, log in enumerate(logs):
        opening(log, number)
        rejection(log, number)
        upgrade_through_gateway(log, number, order=2)
    return logs


@pytest.fixture
def live(settings: Settings, broker: MemoryBroker, logs: list[EventLog]) -> Iterator[Projecting]:
    """A projector that has read all logs."""
    for log in logs:
        publish(broker, log)
    with closing(Projecting(settings, broker)) as live:
        live.turn()
        yield live


@pytest.fixture
def connection(settings: Settings, live: Projecting) -> Iterator[Connection]:
    """The session of a rebuild."""
    with connect(settings.database_url, "test-rebuild") as connection:
        yield connection


@pytest.fixture
def watcher(settings: Settings, live: Projecting) -> Iterator[Connection]:
    """Another session, to look with."""
    with connect(settings.database_url, "test") as watcher:
        watcher.autocommit = True
        yield watcher


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several batches, and a swap that begins only when everything is read."""
    monkeypatch.setattr(rebuild, "BATCH_RECORDS", 5)
    monkeypatch.setattr(rebuild, "_CLOSE_ENOUGH", 0)


def indexes(connection: Connection, model: ReadModel) -> list[tuple[str, ...]]:
    """Names and definitions of a table's indexes."""
    query = (
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'read' AND tablename = %s ORDER BY 1"
    )
    return connection.execute(query, (model.name,)).fetchall()


def explained(connection: Connection, model: ReadModel) -> list[tuple[str, ...]]:
    """The comments and options of a table."""
    query = (
        "SELECT obj_description(t.oid), reloptions, attname, col_description(t.oid, attnum), attnotnull "
        "FROM pg_class AS t JOIN pg_attribute ON attrelid = t.oid AND attnum > 0 WHERE t.oid = %s::regclass "
        "ORDER BY attname"
    )
    return connection.execute(query, (model.table.live,)).fetchall()


def leftovers(connection: Connection) -> list[tuple[str, ...]]:
    """Tables and places of rebuilds that were not cleared away."""
    return connection.execute(
        "SELECT relname FROM pg_class WHERE relname LIKE '%\\_\\_next%' "
        "UNION ALL SELECT consumer FROM oms.lease WHERE consumer LIKE 'rebuild.%' "
        "UNION ALL SELECT name FROM read.read_model WHERE next_version IS NOT NULL"
    ).fetchall()


@each_model
def test_a_rebuilt_table_holds_the_same_rows(
    model: ReadModel,
    broker: MemoryBroker,
    connection: Connection,
    watcher: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Content, indexes, comments, options: read before the swap, or, a second time, wholly within it."""
    before = all_content(watcher), indexes(watcher, model), explained(watcher, model)

    for left_for_the_swap in (0, 1_000):
        monkeypatch.setattr(rebuild, "_CLOSE_ENOUGH", left_for_the_swap)
        rebuilt = Rebuild(model, connection, broker, read_event).run()
        rows = len(before[0][model.name])

        assert Rebuilt(model.name, resumed=False, events=32, rows_before=rows, rows_after=rows) == rebuilt
        assert before == (all_content(watcher), indexes(watcher, model), explained(watcher, model))
        assert [] == leftovers(watcher)


@each_model
def test_live_traffic_goes_on_and_into_the_new_table(
    model: ReadModel,
    broker: MemoryBroker,
    logs: list[EventLog],
    live: Projecting,
    connection: Connection,
    watcher: Connection,
) -> None:
    """Orders arrive while the rebuild runs and after it; all of them are in the table in the end."""
    arrived: list[str] = []

    def order_arrives(_done: int, _all: int) -> None:
        if len(arrived) < 3:
            arrived.append(upgrade(logs[0], number=0, order=10 + len(arrived)))
            publish(broker, logs[0], len(broker.logs[EVENTS.name, 0]))
            live.turn()

    Rebuild(model, connection, broker, read_event).run(order_arrives)
    upgrade(logs[1], number=1, order=20)
    publish(broker, logs[1], len(broker.logs[EVENTS.name, 1]))
    live.turn()
    rebuilt = content(watcher, model)
    Rebuild(model, connection, broker, read_event).run()

    assert 3 == len(arrived)
    assert not live.stalled(0)
    assert rebuilt == content(watcher, model)
    assert {len(log.events) for log in logs} == {
        count for (count,) in watcher.execute("SELECT count(*) FROM read.audit_entry GROUP BY partition")
    }


def test_a_damaged_audit_trail_is_mended(
    broker: MemoryBroker, logs: list[EventLog], live: Projecting, connection: Connection, watcher: Connection
) -> None:
    """The rows come from the topic, the live ones are only counted; repeats are judged by the new table."""
    logs[0].repeat([4])
    upgrade(logs[0], number=0, order=3)
    publish(broker, logs[0], 16)
    live.turn()
    before = all_content(watcher)
    watcher.execute("DELETE FROM read.audit_entry WHERE partition = 0 AND position BETWEEN 3 AND 6")

    rebuilt = Rebuild(AUDIT, connection, broker, read_event).run()

    assert (35, 39) == (rebuilt.rows_before, rebuilt.rows_after)
    assert before == all_content(watcher)


class Stopped(Exception):
    """The process of a rebuild ends here."""


def stop_after(events: int) -> rebuild.Told:
    """Ends the rebuild when it has that many events."""

    def told(done: int, _all: int) -> None:
        if done >= events:
            raise Stopped

    return told


def stopped_half_way(broker: MemoryBroker, connection: Connection, model: ReadModel = AUDIT) -> None:
    """A rebuild that ends after a third of the events."""
    with pytest.raises(Stopped):
        Rebuild(model, connection, broker, read_event).run(stop_after(10))
    connection.rollback()


@each_model
def test_a_stopped_rebuild_goes_on_where_it_stopped(
    model: ReadModel, broker: MemoryBroker, connection: Connection, watcher: Connection
) -> None:
    """Nothing is read twice from the log, and the result is the same."""
    before = all_content(watcher)
    stopped_half_way(broker, connection, model)
    seen: list[int] = []

    rebuilt = Rebuild(model, connection, broker, read_event).run(lambda done, _all: seen.append(done))

    assert rebuilt.resumed
    assert seen[0] > 10
    assert before == all_content(watcher)


def test_a_stopped_rebuild_can_be_abandoned(
    broker: MemoryBroker, connection: Connection, watcher: Connection
) -> None:
    """Nothing of it is left, the live table was never touched."""
    before = all_content(watcher)
    stopped_half_way(broker, connection)

    next_table.abandon(connection, AUDIT)
    connection.commit()

    assert [] == leftovers(watcher)
    assert before == all_content(watcher)
    assert not Rebuild(AUDIT, connection, broker, read_event).run().resumed


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE read.read_model SET next_version = 99 WHERE name = 'audit_entry'",
        "ALTER TABLE read.audit_entry ADD COLUMN remark text",
    ],
    ids=["another fold", "other columns"],
)
def test_a_rebuild_that_does_not_fit_any_more_starts_anew(
    broker: MemoryBroker, connection: Connection, watcher: Connection, change: str
) -> None:
    """What another version began is thrown away."""
    stopped_half_way(broker, connection)
    watcher.execute(change)

    assert not Rebuild(AUDIT, connection, broker, read_event).run().resumed


def test_of_two_rebuilds_the_later_one_wins(
    settings: Settings, broker: MemoryBroker, connection: Connection, watcher: Connection
) -> None:
    """The first one notices at its next step and gives up."""
    before = all_content(watcher)

    def another_one(_done: int, _all: int) -> None:
        with connect(settings.database_url, "test-other") as other:
            Rebuild(AUDIT, other, broker, read_event).run()

    with pytest.raises(LeaseLost):
        Rebuild(AUDIT, connection, broker, read_event).run(another_one)
    connection.rollback()

    assert before == all_content(watcher)
    assert [] == leftovers(watcher)


def test_a_log_without_what_live_has_read_is_refused(
    broker: MemoryBroker, connection: Connection, watcher: Connection
) -> None:
    """A topic that was made anew must not empty a read model."""
    before = all_content(watcher)
    broker.logs[EVENTS.name, 0].clear()

    with pytest.raises(
        LogBroken, match=r"partition 0 ends at position 0, but the live projector has read 16"
    ):
        Rebuild(AUDIT, connection, broker, read_event).run()
    connection.rollback()

    assert before == all_content(watcher)


def test_a_table_that_is_read_without_pause_is_not_swapped(
    settings: Settings, broker: MemoryBroker, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rebuild says what to do; run again when the reader is gone, only the swap is left."""
    monkeypatch.setattr(rebuild, "_SWAP_LOCK", "SET LOCAL lock_timeout = '20ms'")
    with psycopg.connect(settings.database_url.get_secret_value()) as reader:
        reader.execute("SELECT count(*) FROM read.audit_entry")
        with pytest.raises(TableInUse, match=r"read.audit_entry is read without pause"):
            Rebuild(AUDIT, connection, broker, read_event).run()

    rebuilt = Rebuild(AUDIT, connection, broker, read_event).run()

    assert (True, 32) == (rebuilt.resumed, rebuilt.rows_after)


def test_when_a_tier_became_visible_survives_a_rebuild(
    broker: MemoryBroker, connection: Connection, watcher: Connection
) -> None:
    """The commit time of the first row is carried over, also by a second rebuild."""
    (order_id,) = (
        watcher.execute("SELECT order_id FROM read.tier_history WHERE order_id IS NOT NULL").fetchone() or ()
    )
    before = tier_visible_at(watcher, order_id)

    for _ in range(2):
        Rebuild(BY_NAME["tier_history"], connection, broker, read_event).run()

    assert before is not None
    assert before == tier_visible_at(watcher, order_id)


def test_nothing_was_projected_yet(settings: Settings) -> None:
    """A rebuild of an empty table is an empty table."""
    with connect(settings.database_url, "test-rebuild") as connection:
        rebuilt = Rebuild(AUDIT, connection, MemoryBroker(), read_event).run()

    assert (0, 0, 0) == (rebuilt.events, rebuilt.rows_before, rebuilt.rows_after)


def test_the_swap_waits_for_the_turn_of_the_projector(
    settings: Settings,
    broker: MemoryBroker,
    connection: Connection,
    watcher: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While a turn holds its leases, nothing is swapped under it."""
    monkeypatch.setattr(rebuild, "_SWAP_LOCK", "SET LOCAL lock_timeout = '20ms'")
    with connect(settings.database_url, "test-turn") as turn:
        turn.execute("SELECT FROM oms.lease WHERE consumer = 'tierline-projector' FOR NO KEY UPDATE")
        with pytest.raises(TableInUse):
            Rebuild(AUDIT, connection, broker, read_event).run()
    connection.rollback()

    assert ["audit_entry__next"] == [
        name
        for (name,) in watcher.execute("SELECT relname FROM pg_class WHERE relname = 'audit_entry__next'")
    ]
