"""Brings the database to the schema that this code needs.

A revision is a plain SQL file, ``projections/sql/NNNN_<object>.sql``, which a thin Alembic revision of the
same number runs. Revisions only go forward: what is wrong is mended by the next one.
"""

from __future__ import annotations

from importlib.resources import files

import psycopg
from psycopg.errors import UndefinedTable
from pydantic import SecretStr

from schemas.errors import NotPrepared

# Any number, as long as every program that migrates takes the same.
_LOCK = 6_074_193_205


class DatabaseIsNewer(RuntimeError):
    """The database was migrated by a newer Tierline. Start that version, or point at another database."""


def migrate(database_url: SecretStr) -> tuple[str, ...]:
    """Apply the missing revisions, all or none; their numbers come back, oldest first.

    Safe to call at every start and from several programs at once: one migrates, the others wait for it and
    then find nothing to do. Where nothing is missing it costs one connection and two statements.
    Raises ``DatabaseIsNewer`` where the database is ahead of this code.
    """
    with psycopg.connect(database_url.get_secret_value(), autocommit=True) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        known = revisions()
        present = _present(guard)
        if present is not None and present not in known:
            raise DatabaseIsNewer(
                f"the database is at revision {present}, this code knows {known[-1]} as the last: "
                "start the newer Tierline, or set TIERLINE_DATABASE_URL to another database"
            )
        missing = known[known.index(present) + 1 :] if present else known
        if missing:
            _upgrade(database_url)
        return missing


def check_migrated(database_url: SecretStr) -> None:
    """Raises ``NotPrepared`` where the database lacks a revision; one that is further on will do.

    A worker starts next to newer ones during a rollout: revisions never break the release before.
    """
    with psycopg.connect(database_url.get_secret_value(), autocommit=True) as connection:
        present = _present(connection)
    last = revisions()[-1]
    if present is None or present < last:
        raise NotPrepared(f"the database is at revision {present or 'none'}, this version needs {last}")


def revisions() -> tuple[str, ...]:
    """The numbers of all revisions this code knows, oldest first."""
    return tuple(sorted(file.name[:4] for file in files("projections").joinpath("sql").iterdir()))


def run_sql(name: str) -> None:
    """Run one file of ``projections/sql`` in the transaction of the migration. For revisions only."""
    from alembic import op

    statements = files("projections").joinpath("sql", name).read_text()
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(statements)


def _present(connection: psycopg.Connection[tuple[str]]) -> str | None:
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except UndefinedTable:
        return None
    return row[0] if row else None


def _upgrade(database_url: SecretStr) -> None:
    # Alembic and SQLAlchemy take longer to import than the check that usually finds nothing to do.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import NullPool, create_engine

    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(database_url.get_secret_value()),
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", "projections:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
