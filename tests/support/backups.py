"""Backups of one test's database, taken and restored while nobody uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tierline.kit.settings import Settings


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the database as it stood; stop the workers before ``restore``."""

    settings: Settings
    name: str

    def restore(self) -> None:
        """Put the copy into the place of the database: what was written since is gone."""
        live = _database(self.settings)
        _administer(self.settings, "DROP DATABASE {} WITH (FORCE)", live)
        _administer(self.settings, "CREATE DATABASE {} TEMPLATE {}", live, self.name)


@contextmanager
def backed_up(settings: Settings) -> Iterator[Backup]:
    """A backup taken now; it is removed at the end."""
    backup = Backup(settings, f"{_database(settings)}_backup")
    _administer(settings, "CREATE DATABASE {} TEMPLATE {}", backup.name, _database(settings))
    try:
        yield backup
    finally:
        _administer(settings, "DROP DATABASE {} WITH (FORCE)", backup.name)


def _database(settings: Settings) -> str:
    return urlsplit(settings.database_url.get_secret_value()).path.removeprefix("/")


def _administer(settings: Settings, statement: str, *names: str) -> None:
    maintenance = urlsplit(settings.database_url.get_secret_value())._replace(path="/postgres").geturl()
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
