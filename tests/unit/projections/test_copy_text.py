"""What COPY is given is what PostgreSQL shall hold, whatever the text says."""

from __future__ import annotations

from typing import Any

import pytest

from projections.copy_text import rows_as_copy_text
from projections.table import Kind


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", "plain", "plain"),
        ("text", "", ""),
        ("text", "a\tb\nc\rd\\e", "a\\tb\\nc\\rd\\\\e"),
        ("text", "\\N", "\\\\N"),
        ("text", "nul\0inside", "nul\u2400inside"),
        ("text", "größe ☃", "größe ☃"),
        ("integer", -5, "-5"),
        ("flag", True, "t"),
        ("flag", False, "f"),
        ("instant", 1_795_428_131_104, "2026-11-23 10:02:11.104+00"),
        ("instant", 0, "1970-01-01 00:00:00.000+00"),
        ("instant", -1, "1969-12-31 23:59:59.999+00"),
        ("date", "2026-11-23", "2026-11-23"),
        ("texts", [], "{}"),
        ("texts", ["a", "b"], '{"a","b"}'),
        ("texts", ['say "x"', "back\\slash", "null"], '{"say \\\\"x\\\\"","back\\\\\\\\slash","null"}'),
        ("json", {"a": [1, None, "x"]}, '{"a":[1,null,"x"]}'),
        ("json", {"a": 'q"\n'}, '{"a":"q\\\\"\\\\n"}'),
        ("json", {"nul\0": ["\0"]}, '{"nul\u2400":["\u2400"]}'),
        ("json", "\\u0000", '"\\\\\\\\u0000"'),
        ("bytes", b"\x00\xff", "\\\\x00ff"),
    ],
)
def test_a_value_in_copy_text(kind: Kind, value: Any, expected: str) -> None:
    """Each kind of column has one way to be written."""
    assert f"{expected}\n".encode() == rows_as_copy_text({"column": kind}, [{"column": value}])


@pytest.mark.parametrize(
    "kind", ["text", "uuid", "integer", "flag", "instant", "date", "texts", "json", "bytes"]
)
def test_nothing_is_null_in_every_kind(kind: Kind) -> None:
    """None is NULL, never the word."""
    assert b"\\N\n" == rows_as_copy_text({"column": kind}, [{"column": None}])


def test_rows_are_lines_and_columns_are_parted_by_tabs() -> None:
    """The order of the columns counts, not that of the row."""
    rows = [{"b": 1, "a": "x", "more": 0}, {"a": "y", "b": 2}]

    assert b"x\t1\ny\t2\n" == rows_as_copy_text({"a": "text", "b": "integer"}, rows)
