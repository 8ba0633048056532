"""The store of dead letters under its lease: each one once, with its bytes, until somebody ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain

import psycopg
import pytest

from deadletter.envelope import dead_letter_message, dead_letter_without_value
from deadletter.groups import open_groups
from deadletter.open_records import Closing, audit, close
from deadletter.triage import OpenGauges, take_in
from schemas.topics import TRIAGE
from tests.support.dead_letters import (
    ACCOUNT_OF,
    DLQ,
    MISSING,
    Triaging,
    letter,
    publish,
    record_of,
    stored,
)
from tierline.kit.clock import FakeClock
from tierline.kit.database import Connection, connect
from tierline.kit.memory_broker import MemoryBroker
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.kit.telemetry import Metrics

pytestmark = pytest.mark.stack


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """A session to look with."""
    with connect(settings.database_url, "test") as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture
def broker() -> MemoryBroker:
    """Two partitions of dead letters."""
    return MemoryBroker(partitions=2)


@pytest.fixture
def triaging(settings: Settings, broker: MemoryBroker) -> Iterator[Callable[[], Triaging]]:
    """Starts triage workers on the broker's partitions; they are stopped at the end."""
    with ExitStack() as stack:

        def start() -> Triaging:
            made = Triaging(settings, broker)
            stack.callback(made.worker.leave)
            return made

        yield start


def test_every_dead_letter_is_kept_with_key_bytes_and_headers(
    triaging: Callable[[], Triaging], broker: MemoryBroker, connection: Connection
) -> None:
    """The row is the whole record; the lease stands behind it."""
    letters = [letter(n) for n in range(4)]
    publish(broker, letters)

    triaging().turn()

    rows = stored(connection)
    assert [one.id for one in letters] == [str(row["dead_letter_id"]) for row in rows]
    for one, row in zip(letters, rows, strict=True):
        message = dead_letter_message(one)
        headers = [(n.encode(), v) for n, v in message.headers]
        assert (message.key, message.value, headers) == (
            row["key"],
            row["value"],
            list(zip(row["header_names"], row["header_values"], strict=True)),
        )
    assert [f"sub_{n}" for n in range(4)] == [row["account"] for row in rows]
    leases = connection.execute(
        "SELECT partition, next_offset FROM oms.lease WHERE consumer = %s AND topic = %s ORDER BY 1",
        (TRIAGE, DLQ),
    ).fetchall()
    assert [(0, 2), (1, 2)] == leases


@pytest.mark.parametrize("order", ["twice", "mixed", "backwards"])
def test_a_batch_that_comes_again_changes_nothing(connection: Connection, order: str) -> None:
    """However it is cut and mixed: the same id is the same dead letter."""
    records = [record_of(dead_letter_message(letter(n)), n) for n in range(6)]
    take_in(connection, records, ACCOUNT_OF)
    before = stored(connection)
    again = {
        "twice": records,
        "mixed": list(chain.from_iterable(zip(records[3:], records[:3], strict=True))),
        "backwards": records[::-1],
    }[order]

    added = take_in(connection, [*again, *again], ACCOUNT_OF)

    assert (0, before) == (added, stored(connection))


def test_a_repeat_in_one_batch_is_one_dead_letter(connection: Connection) -> None:
    """The first one counts, whatever the second one says."""
    first = record_of(dead_letter_message(letter(0)), 0)
    again = record_of(dead_letter_message(letter(0, MISSING, failed_at=9)), 1)

    assert 1 == take_in(connection, [first, again], ACCOUNT_OF)
    assert ["UNKNOWN_REFERENCE"] == [row["code"] for row in stored(connection)]


def test_a_worker_that_dies_before_its_commit_leaves_all_to_its_successor(
    triaging: Callable[[], Triaging], broker: MemoryBroker, connection: Connection
) -> None:
    """Neither rows nor lease of half a turn; then everything once."""
    publish(broker, [letter(n) for n in range(4)])
    dying = triaging()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("deadletter.triage.reached", _die)
        with pytest.raises(_KilledError):
            dying.turn()
        dying.worker._drop_session()  # as the end of a process ends its sessions
    before = stored(connection)

    triaging().turn()

    assert ([], 4) == (before, len(stored(connection)))


class _KilledError(BaseException):
    """What kill -9 is here."""


def _die(_point: str) -> None:
    raise _KilledError


def test_a_stand_in_is_kept_as_what_it_is(connection: Connection) -> None:
    """Length and digest of bytes that were too large to copy; a record without a value is another thing."""
    large, tombstone = letter(0), letter(1)
    tombstone = replace(tombstone, record=replace(tombstone.record, value=None))
    records = [
        record_of(dead_letter_without_value(large)),
        record_of(dead_letter_message(tombstone)),
    ]

    take_in(connection, records, ACCOUNT_OF)

    first, second = stored(connection)
    assert (None, len(large.record.value or b""), 32) == (
        first["value"],
        first["value_bytes"],
        len(first["value_sha256"]),
    )
    assert (None, None, None) == (second["value"], second["value_bytes"], second["value_sha256"])
    assert "key-0" == first["account"]


