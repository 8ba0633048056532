"""What counts as the database being away, and what as its answer."""

from __future__ import annotations

import psycopg
import pytest

from tierline.kit.database import is_outage


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.IdleInTransactionSessionTimeout(),
        psycopg.errors.TransactionTimeout(),
        psycopg.errors.ReadOnlySqlTransaction(),
        psycopg.errors.DeadlockDetected(),
        psycopg.errors.LockNotAvailable(),
        psycopg.errors.AdminShutdown(),
    ],
)
def test_a_session_that_the_server_gave_up_is_an_outage(error: psycopg.Error) -> None:
    """Also before the client has seen that the session is closed: it counts against no record."""
    assert is_outage(error, None)


@pytest.mark.parametrize("error", [psycopg.errors.UniqueViolation(), psycopg.errors.UndefinedTable()])
def test_a_statement_that_was_refused_is_none(error: psycopg.Error) -> None:
    """The database is there, and will say the same again."""
    assert not is_outage(error, None)
