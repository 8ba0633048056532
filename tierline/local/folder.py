"""The data folder of a stack: who owns it, what runs, and the settings for clients.

``stack.lock`` is locked by the supervisor as long as it lives; ``stack.json`` says what it started, so that
the next one can clean up after a crash; ``settings.json`` is what ``load_settings`` reads.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Self

from tierline.kit.data_folder import CURRENT_POINTER
from tierline.local.errors import StackError
from tierline.local.process import ProcessRef

LOCK_ATTEMPTS = 10
LOCK_RETRY_S = 0.02

Phase = Literal["starting", "ready", "stopping", "stopped"]


@dataclass(frozen=True, slots=True)
class StackState:
    """What ``stack.json`` holds. ``servers`` and ``workers``: what each says about itself, by name."""

    phase: Phase
    supervisor: ProcessRef
    ports: Mapping[str, int] = field(default_factory=dict)
    servers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    workers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    existing: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(**{**written, "supervisor": ProcessRef.from_json(written["supervisor"])})

    def to_json(self) -> dict[str, Any]:
        """The form kept in the file."""
        return {
            "phase": self.phase,
            "supervisor": self.supervisor.to_json(),
            "ports": dict(self.ports),
            "servers": {name: dict(server) for name, server in self.servers.items()},
            "workers": {name: dict(worker) for name, worker in self.workers.items()},
            "existing": dict(self.existing),
            "problem": self.problem,
        }

    def children(self) -> list[tuple[str, ProcessRef]]:
        """Every recorded process but the supervisor, in the order in which to stop them."""
        order = [*self.workers, *(name for name in ("registry", "kafka", "postgres") if name in self.servers)]
        described = {**self.servers, **self.workers}
        return [
            (name, ProcessRef.from_json(process)) for name in order if (process := described[name]["process"])
        ]


class DataFolder:
    """The paths in a data folder and safe ways to read and write them."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self.state_file = self.path / "stack.json"
        self.settings_file = self.path / "settings.json"
        self.lock_file = self.path / "stack.lock"

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Own the folder: exactly one process at a time. Raises FolderInUse when another one does."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with self.lock_file.open("w") as handle:
            if not _lock_soon(handle):
                raise FolderInUse(
                    f"A stack already runs in {self.path}.",
                    f"See it: tierline status --data {self.path}   Stop it: tierline down --data {self.path}",
                )
            yield

    def is_owned(self) -> bool:
        """Tell whether a supervisor lives. Asks the kernel, so a crash cannot leave a false yes."""
        if not self.lock_file.exists():
            return False
        with self.lock_file.open("r+") as handle:
            return not _try_lock(handle)

    def read_state(self) -> StackState | None:
        """What the last supervisor wrote, or None when there never was one."""
        try:
            written = self.state_file.read_text()
        except FileNotFoundError:
            return None
        try:
            return StackState.from_json(json.loads(written))
        except (ValueError, TypeError, KeyError) as cause:
            raise StackError(
                f"{self.state_file} is not readable as the state of a stack: {cause}.",
                "Remove that file; if servers of it still run, stop them by hand (ps, kill).",
            ) from cause

    def make_current(self) -> None:
        """Let commands in this working directory that name no folder find this one."""
        CURRENT_POINTER.parent.mkdir(parents=True, exist_ok=True)
        CURRENT_POINTER.write_text(f"{self.path}\n")

    def forget_current(self) -> None:
        """Undo ``make_current``, unless another folder has become the current one."""
        if CURRENT_POINTER.exists() and CURRENT_POINTER.read_text().strip() == str(self.path):
            CURRENT_POINTER.unlink()

    def write_state(self, state: StackState) -> None:
        """Replace the state file as a whole."""
        write_secret(self.state_file, json.dumps(state.to_json(), indent=1) + "\n")

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the addresses for clients; readable by the owner alone, since a password is in it."""
        write_secret(self.settings_file, json.dumps(settings, indent=1) + "\n")


class FolderInUse(StackError):
    """Another supervisor owns the data folder. Action: use that stack, or stop it first."""


def _lock_soon(handle: IO[str]) -> bool:
    """Lock; somebody who only asks holds it for an instant, so one refusal is not an answer yet."""
    for _ in range(LOCK_ATTEMPTS):
        if _try_lock(handle):
            return True
        time.sleep(LOCK_RETRY_S)
    return False


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_secret(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    scratch = file.with_name(file.name + ".new")
    scratch.unlink(missing_ok=True)
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    scratch.replace(file)
