"""Field types and field rules that all channels share. Limits count characters."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from streams.reading.intent import NEXT_CYCLE, NOW
from streams.reading.refusal import Code, Refused

Reference = Annotated[str, Meta(min_length=1, max_length=255)]
Word = Annotated[str, Meta(min_length=1, max_length=128)]
Token = Annotated[str, Meta(min_length=1, max_length=300)]
Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

MAX_MODULES = 50

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 24 * 60 * 60 * 1000


def instant_of(text: str, field: str) -> datetime:
    """The instant that an RFC 3339 text names; one without an offset names none and is refused."""
    try:
        instant = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise Refused(Code.INVALID_TIMESTAMP, field) from None
    if instant.tzinfo is None:
        raise Refused(Code.INVALID_TIMESTAMP, field)
    return instant


def milliseconds_of(text: str, field: str) -> int:
    """``instant_of`` in ms since the epoch, rounded down."""
    return _milliseconds(instant_of(text, field))


def start_of(text: str, field: str, received_at: int) -> str:
    """When an order counts that says ``now``, ``next_cycle`` or a day; see ``start_date``."""
    if text in (NOW, NEXT_CYCLE):
        return text
    if not text[0].isdigit():
        raise Refused(Code.INVALID_VALUE, field)
    return start_date(text, field, received_at)


def start_instant(text: str, field: str, received_at: int) -> str:
    """When an order that names an instant counts: ``now`` for a past one, else the instant in UTC."""
    instant = instant_of(text, field)
    if _milliseconds(instant) <= received_at:
        return NOW
    try:
        return f"{instant.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
    except OverflowError:
        raise Refused(Code.INVALID_TIMESTAMP, field) from None


def start_date(text: str, field: str, received_at: int) -> str:
    """When an order that names a day counts: ``now`` for a day that has begun everywhere, else the day."""
    try:
        day = msgspec.convert(text, date)
    except msgspec.ValidationError:
        raise Refused(Code.INVALID_TIMESTAMP, field) from None
    # A day has begun everywhere once it has begun in the westernmost zone, UTC-12.
    begun_everywhere = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return NOW if _milliseconds(begun_everywhere) <= received_at else day.isoformat()


def _milliseconds(instant: datetime) -> int:
    since = instant - _EPOCH
    return since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
