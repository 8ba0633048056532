"""Rows in the text format of PostgreSQL's COPY: one line a row, tabs between columns.

Written by hand because a batch is then one block of bytes, which costs a third of adapting every value.
PostgreSQL's text cannot hold a NUL character; it is replaced by its picture, U+2400, so that a recorded fact
never stops a read model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from projections.table import Kind, Row

NULL = "\\N"
NUL_PICTURE = "\u2400"

_TEXT = str.maketrans({"\0": NUL_PICTURE, "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
# An array literal quotes with backslashes of its own, which COPY reads once more.
_ARRAY_ITEM = str.maketrans({"\0": NUL_PICTURE, "\\": "\\\\", '"': '\\"'})
_to_json = msgspec.json.encode


def rows_as_copy_text(columns: Mapping[str, Kind], rows: Sequence[Row]) -> bytes:
    """The lines of ``rows``. Raises KeyError for a row without one of ``columns``."""
    formats = [(name, _FORMATS[kind]) for name, kind in columns.items()]
    lines = [
        "\t".join([NULL if (value := row[name]) is None else form(value) for name, form in formats])
        for row in rows
    ]
    return ("\n".join(lines) + "\n").encode()


def _text(value: str) -> str:
    return value.translate(_TEXT)


def _instant(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}+00"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _texts(values: Sequence[str]) -> str:
    if not values:
        return "{}"
    quoted = '","'.join([value.translate(_ARRAY_ITEM) for value in values])
    return f'{{"{quoted}"}}'.translate(_TEXT)


def _json(value: Any) -> str:
    encoded = _to_json(value)
    if b"\\u0000" in encoded:
        encoded = _to_json(_without_nul(value))
    return encoded.decode().translate(_TEXT)


def _without_nul(value: Any) -> Any:
    """``value`` with the picture of NUL for NUL: jsonb refuses the character even when it is escaped."""
    match value:
        case str():
            return value.replace("\0", NUL_PICTURE)
        case list():
            return [_without_nul(item) for item in value]
        case dict():
            return {_without_nul(name): _without_nul(item) for name, item in value.items()}
        case _:
            return value


def _bytes(value: bytes) -> str:
    return "\\\\x" + value.hex()


def _flag(value: bool) -> str:
    return "t" if value else "f"


_FORMATS: dict[Kind, Callable[[Any], str]] = {
    "text": _text,
    "uuid": str,
    "integer": str,
    "flag": _flag,
    "instant": _instant,
    "date": str,
    "texts": _texts,
    "json": _json,
    "bytes": _bytes,
}
