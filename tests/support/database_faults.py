"""What PostgreSQL does to a session on a bad day, brought about in one test's own database."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from tests.support.waiting import wait_for
from tierline.kit.settings import Settings
from tierline.local.postgres import server_user

Session = psycopg.Connection[TupleRow]

_REFUSALS = """
CREATE SCHEMA faults;
CREATE TABLE faults.refusal (consumer text PRIMARY KEY, sqlstate text NOT NULL);
CREATE SEQUENCE faults.write;
CREATE FUNCTION faults.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE refused text := (SELECT sqlstate FROM faults.refusal WHERE consumer = NEW.consumer);
BEGIN
    IF refused IS NOT NULL AND nextval('faults.write') % 3 > 0 THEN
        RAISE EXCEPTION 'refused by the test' USING ERRCODE = refused;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON oms.lease FOR EACH ROW EXECUTE FUNCTION faults.refuse();
"""
_LOCK_ALL = "SELECT FROM oms.lease WHERE consumer = %s ORDER BY topic, partition FOR UPDATE"
_LOCK_ONE = "SELECT FROM oms.lease WHERE (consumer, topic, partition) = (%s, %s, %s) FOR UPDATE"
_BLOCKED = """
SELECT DISTINCT application_name FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))
"""
_END = """
SELECT xact_start IS NOT NULL, pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND (application_name LIKE %s OR application_name = ANY(%s))
"""
_SECOND_IS_NO_VICTIM = "SET deadlock_timeout = '1min'"
_WAIT_S = 2.0

SMALL_TABLES = ("oms.event", "oms.payment_attempt", "read.audit_entry", "deadletter.verdict")
"""The first table that decider, payments, projector and normalizer need new pages of."""
SHORT_ROWS = ("oms.payment_attempt", "deadletter.verdict")
"""They get few rows on a page, so that the next one is soon needed."""
_DISK = "512m"


@dataclass(frozen=True, slots=True)
class DatabaseFaults:
    """Faults for the sessions of a consumer; each ends when ``met`` says so, or when it has happened."""

    settings: Settings
    watcher: Session

    @classmethod
    @contextmanager
    def on(cls, settings: Settings) -> Iterator[DatabaseFaults]:
        """Faults on a database that is migrated."""
        with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as watcher:
            watcher.execute(_REFUSALS)
            yield cls(settings, watcher)

    def end_sessions(self, consumer: str, *others: str) -> int:
        """End every session of ``consumer`` while its turn waits for the very last write; how many worked.

        ``others``: names of sessions that the same process has.
        """
        with self._second() as second:
            self._lock(consumer, second)
            ended = self.watcher.execute(_END, (f"{consumer}%", list(others))).fetchall()
        return sum(in_transaction for in_transaction, _ in ended)

    @contextmanager
    def held_back(self, consumer: str) -> Iterator[None]:
        """``consumer`` gets no lease inside the block, so that its work piles up."""
        with self._second() as second:
            self._lock(consumer, second)
            yield

    def lock_out(self, consumers: Sequence[str], met: Callable[[], bool]) -> None:
        """Nobody gets a lease of ``consumers`` until ``met``; they are locked out one after the other.

        So name first who gets work from the others.
        """
        with self._second() as second:
            for consumer in consumers:
                self._lock(consumer, second)
            wait_for(met, "the wait for a lock to end")

    def deadlock(self, consumer: str, rng: random.Random, met: Callable[[], bool]) -> None:
        """A second session takes the leases of ``consumer`` in another order, until one side had to give way.

        The second one looks for deadlocks much later than ``consumer`` does, so it is never the victim.
        """

        def tried() -> bool:
            leases = self.watcher.execute(
                "SELECT consumer, topic, partition FROM oms.lease WHERE consumer = %s", (consumer,)
            ).fetchall()
            rng.shuffle(leases)
            with self._second() as second:
                second.execute(_LOCK_ONE, leases[0])
                if self._gets_blocked(consumer, second):
                    for lease in leases[1:]:
                        second.execute(_LOCK_ONE, lease)
            return met()

        wait_for(tried, f"a deadlock of {consumer}")

    def refuse(self, consumer: str, sqlstate: str, met: Callable[[], bool]) -> None:
        """Two of three moves of a lease of ``consumer`` fail with ``sqlstate``, until ``met``.

        The lease is the last that a turn writes: all it did before is undone.
        """
        self.watcher.execute("INSERT INTO faults.refusal VALUES (%s, %s)", (consumer, sqlstate))
        try:
            wait_for(met, f"{consumer} meets {sqlstate}")
        finally:
            self.watcher.execute("DELETE FROM faults.refusal")

    @contextmanager
    def _second(self) -> Iterator[Session]:
        with psycopg.connect(self.settings.database_url.get_secret_value()) as second:
            second.execute(_SECOND_IS_NO_VICTIM)
            yield second
            second.rollback()

    def _lock(self, consumer: str, second: Session) -> None:
        """Take its leases, and wait until it wants one of them."""
        second.execute(_LOCK_ALL, (consumer,))
        wait_for(lambda: consumer in self._blocked_by(second), f"{consumer} is in a transaction")

    def _blocked_by(self, session: Session) -> set[str]:
        rows = self.watcher.execute(_BLOCKED, (session.info.backend_pid,)).fetchall()
        return {name for (name,) in rows}

    def _gets_blocked(self, consumer: str, session: Session) -> bool:
        try:
            wait_for(lambda: consumer in self._blocked_by(session), f"{consumer} waits", _WAIT_S)
        except AssertionError:
            return False
        return True


class SmallDisk:
    """A file system of its own for the tables that grow, which ``fill`` leaves without a free page."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    @contextmanager
    def under(cls, settings: Settings) -> Iterator[SmallDisk | None]:
        """The disk with ``SMALL_TABLES`` on it; None where this process may not mount. They move back."""
        folder = Path(tempfile.mkdtemp(prefix="tierline-disk-"))
        try:
            if not _mounted(folder):
                yield None
                return
            try:
                with _tables_on(folder, settings):
                    yield cls(folder)
            finally:
                subprocess.run(["umount", str(folder)], check=True)
        finally:
            folder.rmdir()

    def fill(self) -> None:
        """No more room than what is in use."""
        wait_for(self._shrunk, "the disk has no more room")

    def clear(self) -> None:
        """Room again."""
        assert self._resized(_DISK)

    def _shrunk(self) -> bool:
        """False where the tables grew since the look at them: what is on the disk would not fit."""
        used = os.statvfs(self._folder)
        return self._resized(str((used.f_blocks - used.f_bfree) * used.f_frsize))

    def _resized(self, size: str) -> bool:
        command = ["mount", "-o", f"remount,size={size}", str(self._folder)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _mounted(folder: Path) -> bool:
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tierline-disk", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextmanager
def _tables_on(folder: Path, settings: Settings) -> Iterator[None]:
    space = folder / "space"
    space.mkdir()
    folder.chmod(0o755)
    shutil.chown(space, server_user() or os.geteuid())
    name = sql.Identifier(folder.name)
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(name, sql.Literal(str(space))))
        try:
            for table in SMALL_TABLES:
                _move(connection, table, name)
            for table in SHORT_ROWS:
                connection.execute(f"ALTER TABLE {table} SET (fillfactor = 10)")
            yield
        finally:
            for table in SMALL_TABLES:
                _move(connection, table, sql.Identifier("pg_default"))
            connection.execute(sql.SQL("DROP TABLESPACE {}").format(name))


def _move(connection: Session, table: str, space: sql.Identifier) -> None:
    moved = sql.SQL("ALTER TABLE {} SET TABLESPACE {}")
    connection.execute(moved.format(sql.Identifier(*table.split(".")), space))
