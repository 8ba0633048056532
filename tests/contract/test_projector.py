"""The projector under its lease: whole decisions, an unbroken chain, one transaction per turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from typing import Any

import fastavro
import psycopg
import pytest

from projections import runner, tier_status
from projections.intake import ReadEvent
from schemas.avsc import EVENTS_SUBJECT, Schema, load_schema
from schemas.topics import EVENTS, PROJECTOR
from tests.support.event_log import EventLog, read_event
from tests.support.order_stories import envelope, opening, order_id_of, rejection, upgrade
from tests.support.projecting import Projecting, all_content, publish
from tierline.kit.database import Connection, connect
from tierline.kit.errors import Unavailable
from tierline.kit.memory_broker import MemoryBroker
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack
StartProjector = Callable[..., Projecting]


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """A session to look with."""
    with connect(settings.database_url, "test") as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture
def broker() -> MemoryBroker:
    """Two partitions of events."""
    return MemoryBroker(partitions=2)


@pytest.fixture
def projector(settings: Settings, broker: MemoryBroker) -> Iterator[StartProjector]:
    """Starts projectors on the broker's partitions; they are stopped at the end."""
    with ExitStack() as stack:

        def start(read: ReadEvent = read_event, batch_records: int = 1_000) -> Projecting:
            projecting = Projecting(settings, broker, read, batch_records)
            stack.callback(projecting.close)
            return projecting

        yield start


@pytest.fixture
def log() -> EventLog:
    """Partition 0: an opening, an upgrade, a rejection: three decisions, twelve events."""
    log = EventLog()
    opening(log)
    upgrade(log)
    rejection(log, order=2)
    return log


def places(connection: Connection) -> dict[int, tuple[int, int]]:
    """next_offset and next_position of the projector by partition."""
    rows = connection.execute(
        "SELECT partition, next_offset, next_position FROM oms.lease WHERE consumer = %s AND topic = %s",
        (PROJECTOR, EVENTS.name),
    ).fetchall()
    return {partition: (offset, position) for partition, offset, position in rows}


def audited(connection: Connection) -> list[tuple[int, int, str]]:
    """The audit trail: partition, position, type."""
    query = "SELECT partition, position, type FROM read.audit_entry ORDER BY partition, position"
    return connection.execute(query).fetchall()


def test_events_become_rows_and_the_lease_moves_with_them(
    projector: StartProjector, broker: MemoryBroker, log: EventLog, connection: Connection
) -> None:
    """One turn fills all read models and stands after the last decision."""
    publish(broker, log)

    projector().turn()

    assert {0: (12, 12), 1: (0, 0)} == places(connection)
    assert [(0, e["position"], e["type"]) for e in log.events] == audited(connection)
    assert ["COMPLETED", "REJECTED"] == [row["state"] for row in all_content(connection)["order_status"]]


def test_half_a_decision_is_never_seen(
    projector: StartProjector, broker: MemoryBroker, log: EventLog, connection: Connection
) -> None:
    """What was published of a decision waits for its rest, then all of it is there at once."""
    projecting = projector()
    publish(broker, log, 0, 7)
    projecting.turn(2)
    seen_before = places(connection)[0], len(audited(connection))
    publish(broker, log, 7)
    projecting.turn()

    assert ((2, 2), 2) == seen_before
    assert (12, 12) == places(connection)[0]
    assert 12 == len(audited(connection))


@pytest.mark.parametrize("batch_records", [1, 2, 3, 5])
def test_small_turns_give_the_same_rows(
    projector: StartProjector, broker: MemoryBroker, log: EventLog, connection: Connection, batch_records: int
) -> None:
    """A decision larger than a turn is put together over several."""
    publish(broker, log)

    projector(batch_records=batch_records).turn(13)

    assert (12, 12) == places(connection)[0]
    assert 12 == len(audited(connection))


