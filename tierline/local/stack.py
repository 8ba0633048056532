"""The local stack: Kafka, PostgreSQL, the schema registry and the workers under one data folder.

``LocalStack`` is a context manager; ``tierline up``, ``tierline demo`` and the tests all use it. PostgreSQL
and Kafka start side by side, the registry as soon as PostgreSQL serves.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tierline.kit.settings import Settings, load_settings
from tierline.local.artifacts import ArtifactCache, Lock, Notice, cache_folder
from tierline.local.cleanup import end_orphans
from tierline.local.errors import StackError
from tierline.local.folder import DataFolder, Phase, StackState
from tierline.local.keeper import Keeper
from tierline.local.parts import (
    USUAL_PORTS,
    ExistingServers,
    ServerSet,
    checkpoint_settings,
    client_settings,
    take_ports,
)
from tierline.local.ports import PortBook
from tierline.local.process import ProcessRef
from tierline.local.readiness import await_readiness
from tierline.local.server import Server
from tierline.local.startup import start_servers
from tierline.local.workers import HEALTH_PORTS, Worker, WorkerGroup

Prepare = Callable[[Settings], None]


class LocalStack:
    """Everything that runs under one data folder.

    ``workers``: names of ``tierline run``; none by default. ``prepare`` is called with the settings once
    the servers serve and before the workers start (topics, migrations, subjects). ``environment`` is added
    to that of the workers. ``usual_ports``: prefer the ports that the defaults of the settings name.
    ``notice`` gets one line per step, for people.

    Start it from a thread that lives as long as the stack: Linux ends the children with that thread.
    """

    def __init__(
        self,
        data: Path,
        *,
        workers: Sequence[str] = (),
        prepare: Prepare | None = None,
        environment: Mapping[str, str] | None = None,
        usual_ports: bool = True,
        notice: Notice = lambda _: None,
    ) -> None:
        self.folder = DataFolder(data)
        self.ended = threading.Event()
        """Set when the keeper has given up a server; ``check`` then raises why."""
        self._prepare = prepare
        self._usual_ports = {**USUAL_PORTS, **HEALTH_PORTS} if usual_ports else {}
        self._notice = notice
        self._existing = ExistingServers.of(Settings())
        self._servers: dict[str, Server] = {}
        self._workers = WorkerGroup(
            workers, self.folder.logs, {"TIERLINE_DATA": str(self.folder.path), **(environment or {})}
        )
        self._ports: Mapping[str, int] = {}
        self._resources = ExitStack()
        self._phase: Phase = "stopped"
        self._failure: StackError | None = None

    @property
    def settings(self) -> Settings:
        """The settings for clients of this stack."""
        return load_settings(self.folder.path)

    @property
    def kafka(self) -> Server:
        """The broker."""
        return self._server("kafka")

    @property
    def postgres(self) -> Server:
        """The database."""
        return self._server("postgres")

    @property
    def registry(self) -> Server:
        """The schema registry."""
        return self._server("registry")

    @property
    def servers(self) -> tuple[Server, ...]:
        """The servers that this stack started, in starting order."""
        return tuple(self._servers.values())

    def worker(self, name: str) -> Worker:
        """The worker of that name; raises KeyError when it was not asked for."""
        return self._workers[name]

    def check(self) -> None:
        """Raise the error for which the keeper gave up, if it did."""
        if self._failure:
            raise self._failure

    def start(self) -> None:
        """Start everything and return when it serves. Raises FolderInUse when the folder has a live stack."""
        self._resources.enter_context(self.folder.owned())
        before = self.folder.read_state()
        try:
            self._start(before.ports if before else {})
        except BaseException:
            self.stop()
            raise

    def _start(self, ports_before: Mapping[str, int]) -> None:
        for name in end_orphans(self.folder):
            self._notice(f"stopped {name}, left behind by a run that was killed")
        cache = cache_folder()
        book = self._resources.enter_context(PortBook(cache / "ports"))
        names = [*USUAL_PORTS, *(worker.name for worker in self._workers)]
        self._ports = take_ports(book.take, names, {**self._usual_ports, **ports_before})
        self._enter("starting")
        artifacts = ArtifactCache(cache, Lock.read())
        self._servers = ServerSet(self.folder, self._ports, self._existing, artifacts).create(self._notice)
        start_servers(self._servers, self._on_progress)
        self.folder.write_settings(
            {
                **client_settings(self._servers, self._existing),
                "checkpoint": checkpoint_settings(self.folder),
            }
        )
        if self._prepare:
            self._notice("preparing topics, tables and schemas")
            self._prepare(self.settings)
        for worker in self._workers:
            worker.health_port = self._ports[worker.name]
        self._workers.start()
        keeper = Keeper(self.servers, tuple(self._workers), self._on_change, self._give_up)
        keeper.start()
        self._resources.callback(keeper.stop)
        self._write_state()
        await_readiness({w.name: w.health_port for w in self._workers}, self._notice)
        self._enter("ready")

    def stop(self) -> None:
        """Stop workers, then registry and Kafka side by side, then PostgreSQL. Safe to call twice."""
        if self._phase == "stopped":
            self._resources.close()
            return
        self._enter("stopping")
        self._workers.stop()
        database = [server for server in self.servers if server.name == "postgres"]
        others = [server for server in self.servers if server.name != "postgres"]
        for group in (others, database):
            for server in group:
                server.signal_stop()
            for server in group:
                server.wait_stopped()
        self._enter("stopped")
        self._resources.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _server(self, name: str) -> Server:
        if name in self._servers:
            return self._servers[name]
        elsewhere = self._existing.addresses().get(name)
        why = f"the environment points at {elsewhere}" if elsewhere else "it is not started"
        raise StackError(f"This stack runs no {name}: {why}.")

    def _on_progress(self, server: Server) -> None:
        if server.ready:
            self._notice(
                f"{server.part.title} ready in {server.seconds_to_ready:.1f} s at {server.part.address}"
            )
        self._write_state()

    def _on_change(self, what: str) -> None:
        self._notice(what)
        self._write_state()

    def _give_up(self, failure: StackError) -> None:
        self._failure = failure
        self.ended.set()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._write_state()

    def _write_state(self) -> None:
        self.folder.write_state(
            StackState(
                phase=self._phase,
                supervisor=ProcessRef.to(os.getpid(), ""),
                ports=self._ports,
                servers={server.name: server.describe() for server in self.servers},
                workers={worker.name: worker.describe() for worker in self._workers},
                existing=self._existing.addresses(),
                problem=self._failure.message if self._failure else "",
            )
        )
