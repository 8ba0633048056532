"""Rows built by hand are what PostgreSQL reads: every kind of field goes in and comes back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.deciding.copy_rows import (
    NULL,
    bigint,
    copy_block,
    instant,
    integer,
    raw,
    row,
    text,
    texts,
    uuid,
    word,
)
from tierline.kit.database import connect
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

TABLE = """
CREATE TEMPORARY TABLE sample (
    number integer, large bigint, words text, short text, bytes bytea, id uuid, at timestamptz, list text[]
)
"""


def test_every_kind_of_field_comes_back_as_it_went_in(settings: Settings) -> None:
    """Extremes, empty values, NULL, characters beyond ASCII, lists of none and of several."""
    some_id = "0f8fad5b-d9cb-569f-a165-70867728950e"
    rows = [
        row(
            integer(-(2**31)),
            bigint(2**63 - 1),
            text("größe \U0001f600\n\t\\"),
            word("held"),
            raw(b"\x00\xff"),
            uuid(some_id),
            instant(1_795_435_200_123),
            texts(["A", 'B "quoted", {braced}', "", "ß"]),
        ),
        row(integer(0), bigint(-1), text(""), NULL, raw(b""), uuid(None), instant(0), texts([])),
    ]
    with connect(settings.database_url, "test") as connection:
        connection.execute(TABLE)
        with connection.cursor() as cursor, cursor.copy("COPY sample FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(copy_block(rows))
        found = connection.execute(
            "SELECT number, large, words, short, bytes, id::text, at, list FROM sample ORDER BY number"
        ).fetchall()

    assert [
        (
            -(2**31),
            2**63 - 1,
            "größe \U0001f600\n\t\\",
            "held",
            b"\x00\xff",
            some_id,
            datetime(2026, 11, 23, 12, 0, 0, 123_000, UTC),
            ["A", 'B "quoted", {braced}', "", "ß"],
        ),
        (0, -1, "", None, b"", None, datetime(1970, 1, 1, tzinfo=UTC), []),
    ] == found