@pytest.mark.parametrize("part", [1, 2, 5])
def test_a_turn_in_parts_gives_the_same_rows(
    projector: StartProjector,
    broker: MemoryBroker,
    log: EventLog,
    connection: Connection,
    part: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Decisions lie across parts; a repeat of an earlier part of the same turn is passed over."""
    monkeypatch.setattr(runner, "PART_RECORDS", part)
    projecting = projector()
    publish(broker, log, 0, 9)
    projecting.turn()
    log.repeat([9, 10])
    publish(broker, log, 9)
    projecting.turn()

    assert (14, 12) == places(connection)[0]
    assert [(0, e["position"], e["type"]) for e in log.events] == audited(connection)


def test_an_audit_trail_that_is_ahead_is_no_hindrance(
    projector: StartProjector, broker: MemoryBroker, log: EventLog, connection: Connection
) -> None:
    """Rows that a restored lease meets again are left as they are."""
    projecting = projector()
    publish(broker, log)
    projecting.turn()
    before = all_content(connection)
    projecting.close()
    connection.execute("DELETE FROM oms.lease")
    connection.commit()
    projector().turn()

    assert before == all_content(connection)
    assert (12, 12) == places(connection)[0]


def test_a_repeat_changes_nothing(
    projector: StartProjector, broker: MemoryBroker, log: EventLog, connection: Connection
) -> None:
    """What was published twice is passed over, in the same turn or a later one."""
    projecting = projector()
    publish(broker, log)
    projecting.turn()
    before = all_content(connection)
    log.repeat([0, 5, 11])
    publish(broker, log, 12)
    projecting.turn()

    assert before == all_content(connection)
    assert (15, 12) == places(connection)[0]


def test_another_event_at_a_known_position_stops_its_partition_alone(
    projector: StartProjector, broker: MemoryBroker, log: EventLog, connection: Connection
) -> None:
    """The partition stays where it is and pages; the other one goes on; nothing is skipped."""
    other = EventLog(partition=0)
    opening(other, number=7)
    neighbour = EventLog(partition=1)
    projecting = projector()
    publish(broker, log)
    projecting.turn()
    publish(broker, other, 0, 1)
    opening(neighbour, number=8)
    publish(broker, neighbour)
    projecting.turn()
    publish(broker, log, 0, 1)
    projecting.turn()

    assert (True, False) == (projecting.stalled(0), projecting.stalled(1))
    assert {0: (12, 12), 1: (2, 2)} == places(connection)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda records: records.pop(4), id="one missing"),
        pytest.param(lambda records: records.insert(3, records.pop(4)), id="two swapped"),
        pytest.param(
            lambda records: records.__setitem__(4, replace(records[4], value=records[5].value)),
            id="other bytes",
        ),
    ],
)
def test_a_broken_log_stops_its_partition_alone(
    projector: StartProjector, broker: MemoryBroker, log: EventLog, connection: Connection, damage: Any
) -> None:
    """Nothing of it is kept; the other partition of the very same first turn goes on."""
    damage(log.records)
    neighbour = EventLog(partition=1)
    opening(neighbour, number=8)
    publish(broker, log)
    publish(broker, neighbour)
    projecting = projector()
    projecting.turn()

    assert (True, False) == (projecting.stalled(0), projecting.stalled(1))
    assert {0: (0, 0), 1: (2, 2)} == places(connection)
    assert [1, 1] == [partition for partition, _, _ in audited(connection)]


def test_a_bug_of_a_fold_stops_the_partition_and_a_mended_one_goes_on(
    projector: StartProjector, broker: MemoryBroker, log: EventLog, connection: Connection, monkeypatch: Any
) -> None:
    """The events wait for the corrected code; none is skipped."""
    publish(broker, log)
    with monkeypatch.context() as patched:
        patched.setitem(
            tier_status._CHANGES, "TierChanged", lambda _row, body: {"tier": body["no such field"]}
        )
        broken = projector()
        broken.turn()
    stopped = broken.stalled(0), places(connection)[0]
    projector().turn()

    assert (True, (0, 0)) == stopped
    assert (12, 12) == places(connection)[0]


def test_a_registry_that_is_away_is_waited_for(
    projector: StartProjector, broker: MemoryBroker, log: EventLog, connection: Connection
) -> None:
    """An outage is nobody's fault: nothing is stopped, the same events are read again."""
    answers = iter([Unavailable("registry away")])

    def read(value: bytes) -> dict[str, Any]:
        for error in answers:
            raise error
        return read_event(value)

    publish(broker, log)
    projecting = projector(read)
    projecting.turn(4)

    assert not projecting.stalled(0)
    assert (12, 12) == places(connection)[0]


def test_a_session_that_was_ended_is_opened_again(
    projector: StartProjector, broker: MemoryBroker, log: EventLog, connection: Connection
) -> None:
    """The new session prepares what the old one had prepared."""
    projecting = projector()
    publish(broker, log, 0, 2)
    projecting.turn()
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = %s AND datname = current_database()",
        (PROJECTOR,),
    )
    publish(broker, log, 2)
    projecting.turn(4)

    assert not projecting.stalled(0)
    assert (12, 12) == places(connection)[0]
    assert 12 == len(audited(connection))


