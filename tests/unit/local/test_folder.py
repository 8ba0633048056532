"""The data folder: one owner, a state that survives it, secrets for the owner alone."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tierline.kit.settings import load_settings
from tierline.local.errors import StackError
from tierline.local.folder import DataFolder, FolderInUse, StackState
from tierline.local.process import ProcessRef

STATE = StackState(
    phase="ready",
    supervisor=ProcessRef(1, 2.0, ""),
    ports={"kafka": 19092},
    servers={
        "postgres": {"process": {"pid": 10, "created": 1.0, "marker": "pg"}},
        "kafka": {"process": {"pid": 11, "created": 1.0, "marker": "kafka"}},
        "registry": {"process": None},
    },
    workers={"orders": {"process": {"pid": 12, "created": 1.0, "marker": "orders"}}},
)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """An empty data folder."""
    (tmp_path / "data").mkdir()
    return DataFolder(tmp_path / "data")


def test_the_state_survives_its_writer(folder: DataFolder) -> None:
    """What one supervisor writes the next one reads."""
    folder.write_state(STATE)
    assert STATE == folder.read_state()


def test_a_folder_without_a_stack_has_no_state(folder: DataFolder) -> None:
    """Nothing written is not an error."""
    assert folder.read_state() is None
    assert not folder.is_owned()


@pytest.mark.parametrize("written", ["", "{", "[]", '{"phase": "ready"}', '{"supervisor": {"pid": "x"}}'])
def test_an_unreadable_state_names_the_file_and_what_to_do(folder: DataFolder, written: str) -> None:
    """A damaged state file stops the start; guessing at processes would be worse."""
    folder.state_file.write_text(written)
    with pytest.raises(StackError) as unreadable:
        folder.read_state()
    assert str(folder.state_file) in unreadable.value.message
    assert "Remove that file" in unreadable.value.hint


def test_children_are_listed_workers_first_and_the_database_last() -> None:
    """This is the order in which they are stopped; what was never started is left out."""
    assert ["orders", "kafka", "postgres"] == [name for name, _ in STATE.children()]


def test_a_folder_has_one_owner(folder: DataFolder) -> None:
    """The second one is told who to ask."""
    with folder.owned():
        assert DataFolder(folder.path).is_owned()
        with pytest.raises(FolderInUse) as refused, DataFolder(folder.path).owned():
            pass
    assert f"tierline down --data {folder.path}" in refused.value.hint
    assert not folder.is_owned()


def test_a_dead_owner_owns_nothing(folder: DataFolder) -> None:
    """The kernel takes the lock from a process that got kill -9."""
    program = (
        "import os, signal; from pathlib import Path; from tierline.local.folder import DataFolder\n"
        f"with DataFolder(Path({str(folder.path)!r})).owned(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert not folder.is_owned()


def test_the_settings_file_is_for_its_owner_alone(folder: DataFolder) -> None:
    """It holds the password of the database."""
    folder.write_settings({"database_url": "postgresql://tierline:secret@127.0.0.1:1/tierline"})
    assert 0o600 == stat.S_IMODE(folder.settings_file.stat().st_mode)


def test_the_current_stack_is_found_until_it_is_forgotten(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that name no folder work on the stack that `up` started in this directory."""
    monkeypatch.chdir(folder.path)
    folder.make_current()
    assert folder.path == load_settings().data
    folder.forget_current()
    assert folder.path != load_settings().data


def test_forgetting_leaves_another_current_stack_alone(
    folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`down --data OLD` does not take the pointer from the stack that runs."""
    monkeypatch.chdir(folder.path)
    folder.make_current()
    DataFolder(tmp_path / "old").forget_current()
    assert folder.path == load_settings().data
