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


class _Remembering(dict[Any, str]):
    """Formats each value once: the events of one decision share most of their envelope."""

    def __init__(self, form: Callable[[Any], str]) -> None:
        super().__init__()
        self._form = form

    def __missing__(self, value: Any) -> str:
        self[value] = text = self._form(value)
        return text


def rows_as_copy_text(columns: Mapping[str, Kind], rows: Sequence[Row]) -> bytes:
    """The lines of ``rows``. Raises KeyError for a row without one of ``columns``."""
    forms = _FORMS | {kind: _Remembering(form).__getitem__ for kind, form in _REMEMBERED.items()}
    plan = [(name, forms[kind]) for name, kind in columns.items()]
    lines = [
        "\t".join([NULL if (value := row[name]) is None else form(value) for name, form in plan])
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
    text = _to_json(value).decode()
    if "\\" not in text:
        return text
    if "\\u0000" in text:
        text = _to_json(_without_nul(value)).decode()
    return text.replace("\\", "\\\\")


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


_FORMS: dict[Kind, Callable[[Any], str]] = {
    "uuid": str,
    "integer": str,
    "flag": _flag,
    "date": str,
    "texts": _texts,
    "json": _json,
    "bytes": _bytes,
}
_REMEMBERED: dict[Kind, Callable[[Any], str]] = {"text": _text, "instant": _instant}
