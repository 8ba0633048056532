"""What ``tierline status`` and ``tierline doctor`` find without servers."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tierline.local.doctor import examine
from tierline.local.folder import DataFolder, StackState
from tierline.local.process import ProcessRef
from tierline.local.status import read_status

GONE = {"pid": 1, "created": 1.0, "marker": "nothing"}
SERVER = {"title": "Kafka", "address": "127.0.0.1:1", "process": GONE, "restarts": 0, "log": "kafka.log"}
WORKER = {"process": GONE, "restarts": 2, "exit_code": 1, "log": "orders.log", "health_port": 1}


def folder_with(tmp_path: Path, phase: str) -> DataFolder:
    """A folder whose supervisor wrote its state in that phase."""
    folder = DataFolder(tmp_path)
    supervisor = ProcessRef.to(os.getpid(), "")
    folder.write_state(
        StackState(phase, supervisor, servers={"kafka": SERVER}, workers={"orders": WORKER})  # type: ignore[arg-type]
    )
    return folder


def test_a_folder_without_a_stack_says_so(tmp_path: Path) -> None:
    """And it is not well."""
    status = read_status(DataFolder(tmp_path))
    assert status.phase == "never started"
    assert not status.is_well


def test_a_supervisor_that_does_not_hold_the_folder_was_killed(tmp_path: Path) -> None:
    """The state file alone proves nothing; the lock does."""
    status = read_status(folder_with(tmp_path, "ready"))
    assert status.phase == "killed"
    assert status.supervisor is None
    assert (False, None) == (status.servers[0].answers, status.servers[0].pid)
    worker = status.workers[0]
    assert (False, 1, "ended") == (worker.running, worker.exit_code, worker.state)


def test_a_live_supervisor_is_believed_about_its_phase(tmp_path: Path) -> None:
    """It holds the folder's lock."""
    folder = folder_with(tmp_path, "starting")
    with folder.owned():
        status = read_status(folder)
    assert ("starting", os.getpid()) == (status.phase, status.supervisor)


def test_a_stopped_stack_lists_nothing(tmp_path: Path) -> None:
    """What is not meant to run is not reported as missing."""
    status = read_status(folder_with(tmp_path, "stopped"))
    assert ("stopped", (), ()) == (status.phase, status.servers, status.workers)


def test_the_doctor_needs_no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that can run the tests nothing stops a start, but for what is not fetched yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = {finding.subject: finding for finding in examine(tmp_path / "data")}
    assert [] == [f for f in found.values() if f.verdict == "problem"]
    assert found["Kafka and registry"].verdict == "note"
    assert found["Stack"].detail.startswith("never started")


def test_the_doctor_names_a_full_disk_and_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A problem always comes with something to do."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    problems = [finding for finding in examine(tmp_path) if finding.verdict == "problem"]
    assert {"Disk for data", "Disk for the cache"} == {problem.subject for problem in problems}
    assert all("--data" in problem.action for problem in problems)


def test_the_doctor_mentions_an_existing_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forgotten variable in the environment explains a lot."""
    monkeypatch.setenv("TIERLINE_DATABASE_URL", "postgresql://me:secret@db.example/orders")
    detail = next(f.detail for f in examine(tmp_path) if f.subject == "Environment")
    assert "db.example:5432/orders" in detail
    assert "secret" not in detail
