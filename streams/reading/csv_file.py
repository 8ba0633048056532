"""Cutting a CSV file into the records of its channel: the header line and one row each.

What is wrong with the file as a whole is refused before anything is published. A row that cannot be read is a
record like the others: it comes back with the reason, and the rows behind it go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streams.reading.csv_contract import CsvContract
from streams.reading.refusal import MEANINGS, Refused
from streams.reading.strict_csv import LINE_END, Row, rows

_ARCHIVE = b"PK\x03\x04"


class FileRefused(Exception):
    """The file is no CSV of this channel. ``problem``: what is wrong with it; ``action``: what to do."""

    def __init__(self, problem: str, action: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.action = action


@dataclass(frozen=True, slots=True)
class CutRow:
    """One row as a record. ``number``: as a spreadsheet counts. ``key``: None where it names nothing."""

    number: int
    key: bytes | None
    value: bytes


@dataclass(frozen=True, slots=True)
class CutFile:
    """The rows of a file; ``empty_rows`` of them hold nothing and are left out."""

    rows: tuple[CutRow, ...]
    empty_rows: int


def cut(content: bytes, contract: CsvContract[Any]) -> CutFile:
    """The rows of a file; raises ``FileRefused`` for a file that is no CSV of this channel."""
    if content.startswith(_ARCHIVE):
        raise FileRefused("it is a spreadsheet or an archive, not CSV", "Save it as CSV UTF-8.")
    found = list(rows(content))
    header = next((row for row in found if row.text.strip()), None)
    if header is None:
        raise FileRefused("it is empty", "The first line names the columns, each further line is an order.")
    _check(header, contract)
    behind = [row for row in found if row.number > header.number]
    filled = [row for row in behind if not row.is_empty]
    if not filled:
        raise FileRefused("it holds no row below its header line", "Each line below it is one order.")
    return CutFile(tuple(_records(header, filled, contract)), len(behind) - len(filled))


def _check(header: Row, contract: CsvContract[Any]) -> None:
    if b"\x00" in header.text or header.text.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileRefused("it is not UTF-8 text", "Save it as CSV UTF-8; UTF-16 is not read.")
    try:
        contract.header(header)
    except Refused as refused:
        column = f" (column {refused.field})" if refused.field else ""
        columns = ",".join(contract.columns)
        raise FileRefused(
            f"its header line is not one of this channel: {refused.code}{column}",
            f"{MEANINGS[refused.code][1]}\n  The columns are {columns}",
        ) from None


def _records(header: Row, filled: list[Row], contract: CsvContract[Any]) -> Iterator[CutRow]:
    for row in filled:
        value = header.text + LINE_END + row.text + LINE_END
        yield CutRow(row.number, contract.key_in(value), value)
