"""Reading a channel's JSON by its contract: a quick way for clean bytes, a strict way for all others.

The quick way is a typed decoder. It silently drops what the contract does not declare and the earlier
ones of doubled keys, so it is believed only where nothing can have been dropped: the decoded content,
written again, must hold as many colons as the bytes did. Every key brings a colon, and with plain ASCII
and no escapes a text brings the same colons twice, so equal counts mean that each key was read once.
Where only fields were dropped that the contract does not read, the same is asked of a decoder for any
harmless JSON. Everything else, and every error, is the strict way's to decide. Both give the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Generic, NoReturn, TypeVar

import msgspec
from msgspec import inspect

from streams.reading import strict_json
from streams.reading.fields import Reference, Whole
from streams.reading.refusal import Code, Refused

T = TypeVar("T")

HARMLESS_DEPTH = 8


def _harmless(depth: int) -> Any:
    """The type of any JSON object that all readers read alike, doubled keys aside, up to that depth."""
    scalar = str | Whole | float | bool | None
    node: Any = scalar
    for _ in range(depth):
        node = scalar | list[node] | dict[str, node]
    return dict[str, node]


CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_COMPLAINT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_CODES = (
    (re.compile(r"Expected `(?:str|array)` of length >= 1\b"), Code.EMPTY_FIELD),
    (re.compile(r"Expected `str` of length <= "), Code.TOO_LONG),
    (re.compile(r"Expected `array` of length <= "), Code.TOO_MANY),
    (re.compile(r"Expected `.+`, got `null`"), Code.MISSING_FIELD),
    (re.compile(r"Expected `.+`, got `.+`"), Code.WRONG_TYPE),
    (re.compile(r"Invalid enum value "), Code.INVALID_VALUE),
)

_encode = msgspec.json.Encoder().encode
_decode_harmless = msgspec.json.Decoder(_harmless(HARMLESS_DEPTH)).decode

# What may stand in an object: declared fields with what may stand in them, tolerated ones with None.
Shape = Mapping[str, "Shape | None"]


class Document(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """What one record says. ``raw``: the whole object, None where it has declared fields and no others.

    ``strict``: the strict way read it.
    """

    content: T
    unknown_fields: int = 0
    raw: dict[str, Any] | None = None
    strict: bool = False


class Contract(Generic[T]):
    """The contract of one channel, declared by a msgspec Struct.

    A Struct may name further public fields in a class variable ``tolerated``: they are not read and
    do not count as unknown. ``reference``: the top-level field with the channel's own reference.
    """

    def __init__(self, declared: type[T], reference: str) -> None:
        self._declared = declared
        self._reference = reference
        self._decode = msgspec.json.Decoder(declared).decode
        self.shape = _shape(inspect.type_info(declared))
        self.names = frozenset(_names(self.shape))

    def read(self, value: bytes | None) -> Document[T]:
        """The document in ``value``; raises ``Refused`` (class decode or contract)."""
        if value is not None and _is_plain(value):
            try:
                colons = value.count(b":")
                content = self._decode(value)
                if _encode(content).count(b":") == colons:
                    return Document(content)
                raw = _decode_harmless(value)
                if _encode(raw).count(b":") == colons:
                    return Document(content, _count_unknown(raw, self.shape), raw)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                return self.read_strictly(value)
        return self.read_strictly(value)

    def read_strictly(self, value: bytes | None) -> Document[T]:
        """As ``read``, always the strict way."""
        raw = strict_json.parse(value, self.names)
        try:
            content = msgspec.convert(raw, self._declared)
        except msgspec.ValidationError as error:
            refuse(str(error))
        for path, text in _declared_texts((), raw, self.shape):
            if CONTROL.search(text):
                raise Refused(Code.CONTROL_CHARACTER, strict_json.path_text(path, self.names))
            if text.isspace():
                raise Refused(Code.EMPTY_FIELD, strict_json.path_text(path, self.names))
        return Document(content, _count_unknown(raw, self.shape), raw, strict=True)

    def reference_in(self, value: bytes | None) -> str | None:
        """The channel's reference in a record that was refused; None if it cannot be told."""
        try:
            reference = strict_json.parse(value).get(self._reference)
            text = msgspec.convert(reference, Reference)
        except (Refused, msgspec.ValidationError):
            return None
        return None if CONTROL.search(text) or text.isspace() else text


def _is_plain(value: bytes) -> bool:
    """No escapes, no control or non-ASCII character, no text that starts with a space."""
    return value.isascii() and b"\\" not in value and b"\x7f" not in value and b'" ' not in value


def refuse(complaint: str) -> NoReturn:
    """Turn msgspec's complaint into ``Refused`` with code and path, without the words of the payload."""
    match = _COMPLAINT.fullmatch(complaint)
    what, path = (match["what"], match["path"] or "") if match else (complaint, "")
    if missing := _MISSING.fullmatch(what):
        raise Refused(Code.MISSING_FIELD, f"{path}.{missing['name']}".removeprefix("."))
    code = next((code for pattern, code in _CODES if pattern.match(what)), Code.INVALID_VALUE)
    raise Refused(code, path or None)


def _shape(declared: inspect.Type) -> Shape:
    match declared:
        case inspect.StructType():
            tolerated = dict.fromkeys(getattr(declared.cls, "tolerated", ()))
            return {**tolerated, **{field.encode_name: _shape(field.type) for field in declared.fields}}
        case inspect.ListType():
            return _shape(declared.item_type)
        case inspect.UnionType():
            return {name: inner for option in declared.types for name, inner in _shape(option).items()}
        case _:
            return {}


def _names(shape: Shape) -> Iterator[str]:
    for name, inner in shape.items():
        yield name
        yield from _names(inner or {})


def _declared_texts(
    path: strict_json.Path, node: object, shape: Shape
) -> Iterator[tuple[strict_json.Path, str]]:
    match node:
        case str():
            yield path, node
        case list():
            for index, entry in enumerate(node):
                yield from _declared_texts((*path, index), entry, shape)
        case dict():
            for name, entry in node.items():
                inner = shape.get(name)
                if inner is not None:
                    yield from _declared_texts((*path, name), entry, inner)
        case _:
            pass


def _count_unknown(node: object, shape: Shape) -> int:
    if isinstance(node, list):
        return sum(_count_unknown(entry, shape) for entry in node)
    if not isinstance(node, dict):
        return 0
    unknown = 0
    for name, entry in node.items():
        if name not in shape:
            unknown += 1
        elif inner := shape[name]:
            unknown += _count_unknown(entry, inner)
    return unknown
