"""What runs in a data folder right now, asked of the processes and servers themselves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

import psutil

from tierline.kit.settings import Settings, load_settings
from tierline.local.folder import DataFolder, StackState
from tierline.local.parts import ExistingServers
from tierline.local.ports import LOOPBACK
from tierline.local.probe import kafka_answers, postgres_answers, registry_answers
from tierline.local.process import ProcessRef
from tierline.local.readiness import health_of


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
    """One worker process. ``exit_code``: how the last process ended, None while it runs.

    ``state``: what it says about its readiness and ``detail`` why; ``silent`` when it runs and says nothing,
    ``ended`` when it does not run. ``health``: where it answers.
    """

    name: str
    running: bool
    pid: int | None
    memory_bytes: int | None
    uptime_s: int | None
    restarts: int
    exit_code: int | None
    log: str
    state: str = "ended"
    detail: str = ""
    health: str = ""


@dataclass(frozen=True, slots=True)
class StackStatus:
    """A whole stack. ``phase``: that of the supervisor; ``killed`` when it died without stopping.

    ``elsewhere``: nothing of ours runs here, and the environment names servers.
    """

    data: str
    phase: Literal["never started", "starting", "ready", "stopping", "stopped", "killed", "elsewhere"]
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
        workers=() if over else _workers(state),
    )


def read_elsewhere(folder: DataFolder) -> StackStatus | None:
    """Ask the servers that the environment names; None when it names none."""
    addresses = ExistingServers.of(Settings()).addresses()
    if not addresses:
        return None
    servers = _existing(addresses, _ask(folder))
    return StackStatus(str(folder.path), "elsewhere", None, "", servers, ())


def _servers(folder: DataFolder, state: StackState) -> tuple[ServerStatus, ...]:
    answers = _ask(folder) if folder.settings_file.exists() else {}  # else the first start is under way
    own = [
        _server(name, said, answers, shadowed=name in state.existing) for name, said in state.servers.items()
    ]
    return (*own, *_existing(state.existing, answers))


def _existing(addresses: Mapping[str, str], answers: Mapping[str, bool]) -> tuple[ServerStatus, ...]:
    return tuple(
        ServerStatus(name, f"{name} (existing)", address, answers.get(name, False))
        for name, address in addresses.items()
    )


def _ask(folder: DataFolder) -> dict[str, bool]:
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


def _workers(state: StackState) -> tuple[WorkerStatus, ...]:
    with ThreadPoolExecutor() as pool:
        return tuple(pool.map(_worker, state.workers, state.workers.values()))


def _worker(name: str, said: Mapping[str, Any]) -> WorkerStatus:
    vitals = _vitals(said["process"])
    running, port = vitals["pid"] is not None, said["health_port"]
    told = health_of(port) if running and port else None
    return WorkerStatus(
        name=name,
        running=running,
        restarts=said["restarts"],
        exit_code=said["exit_code"],
        log=said["log"],
        state=told["reason"] if told else "silent" if running else "ended",
        detail=told["detail"] if told else "",
        health=f"{LOOPBACK}:{port}",
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
