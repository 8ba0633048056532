"""Typed reading of a decoded JSON object: every refusal names the path of its field.

Numbers with a fraction arrive as text (exactly as written), never as binary fractions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from tierline.domain.calendar import Interval, Moment
from tierline.domain.refusal import InputRefused

Value = TypeVar("Value")
Choice = TypeVar("Choice", bound=StrEnum)

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object and the path that leads to it (empty at the top)."""

    path: str
    values: Mapping[str, object]

    @classmethod
    def of(cls, value: object, path: str, known: Sequence[str]) -> Fields:
        """The object at ``path``; anything else, and any field that is not ``known``, is refused."""
        if not isinstance(value, Mapping):
            raise InputRefused(path or "scenario", "must be an object")
        for name in value:
            if name not in known:
                raise InputRefused(_join(path, str(name)), f"unknown field; known: {', '.join(known)}")
        return cls(path, value)

    def where(self, name: str) -> str:
        """The path of a field."""
        return _join(self.path, name)

    def inner(self, name: str, known: Sequence[str]) -> Fields:
        """A required object."""
        return Fields.of(self._required(name), self.where(name), known)

    def inners(self, name: str, known: Sequence[str], *, required: bool = False) -> list[Fields]:
        """A list of objects; absent is empty unless ``required``."""
        value = self._required(name) if required else self.values.get(name, ())
        if not isinstance(value, list | tuple):
            raise InputRefused(self.where(name), "must be a list")
        return [Fields.of(entry, f"{self.where(name)}[{index}]", known) for index, entry in enumerate(value)]

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.values.get(name) is not None

    def text(self, name: str) -> str:
        """A required text that is not empty."""
        value = self._required(name)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise InputRefused(self.where(name), "must be printable text")
        return value

    def whole(self, name: str, otherwise: int | None = None) -> int:
        """A whole number; required unless there is a value to fall back to."""
        if otherwise is not None and not self.has(name):
            return otherwise
        value = self._required(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise InputRefused(self.where(name), f"must be a whole number, not {value!r}")
        return value

    def flag(self, name: str) -> bool:
        """True or false; absent is false."""
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            raise InputRefused(self.where(name), "must be true or false")
        return value

    def percent(self, name: str) -> Fraction:
        """A decimal such as "12.5", exactly."""
        value = self._required(name)
        text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
        if _PERCENT.fullmatch(text) is None:
            raise InputRefused(self.where(name), f'must be a decimal such as "12.5", not {value!r}')
        return Fraction(text)

    def moment(self, name: str) -> Moment:
        """A date (local midnight) or an instant with its offset."""
        return self._parsed(name, moment_from, "must be a date or an instant such as 2024-05-12T09:00:00Z")

    def interval(self, name: str) -> Interval:
        """``<n>(day|week|month|quarter|year)``."""
        return self._parsed(name, Interval.parse, "must be <n>day, week, month, quarter or year")

    def choice(self, name: str, choices: type[Choice]) -> Choice:
        """One of the values of an enum."""
        return self._parsed(name, choices, f"must be one of {', '.join(choices)}")

    def _parsed(self, name: str, parse: Callable[[str], Value], expected: str) -> Value:
        value = self._required(name)
        try:
            if isinstance(value, str):
                return parse(value)
        except ValueError:
            pass
        raise InputRefused(self.where(name), f"{expected}, not {value!r}")

    def _required(self, name: str) -> object:
        value = self.values.get(name)
        if value is None:
            raise InputRefused(self.where(name), "is missing")
        return value


def moment_from(text: str) -> Moment:
    """A moment as this project writes it: ``YYYY-MM-DD`` or an ISO 8601 instant with seconds and offset."""
    if _DATE.fullmatch(text):
        return date.fromisoformat(text)
    if _INSTANT.fullmatch(text):
        return datetime.fromisoformat(text)
    raise ValueError(f"{text!r} is neither a date nor an instant with its offset")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
