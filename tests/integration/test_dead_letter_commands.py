"""Dead letters of real workers: kept through a kill -9, shown, exported and ended by the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import dead_letter_topics
from tests.support.avro_records import COMMAND
from tests.support.dead_letters import stored
from tests.support.stack import SharedStack, environment_of, own_part_of
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.kit.broker import send_all
from tierline.kit.confluent_broker import ConfluentLog
from tierline.kit.database import Connection, connect
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.local.workers import WorkerGroup
from tierline.verify.check import check
from tierline.workload.running import target_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

CANARY = "Zoe Canary <zoe.canary@example.org>"
PORTAL, PARTNER = "orders.portal.v1", "orders.partner.v1"
POISON = [
    Message(PORTAL, b"sub_1", b'{"reference": "web-1", "note": "' + CANARY.encode()),
    Message(PORTAL, b"sub_2", json.dumps({"reference": "web-2", "note": CANARY}).encode()),
    Message(PORTAL, b"sub_3", json.dumps({"reference": "web-3", CANARY: CANARY}).encode()),
    Message(PARTNER, None, b"\xff\x00" + CANARY.encode()),
    Message(PARTNER, None, json.dumps({"note": "x" * (1024 * 1024)}).encode()),
]


@dataclass(frozen=True, slots=True)
class World:
    """What the workers left: they have stopped."""

    settings: Settings
    connection: Connection
    logs: Path
    sent: list[Message]
    rows: list[dict[str, Any]]

    def tierline(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a person would."""
        return subprocess.run(
            [sys.executable, "-m", "tierline.cli", *arguments],
            env={**os.environ, **environment_of(self.settings), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def json(self, *arguments: str) -> Any:
        """What a command says for programs."""
        done = self.tierline(*arguments, "--json")
        assert (0, "") == (done.returncode, done.stderr)
        return json.loads(done.stdout)

    def letter(self, code: str) -> Mapping[str, Any]:
        """The stored dead letter of that code."""
        return next(row for row in self.rows if row["code"] == code)


def dead_command(settings: Settings) -> Message:
    """A command that can be read; its key is missing."""
    with bootstrap.importer(settings) as importer:
        return Message("oms.commands.v1", None, importer.encode(replace(COMMAND, actor=CANARY)), 0)


@pytest.fixture(scope="module")
def world(shared: SharedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Poison of two channels and a dead command; triage is killed at its first write, and comes back."""
    logs = tmp_path_factory.mktemp("logs")
    with ExitStack() as stack:
        settings = stack.enter_context(own_part_of(shared))
        bootstrap.prepare(settings)
        connection = stack.enter_context(connect(settings.database_url, "test"))
        connection.autocommit = True
        names = ("normalizer", "orders", "projector", "payments", "replies", "triage")
        with WorkerGroup(names, logs, environment_of(settings)) as workers:
            triage = workers["triage"]
            triage.restart({"TIERLINE_CRASH_POINT": "triage.after_write"})
            killed = triage.pid
            sent = [*POISON, dead_command(settings)]
            send_all(bootstrap.producer(settings, "test"), sent, 30)
            wait_for(lambda: len(stored(connection)) == len(sent), "every dead letter is stored")
            assert killed != triage.pid
            report = check(target_of(settings), 60)
        assert [] == [found for found in report.findings if not found.holds]
        yield World(settings, connection, logs, sent, stored(connection))


def test_causes_are_listed_with_what_to_do_next(world: World) -> None:
    """A table for people, the same facts for programs."""
    groups = world.json("dlq", "groups")
    table = world.tierline("dlq", "groups").stdout

    assert {("portal", "MISSING_FIELD", 2, 2), ("partner", "RECORD_TOO_LARGE", 1, 0)} <= {
        (group["channel"], group["code"], group["records"], group["accounts"]) for group in groups
    }
    assert len(world.sent) == sum(group["records"] for group in groups)
    assert "portal · contract · MISSING_FIELD target" in table
    assert f"Next: tierline dlq show {groups[0]['fingerprint'][:8]}" in table


def test_a_payload_is_masked_unless_it_is_asked_for(world: World) -> None:
    """Whoever asks for it is noted."""
    letter = world.letter("MALFORMED_JSON")
    dead_letter_id = str(letter["dead_letter_id"])

    masked = world.tierline("dlq", "show", dead_letter_id).stdout
    before = world.connection.execute("SELECT count(*) FROM deadletter.audit").fetchone()
    full = world.tierline("dlq", "show", dead_letter_id[:13], "--payload", "full").stdout
    noted = world.connection.execute(
        "SELECT action, dead_letter_id::text FROM deadletter.audit ORDER BY audit_id DESC LIMIT 1"
    ).fetchone()

    assert CANARY in full
    assert CANARY not in masked
    assert '"reference": "web-1"' in masked
    assert ((0,), ("unmask", dead_letter_id)) == (before, noted)


def test_a_dead_command_is_shown_by_its_fields(world: World) -> None:
    """Decoded by the schema that the event store has, and masked as a payload is."""
    dead_letter_id = str(world.letter("MISSING_KEY")["dead_letter_id"])

    masked = world.tierline("dlq", "show", dead_letter_id, TIERLINE_REGISTRY_URL="http://127.0.0.1:1").stdout

    assert f'"source_ref": "{COMMAND.source_ref}"' in masked
    assert f'"actor": "<{len(CANARY)} characters>"' in masked


def test_a_cause_is_shown_with_its_accounts(world: World) -> None:
    """And the ids of its dead letters, ready for the next command."""
    letter = world.letter("MISSING_FIELD")

    shown = world.tierline("dlq", "show", letter["fingerprint"][:8]).stdout

    assert "sub_2 (1), sub_3 (1)" in shown
    assert f"tierline dlq export --group {letter['fingerprint'][:8]}" in shown
    assert CANARY not in shown


def test_an_export_is_masked_unless_it_is_asked_for(world: World) -> None:
    """One line each, the oldest first; in full each one is noted and has its bytes."""
    import base64

    masked = world.tierline("dlq", "export").stdout.splitlines()
    full = [
        json.loads(line) for line in world.tierline("dlq", "export", "--payload", "full").stdout.splitlines()
    ]
    noted = world.connection.execute(
        "SELECT count(DISTINCT dead_letter_id) FROM deadletter.audit WHERE action = 'unmask'"
    ).fetchone()

    assert len(world.sent) == len(masked) == len(full)
    assert not any("anary" in line for line in masked)
    assert {message.value for message in world.sent} == {
        base64.b64decode(row["value_base64"]) for row in full
    }
    assert (len(world.sent),) == noted


def test_the_canary_is_in_no_log_and_no_header(world: World) -> None:
    """Of any worker, after everything that happened to them."""
    log = ConfluentLog(world.settings.kafka)
    headers = [
        value
        for topic in dead_letter_topics()
        for partition in range(world.settings.kafka.partitions)
        for record in log.read(topic.name, partition, *log.log_range(topic.name, partition))
        for _, value in record.headers
    ]
    said = "".join(file.read_text() for file in world.logs.iterdir())

    assert len(headers) > 20 * len(world.sent)
    assert not any(b"anary" in value for value in headers)
    assert "dead_letter" in said
    assert "anary" not in said


def test_what_was_lost_comes_back_from_the_topics(world: World) -> None:
    """What is there stays as it is."""
    world.connection.execute("DELETE FROM deadletter.record WHERE code = 'RECORD_TOO_LARGE'")

    assert {"read": len(world.sent), "added": 1} == world.json("dlq", "rebuild")
    assert {str(row["dead_letter_id"]) for row in world.rows} == {
        str(row["dead_letter_id"]) for row in stored(world.connection)
    }
    assert "0 dead letters were missing" in world.tierline("dlq", "rebuild").stdout


def test_a_discarded_dead_letter_leaves_with_a_reason(world: World) -> None:
    """Once; it can still be looked at, and the checker is content."""
    dead_letter_id = str(world.letter("RECORD_TOO_LARGE")["dead_letter_id"])

    nameless = world.tierline("dlq", "discard", dead_letter_id, "--reason", " ")
    done = world.json("dlq", "discard", dead_letter_id[:8], "--reason", "a load test, INC-7")
    again = world.tierline("dlq", "discard", dead_letter_id, "--reason", "again")
    shown = world.tierline("dlq", "show", dead_letter_id).stdout

    assert 2 == nameless.returncode
    assert {"discarded": [dead_letter_id], "reason": "a load test, INC-7"} == done
    assert (1, "") == (again.returncode, again.stdout)
    assert "was discarded by" in again.stderr
    assert "DISCARDED" in shown
    assert "a load test, INC-7" in shown
    assert dead_letter_id not in world.tierline("dlq", "export").stdout
    assert check(target_of(world.settings), 30).clean


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "ffffffff"), "There is no dead letter or cause ffffffff."),
        (("show", "xyz"), "'xyz' is not a dead letter's id"),
        (("discard", "ffffffff", "--reason", "x"), "There is no dead letter ffffffff."),
        (("export", "--group", "ffffffff"), "There is no dead letter or cause ffffffff."),
    ],
)
def test_what_is_not_there_is_one_clear_line(world: World, arguments: tuple[str, ...], said: str) -> None:
    """Exit code 1 and what to do."""
    asked = world.tierline("dlq", *arguments)

    assert (1, "") == (asked.returncode, asked.stdout)
    assert asked.stderr.startswith(f"error: {said}")
    assert "tierline dlq groups" in asked.stderr


def test_a_database_that_is_away_is_one_clear_line(world: World) -> None:
    """As with every other command."""
    asked = world.tierline("dlq", "groups", TIERLINE_DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")

    assert 1 == asked.returncode
    assert asked.stderr.startswith("error: PostgreSQL at 127.0.0.1:1/nothing does not answer")
