"""What runs in a data folder right now, asked of the processes and servers themselves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

import psutil

from tierline.kit.settings import load_settings
from tierline.local.folder import DataFolder, StackState
from tierline.local.probe import kafka_answers, postgres_answers, registry_answers
from tierline.local.process import ProcessRef


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server. ``memory_bytes``: resident memory of its processes, shared pages counted once."""

    name: str
    title: str
    address: str
    answers: bool
    pid: int | None = None
    memory_bytes: int | None = None
    uptime_s: int | None = None
    restarts: int = 0
    log: str = ""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker process. ``exit_code``: how the last process ended, None while it runs."""

    name: str
    running: bool
    pid: int | None
    memory_bytes: int | None
    uptime_s: int | None
    restarts: int
    exit_code: int | None
    log: str


@dataclass(frozen=True, slots=True)
class StackStatus:
    """A whole stack. ``phase``: that of the supervisor; ``killed`` when it died without stopping."""

    data: str
    phase: Literal["never started", "starting", "ready", "stopping", "stopped", "killed"]
    supervisor: int | None
    problem: str
    servers: tuple[ServerStatus, ...]
    workers: tuple[WorkerStatus, ...]

    @property
    def is_well(self) -> bool:
        """Every server answers and every worker runs."""
        return (
            bool(self.servers)
            and all(s.answers for s in self.servers)
            and all(w.running for w in self.workers)
        )

    def to_json(self) -> dict[str, Any]:
        """The same facts for a program."""
        return {**asdict(self), "is_well": self.is_well}


def read_status(folder: DataFolder) -> StackStatus:
    """Look at the recorded processes and ask each server; takes at most a few seconds."""
    state = folder.read_state()
    owned = folder.is_owned()
    if state is None:
        return StackStatus(str(folder.path), "never started", None, "", (), ())
    over = state.phase == "stopped"
    return StackStatus(
        data=str(folder.path),
        phase=state.phase if owned or over else "killed",
        supervisor=state.supervisor.pid if owned else None,
        problem=state.problem,
        servers=() if over else _servers(folder, state),
        workers=() if over else tuple(_worker(name, said) for name, said in state.workers.items()),
    )


def _servers(folder: DataFolder, state: StackState) -> tuple[ServerStatus, ...]:
    answers = _ask(folder)
    existing = [
        ServerStatus(name, f"{name} (existing)", address, answers.get(name, False))
        for name, address in state.existing.items()
    ]
    own = [
        _server(name, said, answers, shadowed=name in state.existing) for name, said in state.servers.items()
    ]
    return (*own, *existing)


def _ask(folder: DataFolder) -> dict[str, bool]:
    if not folder.settings_file.exists():
        return {}  # the first start is still under way
    settings = load_settings(folder.path)
    with ThreadPoolExecutor() as pool:
        asked = {
            "postgres": pool.submit(postgres_answers, settings.database_url.get_secret_value()),
            "kafka": pool.submit(kafka_answers, settings.kafka.bootstrap_servers),
            "registry": pool.submit(registry_answers, settings.registry_url),
        }
    return {name: answer.result() for name, answer in asked.items()}


def _server(
    name: str, said: Mapping[str, Any], answers: Mapping[str, bool], *, shadowed: bool
) -> ServerStatus:
    """``shadowed``: clients are pointed elsewhere, so the process alone tells about this one."""
    vitals = _vitals(said["process"])
    return ServerStatus(
        name=name,
        title=said["title"],
        address=said["address"],
        answers=vitals["pid"] is not None and (shadowed or answers.get(name, False)),
        restarts=said["restarts"],
        log=said["log"],
        **vitals,
    )


def _worker(name: str, said: Mapping[str, Any]) -> WorkerStatus:
    vitals = _vitals(said["process"])
    return WorkerStatus(
        name=name,
        running=vitals["pid"] is not None,
        restarts=said["restarts"],
        exit_code=said["exit_code"],
        log=said["log"],
        **vitals,
    )


def _vitals(recorded: Mapping[str, Any] | None) -> dict[str, Any]:
    process = ProcessRef.from_json(recorded).find() if recorded else None
    if process is None:
        return {"pid": None, "memory_bytes": None, "uptime_s": None}
    return {
        "pid": process.pid,
        "memory_bytes": memory_of(process),
        "uptime_s": int(time.time() - process.create_time()),
    }


def memory_of(process: psutil.Process) -> int:
    """Resident bytes of a process and its children; pages they share are counted once where that is known."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                info = one.memory_full_info()
                total += getattr(info, "pss", info.rss)
            except psutil.AccessDenied:
                total += one.memory_info().rss
    return total
