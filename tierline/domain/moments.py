"""Moments as events and commands carry them: dates as ISO text, instants in ms or as ISO text in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from tierline.domain.calendar import Moment

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DATE_LENGTH = len("2026-01-31")


def instant_of_ms(milliseconds: int) -> datetime:
    """The instant that many ms after the epoch. Raises OverflowError outside the years 1 to 9999."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def ms_of_instant(instant: datetime) -> int:
    """Whole ms since the epoch; a fraction of one is cut off."""
    return (instant - _EPOCH) // _MILLISECOND


def moment_of_text(text: str) -> Moment:
    """A date, or an instant with its offset. Raises ValueError for anything else."""
    if len(text) == _DATE_LENGTH:
        return date.fromisoformat(text)
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} needs its offset, such as 2026-01-31T09:00:00+01:00")
    return instant


def text_of_moment(moment: Moment) -> str:
    """The text that ``moment_of_text`` reads; instants in UTC."""
    return moment.astimezone(UTC).isoformat() if isinstance(moment, datetime) else moment.isoformat()


def text_of_ms(milliseconds: int) -> str:
    """An instant for people: ISO, UTC, to the ms."""
    return instant_of_ms(milliseconds).isoformat(timespec="milliseconds")
