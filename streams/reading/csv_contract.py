"""Reading a channel's CSV by its contract: one record is the header line and one row.

The contract declares the columns. All of them must stand in the header line, in any order, so that a misspelt
name is told and not taken for a column that nobody reads; their cells may be empty. Blanks around a cell do
not count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect

from streams.reading.contract import CONTROL, Document, refuse
from streams.reading.refusal import Code, Refused
from streams.reading.strict_csv import BLANKS, Row, content, other_delimiter, rows

T = TypeVar("T")

LIST_SEPARATOR = ";"
OWN_PREFIX = "tierline_"
"""Columns of an answer that Tierline gave to a file; in a file that is sent again they are not read."""

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_INT64 = range(-(2**63), 2**63)
_INT64_DIGITS = 20


class CsvContract(Generic[T]):
    """The contract of one channel, declared by a msgspec Struct with a default for every field.

    A field of texts is a cell as it is, one of whole numbers a cell of digits, one of lists a cell whose
    entries stand between semicolons. The Struct may name further columns in a class variable ``tolerated``:
    they are not read and do not count as unknown. ``reference``: the column with the channel's own reference.
    ``keys``: columns of which the first that is not empty names what the row is about.
    """

    def __init__(self, declared: type[T], reference: str, keys: Sequence[str]) -> None:
        self._declared = declared
        self._reference = reference
        self._keys = tuple(keys)
        info = inspect.type_info(declared)
        self.columns = {field.name: field.type for field in getattr(info, "fields", ())}
        self.names = frozenset({*self.columns, *getattr(declared, "tolerated", ())})
        self._names = frozenset(name.encode() for name in self.columns)

    def read(self, value: bytes | None) -> Document[T]:
        """The document in ``value``; raises ``Refused`` (class decode or contract)."""
        header, row = _header_and_row(value)
        names = self.header(header)
        cells = _texts(row)
        if len(cells) != len(names):
            raise Refused(Code.RAGGED_ROW)
        said = {name: text for name, text in zip(names, cells, strict=True) if name in self.columns}
        for name in self.columns:
            if CONTROL.search(said[name]):
                raise Refused(Code.CONTROL_CHARACTER, name)
        values = {name: self._value(name, text) for name, text in said.items() if text}
        try:
            document = msgspec.convert(values, self._declared)
        except msgspec.ValidationError as error:
            refuse(str(error))
        return Document(document, sum(self._is_unknown(name) for name in names))

    def header(self, row: Row) -> tuple[str, ...]:
        """The names in a header line; raises ``Refused`` where a column is missing or stands twice."""
        names = _texts(row)
        if other_delimiter(row.text, self._names) is not None:
            raise Refused(Code.WRONG_DELIMITER)
        for name in self.columns:
            if name not in names:
                raise Refused(Code.MISSING_COLUMN, name)
            if names.count(name) > 1:
                raise Refused(Code.DUPLICATE_COLUMN, name)
        return names

    def cells(self, value: bytes | None) -> dict[str, str]:
        """The cells of a record by column, where it is clear which cell is whose; raises ``Refused`` else."""
        header, row = _header_and_row(value)
        names, cells = _texts(header), _texts(row)
        if len(names) != len(cells):
            raise Refused(Code.RAGGED_ROW)
        return {
            name: text for name, text in zip(names, cells, strict=True) if not self._is_doubled(name, names)
        }

    def key_in(self, value: bytes) -> bytes | None:
        """The record key of a row: its reference of the subscription or account; None if there is none."""
        try:
            cells = self.cells(value)
        except Refused:
            return None
        key = next((cells[name] for name in self._keys if cells.get(name)), None)
        return None if key is None else key.encode()

    def reference_in(self, value: bytes | None) -> str | None:
        """The channel's reference in a record that was refused; None if it cannot be told."""
        try:
            text = self.cells(value).get(self._reference, "")
            msgspec.convert({self._reference: text}, self._declared)
        except (Refused, msgspec.ValidationError):
            return None
        return None if not text or CONTROL.search(text) else text

    def _is_unknown(self, name: str) -> bool:
        return name not in self.names and not name.startswith(OWN_PREFIX)

    def _is_doubled(self, name: str, names: Sequence[str]) -> bool:
        return name in self.columns and names.count(name) > 1

    def _value(self, name: str, text: str) -> Any:
        """The cell of a column, as its type wants it."""
        kind = self.columns[name]
        options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
        if any(isinstance(option, inspect.ListType) for option in options):
            return [entry.strip(BLANKS) for entry in text.split(LIST_SEPARATOR)]
        if any(isinstance(option, inspect.IntType) for option in options):
            return _whole(name, text)
        return text


def _header_and_row(value: bytes | None) -> tuple[Row, Row]:
    if value is None:
        raise Refused(Code.TOMBSTONE)
    if not value.strip(b"\xef\xbb\xbf \t\r\n"):
        raise Refused(Code.EMPTY_VALUE)
    if b"\x00" in value:
        raise Refused(Code.NUL_BYTE)
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(Code.INVALID_UTF8) from None
    found = [row for row in rows(value) if row.text.strip()]
    if len(found) > 1 and any(row.cells is None for row in found):
        raise Refused(Code.MALFORMED_CSV)
    if len(found) != 2:
        raise Refused(Code.NOT_ONE_ROW)
    return found[0], found[1]


def _texts(row: Row) -> tuple[str, ...]:
    """The cells of a row as texts, blanks around them left out; raises ``Refused`` where they are none."""
    if row.cells is None:
        raise Refused(Code.MALFORMED_CSV)
    try:
        return tuple(content(cell).decode("utf-8").strip(BLANKS) for cell in row.cells)
    except UnicodeDecodeError:
        raise Refused(Code.INVALID_UTF8) from None


def _whole(name: str, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise Refused(Code.INVALID_NUMBER, name)
    if len(text) > _INT64_DIGITS or (number := int(text)) not in _INT64:
        raise Refused(Code.INTEGER_TOO_LARGE, name)
    return number
