"""Names what a figure was measured on, without which it says nothing, and starts servers of its own."""

from __future__ import annotations

import platform
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka
import psycopg

from tierline.kit.database import Connection
from tierline.kit.settings import Settings
from tierline.local.stack import LocalStack


def interpreter() -> str:
    """Which Python: one built without optimisation is half as fast."""
    built = "optimised" if "-O0" not in (sysconfig.get_config_var("OPT") or "-O0") else "NOT optimised"
    return f"{platform.python_implementation()} {platform.python_version()}, {built}, {platform.machine()}"


@contextmanager
def own_stack() -> Iterator[Settings]:
    """Kafka, PostgreSQL and the registry in a folder that goes with them."""
    with (
        tempfile.TemporaryDirectory(prefix="tierline-bench-") as folder,
        LocalStack(Path(folder), usual_ports=False) as stack,
    ):
        yield stack.settings


def servers_of(connection: Connection) -> dict[str, str]:
    """Interpreter, servers and clients. Refuses a database that does not wait for its disk."""
    shown = {
        name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index] # one row
        for name in ("server_version", "fsync", "synchronous_commit")
    }
    assert (shown["fsync"], shown["synchronous_commit"]) == ("on", "on"), shown
    return {
        "interpreter": interpreter(),
        "postgresql": f"PostgreSQL {shown['server_version']}, fsync on, synchronous_commit on",
        "clients": f"psycopg {psycopg.__version__}, librdkafka {confluent_kafka.libversion()[0]}",
    }
