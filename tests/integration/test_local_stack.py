"""The local stack on real servers: kept data, one owner, clean ends, and servers that come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tierline.kit.settings import Settings, load_settings
from tierline.local.folder import DataFolder
from tierline.local.probe import kafka_answers, postgres_answers, registry_answers
from tierline.local.stack import LocalStack
from tierline.local.status import read_status

pytestmark = pytest.mark.stack

DEADLINE_S = 150.0
UP = ("up", "--no-workers")


def eventually(outcome: Callable[[], bool]) -> bool:
    """Poll for an outcome until it is there or the deadline passed."""
    deadline = time.monotonic() + DEADLINE_S
    while not outcome():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def command_line(*arguments: str) -> list[str]:
    """How a person runs a command."""
    return [sys.executable, "-m", "tierline.cli", *arguments]


@pytest.fixture
def tierline(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs commands in a directory of their own; whatever stack they leave is stopped."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_line(*arguments), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180
        )

    yield run
    run("down")


def folder_in(directory: Path) -> DataFolder:
    """The default data folder of a directory."""
    return DataFolder(directory / ".tierline" / "default")


def processes_of(folder: DataFolder) -> dict[str, int]:
    """The pids of the supervisor and its servers."""
    status = read_status(folder)
    assert status.supervisor is not None
    return {"supervisor": status.supervisor} | {s.name: s.pid for s in status.servers if s.pid is not None}


def all_gone(pids: dict[str, int]) -> bool:
    """None of them runs."""
    return not any(psutil.pid_exists(p) and psutil.Process(p).status() != "zombie" for p in pids.values())


def leave_a_trace(settings: Settings, text: str) -> None:
    """Write it into the broker and into the database."""
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS public.trace (said text)")
        connection.execute("INSERT INTO public.trace VALUES (%s)", [text])
    client: dict[str, Any] = {"bootstrap.servers": settings.kafka.bootstrap_servers}
    admin = AdminClient(client)
    if "trace" not in admin.list_topics(timeout=10).topics:
        admin.create_topics([NewTopic("trace", num_partitions=1, replication_factor=1)])["trace"].result(10)
    producer = Producer({**client, "acks": "all"})
    producer.produce("trace", value=text.encode())
    assert producer.flush(10) == 0


def traces(settings: Settings) -> tuple[list[str], list[str]]:
    """What the database and the broker hold."""
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        rows = [said for (said,) in connection.execute("SELECT said FROM public.trace")]
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": "trace"})
    consumer.assign([TopicPartition("trace", 0, 0)])
    records: list[str] = []
    try:
        high = consumer.get_watermark_offsets(TopicPartition("trace", 0), timeout=10)[1]
        while len(records) < high:
            record = consumer.poll(10)
            assert record is not None, f"the broker holds {high} records and gave {records}"
            records.append((record.value() or b"").decode())
    finally:
        consumer.close()
    return rows, records


def test_each_test_has_a_migrated_database_of_its_own(settings: Settings, stack_settings: Settings) -> None:
    """The database of a test holds the event store and is not the stack's."""
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        found = connection.execute("SELECT to_regnamespace('oms') IS NOT NULL").fetchone()
    assert (True,) == found
    assert stack_settings.database_url != settings.database_url


def test_the_database_keeps_commit_times_and_waits_for_the_disk(stack_settings: Settings) -> None:
    """An acknowledged order survives a crash of the machine, locally as well."""
    with psycopg.connect(stack_settings.database_url.get_secret_value()) as connection:
        shown = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            for name in ("fsync", "synchronous_commit", "track_commit_timestamp", "max_connections")
        }
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "track_commit_timestamp": "on",
        "max_connections": "200",
    }
    assert {name: (value,) for name, value in expected.items()} == shown


def test_the_servers_listen_on_loopback_alone(shared: Any) -> None:
    """Nothing of the stack can be reached from another machine."""
    own = {s.pid for s in read_status(DataFolder(shared.data)).servers}
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in own]
    assert len(listening) >= len(own)
    assert {"127.0.0.1"} == {str(next(iter(c.laddr))).removeprefix("::ffff:") for c in listening}


