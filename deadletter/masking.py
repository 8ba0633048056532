"""A payload with its structure and without its words: what a person may see without saying why.

Shown are the names that a contract declares, and the values of the fields in HARMLESS where they look like an
id, a word of a list, a number or a moment. Everything else stands as its kind and length. It works on text as
it is, well-formed or not, so a payload that cannot be read can be looked at too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

HARMLESS = frozenset(
    {
        # what an order is found by
        "reference", "account_id", "subscription_id", "externalId", "id", "activityId", "subscriptionId",
        "publisherId", "offerId", "order_ref", "account", "subscription",
        # what it asks for
        "plan", "planId", "target_plan", "seats", "quantity", "modules", "action", "effective",
        "validate_only", "status", "state", "requestedStartDate", "requested_at", "timeStamp",
    }
)  # fmt: skip
"""Fields whose values may be shown: ids of ours and of the channels, closed lists, counts and moments."""

MOST_CHARS = 20_000
_MOST_INDENT = 12
_ID_LIKE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:;+/-]{0,63}")
_LONGEST_NUMBER = 12
_JSON_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<mark>[{}\[\]:,])
      | (?P<text>"(?:[^"\\]|\\.)*(?:"|\\?\Z))
      | (?P<word>(?:true|false|null)(?![^\s{}\[\]:,"]))
      | (?P<number>-?\d[\d.eE+-]*(?![^\s{}\[\]:,"]))
      | (?P<other>[^\s{}\[\]:,"]+)""",
    re.DOTALL | re.VERBOSE,
)
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Mask:
    """What may be shown: the names that a contract declares, and the values of ``harmless`` fields."""

    known: Collection[str]
    harmless: Collection[str] = HARMLESS


def masked_payload(value: bytes | None, mask: Mask) -> str:
    """``value`` masked."""
    if value is None:
        return "(no value)"
    if not value:
        return "(empty value)"
    try:
        text = value.decode("utf-8-sig")
    except UnicodeDecodeError:
        return f"({len(value):,} bytes that are not UTF-8 text)"
    if "\0" in text:
        return f"({len(value):,} bytes with NUL among them)"
    return _within(_masked_text(text, mask))


def masked_text(text: str) -> str:
    """``text`` where it looks like an id, else its length: for keys and references."""
    return text if _ID_LIKE.fullmatch(text) else _length(text)


def readable(value: bytes | None) -> str:
    """``value`` as it is, for a terminal: text with what would steer it escaped, other bytes as hex."""
    if value is None:
        return "(no value)"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex(" ", 4)
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _masked_text(text: str, mask: Mask) -> str:
    first_line = text.lstrip().partition("\n")[0]
    if first_line.startswith(("{", "[")):
        return _masked_json(text, mask)
    delimiter = max(_DELIMITERS, key=first_line.count)
    if first_line.count(delimiter):
        return _masked_table(text, delimiter, mask)
    return _length(text)


def _within(text: str) -> str:
    if len(text) <= MOST_CHARS:
        return text
    return f"{text[:MOST_CHARS]}\n… and {len(text) - MOST_CHARS:,} characters more"


def _length(text: str) -> str:
    return "<1 character>" if len(text) == 1 else f"<{len(text):,} characters>"


# --- JSON -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Level:
    """An object or array that is open.

    ``key`` is the name whose value comes next; a list under a name takes it anew after each comma.
    """

    mark: str
    key: str | None
    again: str | None = None
    empty: bool = True


def _masked_json(text: str, mask: Mask) -> str:
    tokens = [
        (match.lastgroup or "", match.group())
        for match in _JSON_TOKEN.finditer(text)
        if match.lastgroup != "space"
    ]
    return "".join(_drawn(tokens, mask)).strip("\n")


def _drawn(tokens: Sequence[tuple[str, str]], mask: Mask) -> Iterator[str]:
    levels: list[_Level] = []
    for number, (kind, token) in enumerate(tokens):
        following = tokens[number + 1][1] if number + 1 < len(tokens) else ""
        if kind == "mark":
            yield from _mark(token, levels)
        elif kind == "text" and following == ":" and levels and levels[-1].mark == "{":
            yield from _begin_entry(levels)
            levels[-1].key = token[1:-1] if token[1:-1] in mask.known else None
            yield f'"{levels[-1].key or "*"}"'
        else:
            yield from _begin_entry(levels)
            yield _masked_value(kind, token, _take_key(levels), mask)


def _mark(mark: str, levels: list[_Level]) -> Iterator[str]:
    if mark in "{[":
        yield from _begin_entry(levels)
        key = _take_key(levels)
        listed = key if mark == "[" and levels and levels[-1].mark == "{" else None
        levels.append(_Level(mark, listed, again=listed))
        yield mark
    elif mark in "}]":
        empty = levels.pop().empty if levels else True
        yield mark if empty else _new_line(levels) + mark
    elif mark == ",":
        if levels:
            levels[-1].key = levels[-1].again
        yield mark + _new_line(levels)
    else:
        yield ": "


def _begin_entry(levels: Sequence[_Level]) -> Iterator[str]:
    if levels and levels[-1].empty:
        levels[-1].empty = False
        yield _new_line(levels)


def _take_key(levels: Sequence[_Level]) -> str | None:
    """The name whose value comes next. It counts for one value: a second one without a comma has no name."""
    if not levels:
        return None
    key, levels[-1].key = levels[-1].key, None
    return key


def _new_line(levels: Sequence[_Level]) -> str:
    return "\n" + "  " * min(len(levels), _MOST_INDENT)


def _masked_value(kind: str, token: str, key: str | None, mask: Mask) -> str:
    if kind == "word":
        return token
    if kind == "number":
        return token if key in mask.harmless and len(token) <= _LONGEST_NUMBER else "<number>"
    if kind == "text":
        inner = token[1:-1]
        return token if key in mask.harmless and _ID_LIKE.fullmatch(inner) else f'"{_length(inner)}"'
    return _length(token)


# --- CSV --------------------------------------------------------------------------------------------------


def _masked_table(text: str, delimiter: str, mask: Mask) -> str:
    rows = list(_rows(text, delimiter))
    names = [name if name in mask.known else None for name in rows[0]]
    lines = [[name or "*" for name in names]]
    for row in rows[1:]:
        padded = [*names, *[None] * len(row)]
        lines.append([_masked_cell(cell, name, mask) for cell, name in zip(row, padded, strict=False)])
    return "\n".join(delimiter.join(line) for line in lines)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """The cells as they stand, by rows; a quote that is never closed runs to the end."""
    ends = re.escape(delimiter)
    cell = re.compile(rf'("(?:[^"]|"")*(?:"|\Z)[^{ends}\r\n]*|[^{ends}\r\n]*)({ends}|\r\n|\r|\n|\Z)')
    row: list[str] = []
    position = 0
    while position <= len(text):
        match = cell.match(text, position)
        if match is None:
            break
        row.append(match[1].strip())
        position = match.end()
        if match[2] != delimiter:
            if row != [""]:
                yield row
            row = []
            if not match[2]:
                break


def _masked_cell(cell: str, name: str | None, mask: Mask) -> str:
    if not cell or (name in mask.harmless and _ID_LIKE.fullmatch(cell)):
        return cell
    return _length(cell)
