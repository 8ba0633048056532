"""What a killed supervisor left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tierline.local.cleanup import end_orphans
from tierline.local.folder import DataFolder, StackState
from tierline.local.process import ProcessRef

MARKER = "orphan-of-this-test"


@pytest.fixture
def orphan() -> Iterator[subprocess.Popen[bytes]]:
    """A process as a supervisor without a parent death signal would leave it."""
    program = "import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program, MARKER]) as process:
        yield process
        process.kill()


def recorded(path: Path, process: ProcessRef) -> DataFolder:
    """A folder whose dead supervisor recorded the process as its broker."""
    path.mkdir()
    folder = DataFolder(path)
    supervisor = ProcessRef(process.pid, 1.0, "")
    folder.write_state(StackState("ready", supervisor, servers={"kafka": {"process": process.to_json()}}))
    return folder


def test_a_recorded_orphan_is_ended_and_named(tmp_path: Path, orphan: subprocess.Popen[bytes]) -> None:
    """The next start does not run beside the servers of the last one."""
    process = ProcessRef.to(orphan.pid, MARKER)
    assert ["kafka"] == end_orphans(recorded(tmp_path / "data", process))
    assert process.find() is None


def test_a_recycled_pid_is_left_alone(tmp_path: Path, orphan: subprocess.Popen[bytes]) -> None:
    """The pid of a server that ended may belong to anybody by now."""
    folder = recorded(tmp_path / "data", ProcessRef(orphan.pid, 1.0, MARKER))
    assert [] == end_orphans(folder)
    assert orphan.poll() is None


def test_a_new_folder_has_no_orphans(tmp_path: Path) -> None:
    """There is nothing to end where nothing was started."""
    assert [] == end_orphans(DataFolder(tmp_path))
