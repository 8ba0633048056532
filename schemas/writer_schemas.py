"""The schema of a writer by its id: from what is known, else from the registry."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.avsc import Schema, parse
from schemas.errors import DecodeCode, DecodeError, RegistryUnavailable
from schemas.registry import Registry
from tierline.kit.clock import Clock

ASKED_TIMES = 3
WAIT_S = 0.1
ABSENT_MS = 60_000
ABSENT_LIMIT = 1_000
REST = 4
"""A registry that is away is left alone for so many times as long as it took to find out."""


class WriterSchemas:
    """A function from a schema id to its parsed schema; ``known`` are the texts the event store has.

    An id the registry does not know is asked for three times, 0.1 s apart, since a registry may answer from
    a replica that is behind; only then it is UNKNOWN_SCHEMA_ID, and for a minute it is not asked again.
    RegistryUnavailable passes through: no verdict, ask again later. A registry that is silent until the
    timeout costs a fifth of the time at most, since whoever asks has other records too.
    """

    def __init__(self, registry: Registry, known: Mapping[int, str], clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._texts = dict(known)
        self._parsed: dict[int, Schema] = {}
        self._absent_until: dict[int, int] = {}
        self._away_until = 0

    def __call__(self, schema_id: int) -> Schema:
        """The parsed schema; DecodeError for an id that does not exist or is not a record's."""
        if schema_id not in self._parsed:
            self._parsed[schema_id] = self._parse(schema_id, self._text_of(schema_id))
        return self._parsed[schema_id]

    def _text_of(self, schema_id: int) -> str:
        if schema_id not in self._texts:
            if self._absent_until.get(schema_id, 0) > self._clock.now_ms():
                raise _unknown(schema_id)
            self._texts[schema_id] = self._ask(schema_id)
        return self._texts[schema_id]

    def _ask(self, schema_id: int) -> str:
        for asked in range(ASKED_TIMES):
            if asked:
                self._clock.sleep(WAIT_S)
            text = self._answer(schema_id)
            if text is not None:
                return text
        if len(self._absent_until) >= ABSENT_LIMIT:
            self._absent_until.clear()
        self._absent_until[schema_id] = self._clock.now_ms() + ABSENT_MS
        raise _unknown(schema_id)

    def _answer(self, schema_id: int) -> str | None:
        asked_at = self._clock.now_ms()
        if asked_at < self._away_until:
            raise RegistryUnavailable(f"{self._registry.url} was away a moment ago")
        try:
            return self._registry.text_of(schema_id)
        except RegistryUnavailable:
            now = self._clock.now_ms()
            self._away_until = now + REST * (now - asked_at)
            raise

    def _parse(self, schema_id: int, text: str) -> Schema:
        try:
            return parse(text)
        except ValueError as error:
            raise DecodeError(DecodeCode.UNREADABLE_SCHEMA, f"schema {schema_id}: {error}") from error


def _unknown(schema_id: int) -> DecodeError:
    return DecodeError(DecodeCode.UNKNOWN_SCHEMA_ID, f"the registry has no schema {schema_id}")