def test_what_is_stored_survives_down_and_up_on_the_same_ports(
    tierline: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Up, write, down, up: same addresses, same data, and a password that nobody else can read."""
    folder = folder_in(tmp_path)
    assert tierline(*UP, "--detach").returncode == 0
    before = load_settings(folder.path)
    pids = processes_of(folder)
    leave_a_trace(before, "before down")
    assert tierline("down").returncode == 0
    assert all_gone(pids)
    assert tierline("status").returncode == 1
    assert tierline(*UP, "--detach").returncode == 0
    assert before == load_settings(folder.path)
    assert (["before down"], ["before down"]) == traces(before)
    assert folder.settings_file.stat().st_mode & 0o077 == 0


def test_a_second_up_joins_and_up_after_kill_9_starts_on_the_same_data(
    tierline: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """One owner at a time; a killed one leaves no server behind and loses nothing that was acknowledged."""
    folder = folder_in(tmp_path)
    tierline(*UP, "--detach")
    pids = processes_of(folder)
    leave_a_trace(load_settings(folder.path), "before kill -9")
    second = tierline(*UP)
    assert (0, True) == (second.returncode, "already runs" in second.stdout)
    assert pids == processes_of(folder)

    os.kill(pids["supervisor"], signal.SIGKILL)
    third = tierline(*UP, "--detach")
    assert third.returncode == 0, third.stderr
    assert all_gone(pids)
    assert (["before kill -9"], ["before kill -9"]) == traces(load_settings(folder.path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_stop_everything(tmp_path: Path, number: signal.Signals) -> None:
    """Ready or still starting, the end is clean and the exit code is 0."""
    folder = folder_in(tmp_path)
    with subprocess.Popen(command_line(*UP), cwd=tmp_path, stdout=subprocess.PIPE) as foreground:
        awaited = "ready" if number == signal.SIGINT else "starting"
        assert eventually(lambda: read_status(folder).phase == awaited and bool(read_status(folder).servers))
        pids = processes_of(folder)
        foreground.send_signal(number)
        assert foreground.wait(DEADLINE_S) == 0
    assert all_gone(pids)
    assert read_status(folder).phase == "stopped"


def test_a_server_that_dies_is_brought_back_on_its_port_and_one_stopped_on_purpose_is_not(
    tmp_path: Path,
) -> None:
    """The keeper mends crashes; fault tests decide for themselves."""
    with LocalStack(tmp_path / "data", usual_ports=False) as stack:
        settings = stack.settings
        url, bootstrap = settings.database_url.get_secret_value(), settings.kafka.bootstrap_servers
        crashed = stack.postgres.pid
        stack.postgres.send_signal(signal.SIGKILL)
        assert eventually(lambda: stack.postgres.restarts == 1 and stack.postgres.ready)
        assert stack.postgres.pid != crashed
        assert postgres_answers(url)

        stack.postgres.stop(mode="immediate")
        stack.kafka.kill9()
        assert not postgres_answers(url)
        assert not kafka_answers(bootstrap)
        stack.postgres.start()
        stack.kafka.start()
        assert postgres_answers(url)
        assert kafka_answers(bootstrap)
        assert eventually(lambda: registry_answers(settings.registry_url))
        stack.check()


def test_existing_servers_are_used_and_none_is_started(
    stack_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all three named in the environment a stack is a set of workers."""
    monkeypatch.setenv("TIERLINE_KAFKA__BOOTSTRAP_SERVERS", stack_settings.kafka.bootstrap_servers)
    monkeypatch.setenv("TIERLINE_DATABASE_URL", stack_settings.database_url.get_secret_value())
    monkeypatch.setenv("TIERLINE_REGISTRY_URL", stack_settings.registry_url)
    prepared: list[Settings] = []
    with LocalStack(tmp_path / "data", prepare=prepared.append) as stack:
        assert () == stack.servers
        status = read_status(stack.folder)
    assert {"postgres", "kafka", "registry"} == {server.name for server in status.servers}
    assert status.is_well
    assert [stack_settings.kafka.bootstrap_servers] == [s.kafka.bootstrap_servers for s in prepared]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's closed folders are closed to the database's user")
def test_a_data_folder_may_lie_in_folders_closed_to_others(tmp_path: Path) -> None:
    """Root's stack runs PostgreSQL as somebody else, without opening root's folders to everybody."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with LocalStack(closed / "deep" / "data", usual_ports=False) as stack:
        assert postgres_answers(stack.settings.database_url.get_secret_value())
        assert stack.postgres.pid is not None
        assert psutil.Process(stack.postgres.pid).uids().effective != 0
    assert closed.stat().st_mode & 0o077 == 0
