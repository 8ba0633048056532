"""The local stack on real servers."""

from __future__ import annotations

import psycopg
import pytest

from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack


def test_each_test_has_a_migrated_database_of_its_own(settings: Settings, stack_settings: Settings) -> None:
    """The database of a test holds the event store and is not the stack's."""
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        found = connection.execute("SELECT to_regnamespace('oms') IS NOT NULL").fetchone()
    assert (True,) == found
    assert stack_settings.database_url != settings.database_url
