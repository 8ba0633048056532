"""Connections to PostgreSQL with the limits that keep a frozen worker from blocking its successor."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow
from pydantic import SecretStr

Connection = psycopg.Connection[TupleRow]

IDLE_IN_TRANSACTION_MS = 5_000
LOCK_MS = 8_000
TCP_USER_MS = 10_000
CONNECT_S = 5


def connect(url: SecretStr, application: str, *, statement_ms: int = 60_000) -> Connection:
    """Open a session that begins a transaction with its first statement; the caller commits.

    ``application`` is what an operator sees in ``pg_stat_activity``. A session that sits in a transaction
    without a statement is ended by the server after 5 s: a worker that was stopped in the middle loses its
    locks. The wait for a lock is a little longer than that, so the successor outlives the frozen one.
    """
    limits = {
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_MS,
        "lock_timeout": LOCK_MS,
        "statement_timeout": statement_ms,
    }
    return psycopg.connect(
        url.get_secret_value(),
        application_name=application,
        connect_timeout=CONNECT_S,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=TCP_USER_MS,
        options=" ".join(f"-c {name}={value}" for name, value in limits.items()),
    )


_GIVEN_UP = (
    psycopg.errors.ReadOnlySqlTransaction
    # The server ends the session, which psycopg may not have seen yet when it raises this.
    | psycopg.errors.IdleInTransactionSessionTimeout
    | psycopg.errors.TransactionTimeout
)


def is_outage(error: BaseException, connection: Connection | None) -> bool:
    """Whether ``error`` says that the database is away or gave this session up, rather than refused the data.

    True for lost connections, timeouts, deadlocks and lock waits (all of them: try again), for a server that
    is read-only because it was demoted, and for whatever a session says that the server has ended.
    """
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | _GIVEN_UP):
        return True
    return isinstance(error, psycopg.Error) and connection is not None and connection.closed