def test_a_record_that_is_no_dead_letter_is_kept_and_stops_nobody(
    triaging: Callable[[], Triaging], broker: MemoryBroker, connection: Connection
) -> None:
    """Whatever somebody wrote there by hand becomes a dead letter of its own place."""
    broken = dead_letter_message(letter(4))
    spoiled = [
        replace(broken, headers=tuple((n, b"\xff\0" if n == name else v) for n, v in broken.headers))
        for name in ("oms.dlq.id", "oms.dlq.class", "oms.dlq.intent.index", "oms.dlq.first.failed.at")
    ]
    for message in (Message(DLQ, b"\0", b"\0hello", 0, (("x", b""),)), Message(DLQ, None, None, 0), *spoiled):
        broker.append(message)
    publish(broker, [letter(2)])

    triaging().turn()

    rows = stored(connection)
    assert 7 == len(rows)
    assert {"NOT_A_DEAD_LETTER": 6, "UNKNOWN_REFERENCE": 1} == {
        code: sum(row["code"] == code for row in rows) for code in {row["code"] for row in rows}
    }


def test_texts_that_postgresql_cannot_hold_are_kept_readable(connection: Connection) -> None:
    """NUL and bytes that are no UTF-8 in headers; a lone surrogate is '?' already."""
    message = dead_letter_message(letter(0))
    odd = replace(
        message, headers=tuple((n, b"a\0\xff" if n == "oms.dlq.field" else v) for n, v in message.headers)
    )

    take_in(connection, [record_of(odd)], ACCOUNT_OF)

    assert "a?�" == stored(connection)[0]["field"]


def test_an_ended_dead_letter_leaves_its_reason_and_stays_ended(connection: Connection) -> None:
    """The bytes go, the summary and the audit entry stay; a repeat does not open it again."""
    records = [record_of(dead_letter_message(letter(n)), n) for n in range(2)]
    take_in(connection, records, ACCOUNT_OF)
    wanted, other = letter(0).id, letter(1).id

    closed = close(connection, [wanted], Closing.DISCARDED, "ada", "test orders")
    again = close(connection, [wanted], Closing.DISCARDED, "ada", "test orders")
    added = take_in(connection, records, ACCOUNT_OF)

    row, kept = stored(connection)
    assert ((wanted,), (), 0) == (closed, again, added)
    assert ("discarded", "ada", "test orders") == (row["closed_as"], row["closed_by"], row["reason"])
    assert [None] * 4 == [row[name] for name in ("key", "value", "header_names", "header_values")]
    assert 32 == len(row["value_sha256"])
    assert (None, other) == (kept["closed_as"], str(kept["dead_letter_id"]))
    audited = connection.execute("SELECT actor, action, dead_letter_id::text, reason FROM deadletter.audit")
    assert [("ada", "discarded", wanted, "test orders")] == audited.fetchall()


def test_no_dead_letter_ends_without_a_reason(connection: Connection) -> None:
    """The table itself refuses."""
    take_in(connection, [record_of(dead_letter_message(letter(0)))], ACCOUNT_OF)

    with pytest.raises(psycopg.errors.CheckViolation):
        close(connection, [letter(0).id], Closing.RESOLVED, "ada", "")


def test_a_look_at_a_payload_is_noted(connection: Connection) -> None:
    """Who, at which dead letter; a reason is not asked for."""
    audit(connection, [letter(0).id], "ada", "unmask", None)

    row = connection.execute("SELECT actor, action, dead_letter_id::text FROM deadletter.audit").fetchone()
    assert ("ada", "unmask", letter(0).id) == row


def test_groups_count_what_is_open_by_cause(connection: Connection) -> None:
    """Two references are two accounts, the same one in another record is not; what ended does not count."""
    same = replace(letter(6), record=replace(letter(6).record, value=letter(0).record.value))
    keyless = letter(8, MISSING)
    keyless = replace(keyless, record=replace(keyless.record, key=None, value=b"{"))
    letters = [letter(0), letter(2), letter(4, app_version="1.1"), same, keyless]
    records = [record_of(dead_letter_message(one), n) for n, one in enumerate(letters)]
    take_in(connection, records, ACCOUNT_OF)
    close(connection, [letter(2).id], Closing.DISCARDED, "ada", "done")

    first, second = open_groups(connection)

    assert ("UNKNOWN_REFERENCE", 3, 2, 0) == (first.code, first.records, first.accounts, first.unread)
    assert (("1.0", "1.1"), ("eu",), same.id) == (first.app_versions, first.sources, first.example)
    assert ("MISSING_FIELD", 1, 0, 1) == (second.code, second.records, second.accounts, second.unread)


def test_the_gauges_tell_what_is_open(settings: Settings, connection: Connection) -> None:
    """By channel and class, and when the oldest failed first; a class that emptied is gone."""
    metrics, clock = Metrics(), FakeClock()
    gauges = OpenGauges(partial(connect, settings.database_url, "test"), clock, metrics)
    take_in(connection, [record_of(dead_letter_message(letter(n)), n) for n in range(3)], ACCOUNT_OF)
    sample = metrics.registry.get_sample_value
    labels = {"channel": "portal", "class": "unknown_account"}

    gauges.each_round()
    told = (
        sample("oms_dlq_open_records", labels),
        sample("oms_dlq_open_groups"),
        sample("oms_dlq_oldest_open_timestamp_seconds"),
    )
    close(connection, [letter(n).id for n in range(3)], Closing.DISCARDED, "ada", "done")
    gauges.each_round()
    too_early = sample("oms_dlq_open_groups")
    clock.advance(5_000)
    gauges.each_round()
    gauges.close()

    assert ((3.0, 1.0, 1_795_435_200.0), 1.0) == (told, too_early)
    assert (None, 0.0, 0.0) == (
        sample("oms_dlq_open_records", labels),
        sample("oms_dlq_open_groups"),
        sample("oms_dlq_oldest_open_timestamp_seconds"),
    )
