"""The schema of a writer by its id."""

from __future__ import annotations

from typing import cast

import pytest

from schemas.avsc import EVENTS_SUBJECT, load_schema, text_of
from schemas.errors import DecodeCode, DecodeError, RegistryUnavailable
from schemas.registry import Registry
from schemas.writer_schemas import ABSENT_LIMIT, ABSENT_MS, REST, WriterSchemas
from tierline.kit.clock import FakeClock

TEXT = text_of(EVENTS_SUBJECT, 1)
SILENT_MS = 5_000
UNKNOWN_FIELD = '{"type": "record", "name": "R", "fields": [{"name": "f", "type": "Nowhere"}]}'


class ScriptedRegistry:
    """Gives the answers of a script, the last one again and again, and counts the questions."""

    url = "http://scripted.test"

    def __init__(self, *script: str | Exception | None) -> None:
        self.script = list(script)
        self.asked = 0

    def text_of(self, schema_id: int) -> str | None:
        """The next answer."""
        self.asked += 1
        answer = self.script[min(self.asked, len(self.script)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


class SilentRegistry(ScriptedRegistry):
    """Takes its time before it is found to be away."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(RegistryUnavailable("away"))
        self._clock = clock

    def text_of(self, schema_id: int) -> str | None:
        """After five seconds."""
        self._clock.advance(SILENT_MS)
        return super().text_of(schema_id)


def reader_of(
    registry: ScriptedRegistry, clock: FakeClock, known: dict[int, str] | None = None
) -> WriterSchemas:
    return WriterSchemas(cast("Registry", registry), known or {}, clock)


def test_a_known_id_needs_no_registry() -> None:
    """The event store has its text."""
    registry = ScriptedRegistry(RegistryUnavailable("away"))

    assert load_schema(EVENTS_SUBJECT, 1) == reader_of(registry, FakeClock(), {7: TEXT})(7)
    assert 0 == registry.asked


def test_an_id_is_learnt_once() -> None:
    """Asked at the first record, known afterwards."""
    registry = ScriptedRegistry(TEXT)
    schemas = reader_of(registry, FakeClock())

    assert schemas(7) is schemas(7)
    assert 1 == registry.asked


def test_a_registry_that_is_behind_is_asked_again() -> None:
    """A replica may not have the newest id yet."""
    clock = FakeClock(now_ms=0)
    registry = ScriptedRegistry(None, None, TEXT)

    assert load_schema(EVENTS_SUBJECT, 1) == reader_of(registry, clock)(7)
    assert 200 == clock.now_ms()


def test_three_times_no_is_an_unknown_id() -> None:
    """Its records are dead letters then."""
    registry = ScriptedRegistry(None)

    with pytest.raises(DecodeError) as refused:
        reader_of(registry, FakeClock())(7)

    assert (DecodeCode.UNKNOWN_SCHEMA_ID, 3) == (refused.value.code, registry.asked)


def test_an_unknown_id_is_not_asked_for_again_within_a_minute() -> None:
    """A flood of such records must not wait for the registry one by one."""
    clock, registry = FakeClock(), ScriptedRegistry(None)
    schemas = reader_of(registry, clock)
    for _ in range(5):
        with pytest.raises(DecodeError):
            schemas(7)
    assert 3 == registry.asked

    clock.advance(ABSENT_MS)
    registry.script = [TEXT]

    assert load_schema(EVENTS_SUBJECT, 1) == schemas(7)


def test_the_memory_of_unknown_ids_is_bounded() -> None:
    """However many ids poison records carry."""
    schemas = reader_of(ScriptedRegistry(None), FakeClock())
    for schema_id in range(ABSENT_LIMIT + 10):
        with pytest.raises(DecodeError):
            schemas(schema_id)

    assert len(schemas._absent_until) <= ABSENT_LIMIT


def test_an_outage_is_no_verdict() -> None:
    """It passes through, and the next record asks again."""
    registry = ScriptedRegistry(None, RegistryUnavailable("away"), TEXT)
    schemas = reader_of(registry, FakeClock())
    with pytest.raises(RegistryUnavailable):
        schemas(7)

    assert load_schema(EVENTS_SUBJECT, 1) == schemas(7)


def test_a_silent_registry_is_left_alone_for_a_while() -> None:
    """Finding out took five seconds: records under known ids shall not wait for that again and again."""
    clock = FakeClock()
    registry = SilentRegistry(clock)
    schemas = reader_of(registry, clock, {8: TEXT})
    for _ in range(5):
        with pytest.raises(RegistryUnavailable):
            schemas(7)
        assert load_schema(EVENTS_SUBJECT, 1) == schemas(8)
    assert 1 == registry.asked

    clock.advance(REST * SILENT_MS)
    registry.script = [TEXT]

    assert load_schema(EVENTS_SUBJECT, 1) == schemas(7)


@pytest.mark.parametrize("text", ["{}", '"string"', "not json", "[]", UNKNOWN_FIELD])
def test_a_text_that_is_no_record_is_unreadable(text: str) -> None:
    """The registry may hold schemas of others."""
    with pytest.raises(DecodeError) as refused:
        reader_of(ScriptedRegistry(text), FakeClock())(7)

    assert DecodeCode.UNREADABLE_SCHEMA == refused.value.code
