"""The stack that all tests of a run share, and what one test owns in it: a database and a topic prefix."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from confluent_kafka.admin import AdminClient
from psycopg import sql
from pydantic import SecretStr

from projections.migrate import migrate
from tierline.kit.settings import Settings, load_settings
from tierline.local.stack import LocalStack

TEST_PARTITIONS = 4
ADMIN_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class SharedStack:
    """Where the servers are and which database holds the migrated, empty tables."""

    data: Path
    template: str

    @property
    def settings(self) -> Settings:
        """The settings of the stack itself."""
        return load_settings(self.data)


@contextmanager
def shared_stack(running: Path | None) -> Iterator[SharedStack]:
    """A stack for one test run: a new one, or the one that already runs in ``running``."""
    if running:
        with _template_database(running) as shared:
            yield shared
        return
    data = Path(tempfile.mkdtemp(prefix="tierline-test-"))
    try:
        with new_stack(data) as (_, shared):
            yield shared
    finally:
        shutil.rmtree(data, ignore_errors=True)


@contextmanager
def new_stack(data: Path) -> Iterator[tuple[LocalStack, SharedStack]]:
    """Servers in ``data``, for tests that stop them, and what tests own parts of."""
    with LocalStack(data, usual_ports=False) as stack, _template_database(data) as shared:
        yield stack, shared


@contextmanager
def own_part_of(shared: SharedStack) -> Iterator[Settings]:
    """Settings with a database of their own and a topic prefix of their own; both are removed at the end."""
    mark = secrets.token_hex(4)
    base = shared.settings
    prefix, database = f"t{mark}.", f"tierline_t{mark}"
    _administer(base, "CREATE DATABASE {} TEMPLATE {}", database, shared.template)
    kafka = base.kafka.model_copy(update={"topic_prefix": prefix, "partitions": TEST_PARTITIONS})
    url = SecretStr(_url_of(base, database))
    checkpoint = base.checkpoint.model_copy(update={"file": shared.data / f"checkpoints-{mark}.ndjson"})
    own = {"kafka": kafka, "database_url": url, "checkpoint": checkpoint}
    try:
        yield base.model_copy(update=own)
    finally:
        _administer(base, "DROP DATABASE {} WITH (FORCE)", database)
        _delete_topics(base, prefix)


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment that gives a child process exactly these settings."""
    environment: dict[str, str] = {}

    def flatten(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                flatten(f"{prefix}{name.upper()}__", inner)
        elif isinstance(value, tuple):
            environment[prefix.removesuffix("__")] = json.dumps(value)
        elif value is not None:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            environment[prefix.removesuffix("__")] = str(plain)

    for name, value in settings.model_dump().items():
        flatten(f"TIERLINE_{name.upper()}__", value)
    return environment


@contextmanager
def _template_database(data: Path) -> Iterator[SharedStack]:
    shared = SharedStack(data, f"tierline_template_{secrets.token_hex(4)}")
    _administer(shared.settings, "CREATE DATABASE {}", shared.template)
    try:
        migrate(SecretStr(_url_of(shared.settings, shared.template)))
        yield shared
    finally:
        _administer(shared.settings, "DROP DATABASE {} WITH (FORCE)", shared.template)


def _administer(settings: Settings, statement: str, *names: str) -> None:
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _url_of(settings: Settings, database: str) -> str:
    return urlsplit(settings.database_url.get_secret_value())._replace(path=f"/{database}").geturl()


def _delete_topics(settings: Settings, prefix: str) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    names = [name for name in admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics if name.startswith(prefix)]
    if names:
        for deleted in admin.delete_topics(names, operation_timeout=ADMIN_TIMEOUT_S).values():
            deleted.result()