def test_a_projector_that_lost_its_partition_changes_nothing(
    projector: StartProjector, broker: MemoryBroker, log: EventLog, connection: Connection
) -> None:
    """Of two that believe they own it, the one that took it last writes; the rows are there once."""
    first, second = projector(), projector()
    first.turn()
    second.turn()
    publish(broker, log)
    first.worker.turn()
    between = audited(connection)
    second.turn()

    assert [] == between
    assert 12 == len(audited(connection))


def with_a_type_of_the_future() -> Schema:
    """The schema of a later writer: one more branch in the union of bodies."""
    schema = deepcopy(load_schema(EVENTS_SUBJECT))
    bodies = next(field["type"] for field in schema["fields"] if field["name"] == "body")
    fields = [{"name": "until", "type": "string"}, {"name": "amount_minor", "type": "long"}]
    bodies.append({"type": "record", "name": "tierline.oms.OrderPaused", "fields": fields})
    schema.pop("__fastavro_parsed__", None)
    schema.pop("__named_schemas", None)
    parsed = fastavro.parse_schema(schema)
    assert isinstance(parsed, dict)
    return parsed


def test_an_event_of_a_later_version_is_counted_and_kept(
    projector: StartProjector, broker: MemoryBroker, connection: Connection
) -> None:
    """Readers are deployed before writers: audit and timeline have it, the other models are as without it."""
    schema = with_a_type_of_the_future()
    log = EventLog(schema=schema)
    opening(log)
    order_id = upgrade(log)
    log.decide(
        ("OrderPaused", {"until": "2027-01-01", "amount_minor": 5}), **envelope(1), order_id=order_id_of(1)
    )
    rejection(log, order=2)
    publish(broker, log)
    projecting = projector(lambda value: read_event(value, schema))
    projecting.turn()
    found = all_content(connection)
    kept = {row["position"]: row for row in found["audit_entry"]}[9]

    assert not projecting.stalled(0)
    assert 1 == projecting.unknown("OrderPaused")
    assert ("OrderPaused", {"until": "2027-01-01", "amount_minor": 5}, 5) == (
        kept["type"],
        kept["body"],
        kept["amount_minor"],
    )
    assert (order_id, "OrderPaused") in {(row["order_id"], row["type"]) for row in found["order_timeline"]}
    assert ["COMPLETED", "REJECTED"] == [row["state"] for row in found["order_status"]]
    assert ["business"] == [row["tier"] for row in found["tier_status"]]


def test_an_unknown_event_is_counted_once_when_its_turn_is_undone(
    projector: StartProjector, broker: MemoryBroker, connection: Connection, monkeypatch: Any
) -> None:
    """Only what is committed is counted."""
    schema = with_a_type_of_the_future()
    log = EventLog(schema=schema)
    log.decide(("OrderPaused", {}), **envelope(1))
    projecting = projector(lambda value: read_event(value, schema))
    projecting.turn()
    publish(broker, log)
    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Connection, "commit", _refuse)
        projecting.turn()
    projecting.turn(2)

    assert 1 == len(audited(connection))
    assert 1 == projecting.unknown("OrderPaused")


def _refuse(_connection: object) -> None:
    raise psycopg.OperationalError("the server closed the connection")
