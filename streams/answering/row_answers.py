"""The answer to a file of rows, as CSV: every row as it was, beside it how it ended.

The answer can be corrected and published again as it is: the columns that Tierline adds are tolerated, and a
later answer replaces them. Pure: who reads the records and the replies is the caller's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.reading.csv_contract import OWN_PREFIX
from streams.reading.strict_csv import LINE_END, content, quoted, rows

FILE_HEADER = "file"
ROW_HEADER = "row"
UPLOAD_HEADER = "upload"

ROW = f"{OWN_PREFIX}row"
OUTCOME = f"{OWN_PREFIX}outcome"
DUPLICATE = f"{OWN_PREFIX}duplicate"
REASON = f"{OWN_PREFIX}reason"
FIELD = f"{OWN_PREFIX}field"
TEXT = f"{OWN_PREFIX}text"
DETAIL = f"{OWN_PREFIX}detail"
ORDER_ID = f"{OWN_PREFIX}order_id"
ROW_TEXT = f"{OWN_PREFIX}row_text"

WAITING = "waiting"
# What a reply says about the end of its own order: nothing, not yet, finally.
_FINALITY = {"conflict": 0, "in_progress": 1, "held": 1}
_FINAL = 2
# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Place = tuple[int, int]
"""Partition and offset of a record on the channel's topic."""


@dataclass(frozen=True, slots=True)
class SentRow:
    """A record that came from a file. ``number``: its row there, 0 where its header does not say."""

    place: Place
    upload: str
    number: int
    value: bytes


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """A row and how it ended; ``reply`` None: there is no answer yet."""

    row: SentRow
    reply: Mapping[str, Any] | None

    @property
    def outcome(self) -> str:
        """The outcome of the reply, ``waiting`` without one."""
        return WAITING if self.reply is None else str(self.reply["outcome"])

    @property
    def added(self) -> dict[str, str]:
        """What Tierline says about the row, by column."""
        reply = self.reply or {}
        reasons = reply.get("reasons", ())
        return {
            OUTCOME: self.outcome,
            DUPLICATE: "yes" if reply.get("duplicate") else "",
            REASON: _joined(reasons, "code", ";"),
            FIELD: _joined(reasons, "field", ";"),
            TEXT: _joined(reasons, "text", " "),
            DETAIL: _joined(reasons, "detail", " "),
            ORDER_ID: reply.get("order_id") or "",
        }


def answers(sent: Iterable[SentRow], replies: Iterable[Mapping[str, Any]]) -> list[RowAnswer]:
    """Each row with the reply that says how it ended, in the order of the file.

    Of several replies the last final one counts; one about a meeting with another order says nothing.
    """
    best: dict[Place, Mapping[str, Any]] = {}
    for reply in replies:
        place = reply["origin"]["partition"], reply["origin"]["offset"]
        known = best.get(place)
        if known is None or _weight(known) <= _weight(reply):
            best[place] = reply
    ordered = sorted(sent, key=lambda row: (row.number, row.place))
    return [RowAnswer(row, best.get(row.place)) for row in ordered]


def answer_csv(answered: Sequence[RowAnswer]) -> bytes:
    """The answers as CSV; ``answered`` holds at least one.

    The cells of a row keep their very bytes. A row that does not fit the columns stands whole in the last
    column instead. No cell that Tierline adds can be taken for a formula.
    """
    header = _parts(answered[0].row.value)[0]
    names = [content(cell).decode("utf-8", "replace") for cell in header]
    own = [place for place, name in enumerate(names) if not name.startswith(OWN_PREFIX)]
    lines = [_line(ROW, [header[place] for place in own], [*answered[0].added, ROW_TEXT])]
    for answer in answered:
        found, cells, text = _parts(answer.row.value)
        fits = cells is not None and len(cells) == len(names) and found == header
        kept = [cells[place] for place in own] if fits and cells is not None else [b""] * len(own)
        added = [*answer.added.values(), "" if fits else text.decode("utf-8", "replace")]
        lines.append(_line(str(answer.row.number or ""), kept, added))
    return b"".join(line + LINE_END for line in lines)


def _line(number: str, own: Sequence[bytes], added: Iterable[str]) -> bytes:
    return b",".join([number.encode(), *own, *(quoted(harmless(text).encode()) for text in added)])


def harmless(text: str) -> str:
    """``text`` so that no spreadsheet computes it: an apostrophe stands before what looks like a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _parts(value: bytes) -> tuple[tuple[bytes, ...], tuple[bytes, ...] | None, bytes]:
    """The cells of the header line, those of the row (None if it cannot be read) and the text of the row."""
    found = list(rows(value))
    header = found[0].cells if found else None
    if header is None:
        return (), None, value
    behind = [row for row in found[1:] if row.text.strip()]
    text = value[value.index(found[0].text) + len(found[0].text) :].strip(LINE_END)
    return header, behind[0].cells if len(behind) == 1 else None, text


def _joined(reasons: Sequence[Mapping[str, Any]], name: str, between: str) -> str:
    return between.join(text for reason in reasons if (text := reason.get(name)))


def _weight(reply: Mapping[str, Any]) -> tuple[int, int]:
    return _FINALITY.get(reply["outcome"], _FINAL), reply["answered_at"]
