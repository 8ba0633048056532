"""A scenario from a file or standard input, decoded without losing a digit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tierline.domain.refusal import InputRefused

STANDARD_INPUT = Path("-")
_MOST_BYTES = 4 * 1024 * 1024


def load_document(path: Path) -> object:
    """The JSON value of the file (``-``: standard input). Numbers with a fraction come as text.

    Raises InputRefused for anything that is not one JSON document with every key once.
    """
    try:
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        raise InputRefused(str(path), error.strerror or "cannot be read") from error
    if len(content) > _MOST_BYTES:
        raise InputRefused(str(path), f"is larger than {_MOST_BYTES} bytes")
    try:
        return json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_once, parse_float=str, parse_constant=_no_number
        )
    except RecursionError:
        raise InputRefused(str(path), "is nested too deeply") from None
    except ValueError as error:
        raise InputRefused(str(path), f"is not JSON: {error}") from error


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is not a number")
