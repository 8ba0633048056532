"""Rows in the text format of PostgreSQL's COPY: one line a row, tabs between columns.

Written by hand because a batch is then one block of bytes, which costs a third of adapting every value.
PostgreSQL's text cannot hold a NUL character; it is replaced by its picture, U+2400, so that a recorded fact
never stops a read model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

import msgspec

from projections.table import Kind

NULL = "\\N"
NUL_PICTURE = "\u2400"

_TEXT = str.maketrans({"\0": NUL_PICTURE, "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
# An array literal quotes with backslashes of its own, which COPY reads once more.
_ARRAY_ITEM = str.maketrans({"\0": NUL_PICTURE, "\\": "\\\\", '"': '\\"'})
_to_json = msgspec.json.encode


class _Remembering(dict[Any, str]):
    """Formats each value once: the events of one decision share most of their envelope."""

    def __init__(self, form: Callable[[Any], str]) -> None:
        super().__init__({None: NULL})
        self._form = form

    def __missing__(self, value: Any) -> str:
        self[value] = text = self._form(value)
        return text


def rows_as_copy_text(columns: Mapping[str, Kind], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The lines of ``rows``. Raises KeyError for a row without one of ``columns``."""
    write = _lines_of(tuple(columns.items()))
    lines = write(rows, _Remembering(_text), _Remembering(_instant))
    return ("\n".join(lines) + "\n").encode()


@cache
def _lines_of(columns: tuple[tuple[str, Kind], ...]) -> Callable[..., list[str]]:
    """A function from rows to their lines, by generated code: all columns stand in one f-string."""
    values = [_FORMS[kind].replace("value", f"row[{name!r}]", 1) for name, kind in columns]
    line = "\\t".join(f"{{{value}}}" for value in values)
    source = f'def lines(rows, text, instant):\n    return [f"""{line}""" for row in rows]\n'
    names: dict[str, Any] = {"NULL": NULL, "FLAG": _FLAG, "texts": _texts, "json": _json, "hexed": _hexed}
    exec(source, names)  # noqa: S102 - made from the columns of our own tables
    made: Callable[..., list[str]] = names["lines"]
    return made


def _text(value: str) -> str:
    # Nearly every text is plain, which is asked in a tenth of the time.
    return value if value.isprintable() and "\\" not in value else value.translate(_TEXT)


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


def _hexed(value: bytes) -> str:
    return "\\\\x" + value.hex()


_FLAG = {None: NULL, True: "t", False: "f"}
_PLAIN = "NULL if (found := value) is None else found"
_FORMS: dict[Kind, str] = {
    "text": "text[value]",
    "uuid": _PLAIN,
    "integer": _PLAIN,
    "flag": "FLAG[value]",
    "instant": "instant[value]",
    "date": _PLAIN,
    "texts": "NULL if (found := value) is None else texts(found)",
    "json": "NULL if (found := value) is None else json(found)",
    "bytes": "NULL if (found := value) is None else hexed(found)",
}
"""By kind the Python that gives the text of ``value``."""
