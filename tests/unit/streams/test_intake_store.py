"""Which failures of a look-up are tried again as one record's own, and which say that the store is away."""

from __future__ import annotations

from typing import Any, cast

import psycopg
import pytest

from schemas.topics import NORMALIZER
from streams.normalizing.intake_store import IntakeStore
from tierline.kit.database import Connection
from tierline.kit.errors import LookUpFailed


class Session:
    """A session that answers every question about leases, and refuses one about references."""

    closed = False

    def __init__(self, sqlstate: str) -> None:
        self.refusal = psycopg.errors.lookup(sqlstate)("refused")

    def execute(self, statement: str, _: object = None) -> Session:
        if "external_ref" in statement:
            raise self.refusal
        return self

    def fetchall(self) -> list[Any]:
        return []

    def commit(self) -> None:
        """Nothing was changed."""

    def rollback(self) -> None:
        """Nothing was changed."""


def look_up(sqlstate: str) -> object:
    store = IntakeStore(NORMALIZER, lambda: cast("Connection", Session(sqlstate)))
    return store.look_up([("portal", "main", "sub_1")])


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "57014"])
def test_what_the_server_gave_up_by_itself_is_a_failed_look_up(sqlstate: str) -> None:
    """Serialisation, deadlock, cancelled statement: the code is told on."""
    with pytest.raises(LookUpFailed, match=sqlstate):
        look_up(sqlstate)


@pytest.mark.parametrize("sqlstate", ["57P01", "57P03", "08006", "25006", "55P03", "42P01"])
def test_anything_else_is_no_fault_of_a_record(sqlstate: str) -> None:
    """A server that goes, starts or is demoted is waited for; a missing table ends the process."""
    with pytest.raises(psycopg.Error) as met:
        look_up(sqlstate)
    assert sqlstate == met.value.sqlstate
