"""The strict reading of CSV: rows as RFC 4180 has them, and no row lost behind a broken one."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.reading.strict_csv import content, other_delimiter, quoted, rows

COLUMNS = frozenset({b"account", b"seats"})
CELLS = st.text(st.sampled_from('ab ",\r\n;\u00e9'), max_size=6)


@settings(deadline=None)
@given(
    table=st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=5),
    dialect=st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL), ("\r", csv.QUOTE_ALL)]),
)
def test_what_another_program_writes_is_read_as_it_was_meant(
    table: list[list[str]], dialect: tuple[str, Any]
) -> None:
    """Commas, quotes and line ends inside cells come back; only blanks around a cell are left out."""
    written = io.StringIO(newline="")
    line_end, quoting = dialect
    csv.writer(written, lineterminator=line_end, quoting=quoting).writerows(table)
    expected = [[cell.strip(" ") for cell in row] for row in table]

    read = [[content(cell).decode() for cell in row.cells or ()] for row in rows(written.getvalue().encode())]

    assert expected == read


@settings(deadline=None)
@given(value=st.binary(max_size=40) | st.text(st.sampled_from('a",\r\n'), max_size=40).map(str.encode))
def test_no_byte_of_a_file_is_lost(value: bytes) -> None:
    """Whatever the bytes are, the rows hold all of them but line ends and the mark in front."""
    kept = b"".join(row.text for row in rows(value))

    assert value.removeprefix(b"\xef\xbb\xbf").translate(None, b"\r\n") == kept.translate(None, b"\r\n")


@pytest.mark.parametrize(
    "broken",
    [b'"a,1', b'a"b,1', b'a,"b"c', b'a, "b"', b'"a""', b'"'],
)
def test_a_broken_row_ends_at_its_line_and_the_next_one_is_read(broken: bytes) -> None:
    """A quote that is never closed does not swallow the rows behind it."""
    found = list(rows(b"x,y\r\n" + broken + b"\r\nc,2\r\n"))

    assert [(1, (b"x", b"y")), (2, None), (3, (b"c", b"2"))] == [(row.number, row.cells) for row in found]
    assert broken == found[1].text


def test_rows_are_counted_as_a_spreadsheet_counts_them() -> None:
    """The first line is row 1, an empty line counts, a line end inside a cell does not."""
    found = list(rows(b'\xef\xbb\xbfh\n\n"a\nb"\nc'))

    assert [(1, b"h"), (2, b""), (3, b'"a\nb"'), (4, b"c")] == [(row.number, row.text) for row in found]
    assert [False, True, False, False] == [row.is_empty for row in found]


@pytest.mark.parametrize("text", [b"a", b'a"b', b"a,b", b"a\r\nb", b" a", b""])
def test_a_quoted_cell_is_read_as_what_it_was(text: bytes) -> None:
    """Writing and reading a cell gives it back, blanks around it aside."""
    [row] = rows(quoted(text) + b",x")

    assert (text.strip(), b"x") == tuple(map(content, row.cells or ()))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"account;seats", b";"),
        (b'"account"\tseats', b"\t"),
        (b"account|seats", b"|"),
        (b"account,seats", None),
        (b"account,x;seats", None),
        (b"account", None),
    ],
)
def test_another_delimiter_is_told_by_the_names_it_separates(line: bytes, expected: bytes | None) -> None:
    """Only a line without a comma, and only when known columns appear."""
    assert expected == other_delimiter(line, COLUMNS)


def test_a_file_full_of_open_quotes_is_read_in_one_pass() -> None:
    """Each broken line costs its own length, so a megabyte of them is no attack."""
    found = list(rows(b'"a,b\n' * 20_001))

    assert 20_001 == sum(row.text.count(b"\n") + 1 for row in found)
