"""The commands that look at a running stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.topics import COMMANDS, all_topics
from tests.support.stack import SharedStack, environment_of
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack


def tierline(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a person would, with these settings."""
    return subprocess.run(
        [sys.executable, "-m", "tierline.cli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_status_lists_every_server_with_process_and_memory(shared: SharedStack) -> None:
    """A program reads the same facts as a person; of servers alone it says what is to be done next."""
    asked = tierline({}, "status", "--json", "--data", str(shared.data))
    found = json.loads(asked.stdout)
    assert (1, False, "ready") == (asked.returncode, found["is_well"], found["phase"])
    assert ["tierline prepare"] == [finding["command"] for finding in found["findings"]]
    assert {"postgres", "kafka", "registry"} == {server["name"] for server in found["servers"]}
    assert all(server["answers"] and server["memory_bytes"] > 0 for server in found["servers"])


def test_psql_runs_a_statement_on_tierlines_tables(settings: Settings) -> None:
    """The event store is on the search path, so a table needs no schema in front of it."""
    asked = tierline(environment_of(settings), "psql", "-Atc", "select count(*) from lease")
    assert (0, "0\n", "") == (asked.returncode, asked.stdout, asked.stderr)


def test_topics_tells_what_exists_and_how_much_is_in_it(settings: Settings) -> None:
    """Declared, created or not, and counted over all partitions."""
    name = settings.kafka.topic_prefix + COMMANDS.name
    client: dict[str, str | int | float | bool] = {"bootstrap.servers": settings.kafka.bootstrap_servers}
    admin = AdminClient(client)
    admin.create_topics([NewTopic(name, 3, 1)])[name].result(30)
    producer = Producer({**client})
    for partition in (0, 0, 2):
        producer.produce(name, value=b"x", partition=partition)
    assert producer.flush(30) == 0

    asked = tierline(environment_of(settings), "topics", "--json")
    rows = {row["name"]: row for row in json.loads(asked.stdout)}
    assert {settings.kafka.topic_prefix + topic.name for topic in all_topics()} == rows.keys()
    assert (3, 3) == (rows[name]["partitions"], rows[name]["messages"])
    assert [None] * (len(rows) - 1) == [row["partitions"] for n, row in rows.items() if n != name]
    assert asked.returncode == 1


def test_a_server_that_is_away_is_one_clear_line(settings: Settings) -> None:
    """No traceback: the address, how to start one, and the setting for another one."""
    nowhere = {**environment_of(settings), "TIERLINE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    asked = tierline(nowhere, "topics")
    message, hint = asked.stderr.splitlines()
    assert message == "error: Kafka at 127.0.0.1:1 does not answer."
    assert "tierline up --detach" in hint
    assert "TIERLINE_KAFKA__BOOTSTRAP_SERVERS" in hint
    assert (1, "") == (asked.returncode, asked.stdout)


def test_a_wrong_option_is_a_usage_error() -> None:
    """Exit code 2, as for any command."""
    assert tierline({}, "status", "--no-such-option").returncode == 2
