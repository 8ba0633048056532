"""The strict reading of JSON: slow, and it refuses whatever two readers could read differently.

Duplicate keys, NaN and Infinity, whole numbers over 64 bits, half surrogate pairs, deep nesting, byte
order marks: most parsers let some of them pass, each in its own way.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from streams.reading.refusal import Code, Refused

MAX_DEPTH = 64
REDACTED = "*"

_INT64 = range(-(2**63), 2**63)
_INT64_DIGITS = 20
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Path = tuple[str | int, ...]


def parse(value: bytes | None, names: Collection[str] = ()) -> dict[str, Any]:
    """The JSON object in ``value``; raises ``Refused`` (class decode) for anything else.

    A refusal names its place where there is one. A key that is not among ``names`` is payload and
    shows as ``*`` in such a path.
    """
    if value is None:
        raise Refused(Code.TOMBSTONE)
    if not value or value.isspace():
        raise Refused(Code.EMPTY_VALUE)
    if value.startswith(_BYTE_ORDER_MARK):
        raise Refused(Code.BYTE_ORDER_MARK)
    if b"\x00" in value:
        raise Refused(Code.NUL_BYTE)
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(Code.INVALID_UTF8) from None
    _refuse_deep_nesting(value)
    document = _load(text, names)
    if not isinstance(document, dict):
        raise Refused(Code.NOT_AN_OBJECT)
    return document


def path_text(path: Path, names: Collection[str]) -> str | None:
    """``("items", 0, "id")`` as ``items[0].id``; None for the whole document."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step if step in names else REDACTED}"
    return text.removeprefix(".") or None


def _refuse_deep_nesting(value: bytes) -> None:
    if value.count(b"[") + value.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.finditer(_STRING.sub(b"", value)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            raise Refused(Code.NESTING_TOO_DEEP)


def _load(text: str, names: Collection[str]) -> object:
    hooks = _Hooks()
    try:
        document = json.loads(
            text,
            object_pairs_hook=hooks.object,
            parse_int=hooks.integer,
            parse_float=hooks.number,
            parse_constant=hooks.constant,
        )
    except json.JSONDecodeError as error:
        code = Code.TRAILING_DATA if error.msg == "Extra data" else Code.MALFORMED_JSON
        raise Refused(code) from None
    if hooks.flawed or "\\u" in text:
        for path, flaw in _flaws((), document):
            raise Refused(flaw.code, path_text(path, names))
    return document


@dataclass(frozen=True, slots=True)
class _Flaw:
    """Stands in the document where something has to be refused, so that its path can be told."""

    code: Code


class _Doubled(dict[str, Any]):
    """An object in which ``key`` stands more than once."""

    def __init__(self, members: list[tuple[str, Any]]) -> None:
        super().__init__(members)
        seen: set[str] = set()
        for key, _ in members:
            if key in seen:
                self.key = key
                return
            seen.add(key)


class _Hooks:
    """What the parser calls for each object and number. ``flawed``: the document must not be used."""

    __slots__ = ("flawed",)

    def __init__(self) -> None:
        self.flawed = False

    def object(self, members: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(members)
        if len(content) == len(members):
            return content
        self.flawed = True
        return _Doubled(members)

    def integer(self, digits: str) -> int | _Flaw:
        if len(digits) <= _INT64_DIGITS and (number := int(digits)) in _INT64:
            return number
        return self.constant(digits, Code.INTEGER_TOO_LARGE)

    def number(self, digits: str) -> float | _Flaw:
        number = float(digits)
        return self.constant(digits, Code.NUMBER_TOO_LARGE) if math.isinf(number) else number

    def constant(self, _word: str, code: Code = Code.NOT_A_NUMBER) -> _Flaw:
        self.flawed = True
        return _Flaw(code)


def _flaws(path: Path, node: object) -> Iterator[tuple[Path, _Flaw]]:
    match node:
        case _Flaw():
            yield path, node
        case str() if _SURROGATE.search(node):
            yield path, _Flaw(Code.LONE_SURROGATE)
        case list():
            for index, entry in enumerate(node):
                yield from _flaws((*path, index), entry)
        case dict():
            if isinstance(node, _Doubled):
                yield (*path, node.key), _Flaw(Code.DUPLICATE_KEY)
            for key, entry in node.items():
                yield from _flaws((*path, key), key)
                yield from _flaws((*path, key), entry)
        case _:
            pass
