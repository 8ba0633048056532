"""Migrations: all or none, once, by whoever comes first."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from projections import migrate as migrations
from projections.migrate import DatabaseIsNewer, migrate, revisions
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack


@pytest.fixture
def empty_database(settings: Settings) -> Iterator[SecretStr]:
    """A database in which nothing was ever made."""
    url = settings.database_url.get_secret_value()
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    empty = f"{name}_empty"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(empty)))
        yield SecretStr(psycopg.conninfo.make_conninfo(url, dbname=empty))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(empty)))


def tables(url: SecretStr) -> set[str]:
    """The tables that are there, by schema and name."""
    with psycopg.connect(url.get_secret_value()) as connection:
        found = connection.execute("SELECT schemaname || '.' || tablename FROM pg_tables").fetchall()
    return {name for (name,) in found}


def test_an_empty_database_gets_every_revision_once(empty_database: SecretStr) -> None:
    """The second call finds nothing to do."""
    assert revisions() == migrate(empty_database)
    assert {"oms.event", "read.tier_status", "public.alembic_version"} <= tables(empty_database)
    assert () == migrate(empty_database)


def test_of_several_that_start_at_once_one_migrates(empty_database: SecretStr) -> None:
    """The others wait and find it done."""
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(migrate, [empty_database] * 4))

    assert sorted([(), (), (), revisions()]) == sorted(answers)


def test_a_revision_that_fails_leaves_nothing_behind(
    empty_database: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or none: the first revision is undone with the second."""
    run = migrations.run_sql

    def failing(name: str) -> None:
        run(name)
        if name.startswith("0002"):
            raise RuntimeError("disk full")

    monkeypatch.setattr(migrations, "run_sql", failing)
    with pytest.raises(RuntimeError, match="disk full"):
        migrate(empty_database)

    assert "oms.event" not in tables(empty_database)


def test_a_database_that_is_ahead_is_refused(empty_database: SecretStr) -> None:
    """An older Tierline must not write what it does not know."""
    migrate(empty_database)
    with psycopg.connect(empty_database.get_secret_value()) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(DatabaseIsNewer, match=r"at revision 9999, this code knows \d{4} as the last"):
        migrate(empty_database)
