"""The schema registry is away at the first start."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.support.link import Link
from tests.support.stack import environment_of
from tierline import bootstrap
from tierline.kit.settings import Settings

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]


def registry_of(settings: Settings) -> str:
    """Where it is, as ``host:port``."""
    return urlsplit(settings.registry_url).netloc


def over(link: Link, settings: Settings) -> Settings:
    """The settings of a worker that reaches the registry over the link."""
    url = settings.registry_url.replace(registry_of(settings), link.address)
    return settings.model_copy(update={"registry_url": url})


@pytest.mark.parametrize("command", ["prepare", "run orders"])
def test_a_first_start_without_the_registry_says_what_to_do(settings: Settings, command: str) -> None:
    """Nobody knows an id to write with: it names the registry and the setting, and ends."""
    with Link(registry_of(settings)) as link:
        away = over(link, settings)
        if command != "prepare":
            bootstrap.prepare(settings)
            with psycopg.connect(settings.database_url.get_secret_value()) as connection:
                connection.execute("TRUNCATE oms.schema")
        link.cut()
        ended = subprocess.run(
            [sys.executable, "-m", "tierline.cli", *command.split()],
            env={**os.environ, **environment_of(away)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert 1 == ended.returncode
    assert away.registry_url in ended.stderr
    assert "TIERLINE_REGISTRY_URL" in ended.stderr
