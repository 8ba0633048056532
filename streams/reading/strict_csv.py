"""The strict reading of CSV (RFC 4180), on bytes: rows keep the very bytes they had.

Cells stand between commas; a cell in quotes may hold commas, line ends and doubled quotes. A line ends with
CRLF, LF or CR. Anything that readers read differently makes its row unreadable: a quote inside a cell without
quotes, text behind a closing quote, a quote that is never closed. Such a row ends at its first line end, so
that the rows behind it can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What people leave around a cell without seeing it: space, tab, no-break space.
BLANKS = " \t\u00a0"
BLANK_BYTES = b" \t"
LINE_END = b"\r\n"

_CELL = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"(?!")|[^",\r\n]*+')
_REST_OF_LINE = re.compile(rb"[^\r\n]*+")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_DELIMITERS = (b";", b"\t", b"|")


@dataclass(frozen=True, slots=True)
class Row:
    """One row. ``number``: as a spreadsheet counts, the first line of the file is 1, empty lines count.

    ``text``: its bytes without the line end. ``cells``: the bytes between the commas, with their quotes;
    None for a row that cannot be read.
    """

    number: int
    text: bytes
    cells: tuple[bytes, ...] | None

    @property
    def is_empty(self) -> bool:
        """Nothing stands in it but blanks and commas."""
        return self.cells is not None and not any(map(content, self.cells))


def rows(value: bytes) -> Iterator[Row]:
    """The rows of ``value``, a byte order mark left out; the end of the last line opens no further row."""
    start, number = (len(BYTE_ORDER_MARK) if value.startswith(BYTE_ORDER_MARK) else 0), 0
    while start < len(value):
        number += 1
        cells, end = _cells(value, start)
        yield Row(number, value[start:end], cells)
        ending = _LINE_END.match(value, end)
        start = end if ending is None else ending.end()


def content(cell: bytes) -> bytes:
    """What a cell says: without its quotes, and without ASCII blanks around it."""
    if cell.startswith(b'"'):
        cell = cell[1:-1].replace(b'""', b'"')
    return cell.strip(BLANK_BYTES)


def quoted(text: bytes) -> bytes:
    """``text`` as one cell, in quotes where it needs them."""
    if any(mark in text for mark in (b'"', b",", b"\r", b"\n")) or text != text.strip(BLANK_BYTES):
        return b'"' + text.replace(b'"', b'""') + b'"'
    return text


def other_delimiter(line: bytes, columns: frozenset[bytes]) -> bytes | None:
    """What seems to separate the cells of a header line that has no comma; None if that cannot be told."""
    if b"," in line:
        return None
    for delimiter in _DELIMITERS:
        names = {content(cell) for cell in line.split(delimiter)}
        if len(names & columns) > 1:
            return delimiter
    return None


def _cells(value: bytes, start: int) -> tuple[tuple[bytes, ...] | None, int]:
    """The cells of the row at ``start`` and where it ends; None for cells that cannot be read."""
    found: list[bytes] = []
    place = start
    while True:
        cell = _CELL.match(value, place)
        place = place if cell is None else cell.end()
        found.append(b"" if cell is None else cell[0])
        if place == len(value) or value[place] in LINE_END:
            return tuple(found), place
        if value[place : place + 1] != b",":
            rest = _REST_OF_LINE.match(value, start)
            return None, start if rest is None else rest.end()
        place += 1
