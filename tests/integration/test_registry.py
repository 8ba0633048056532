"""Schemas on a real registry and event store: registered, compared, refused, and read while it is away."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from itertools import count

import httpx2
import psycopg
import pytest

from schemas.avsc import COMMANDS_SUBJECT, EVENTS_SUBJECT, text_of, versions
from schemas.codec import Codec, frame_header
from schemas.errors import (
    DecodeCode,
    DecodeError,
    IncompatibleSchema,
    RegistryUnavailable,
    SchemaDisagreement,
)
from schemas.registration import register_schemas
from schemas.registry import Registry
from schemas.schema_table import store_schema, stored_schemas
from schemas.writer_schemas import WriterSchemas
from tests.support.avro_records import COMMAND, EVENT
from tierline.kit.clock import FakeClock
from tierline.kit.database import Connection, connect
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

NO_SUCH_ID = 2_000_000_000
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    """The stack's registry."""
    with Registry(settings.registry_url) as opened:
        yield opened


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """A session on the test's own database."""
    with connect(settings.database_url, "test_registry") as opened:
        yield opened


@pytest.fixture
def subject() -> str:
    """A subject of this test alone: the registry is shared."""
    return f"test-{secrets.token_hex(8)}-value"


def test_every_worker_gets_the_same_ids(
    registry: Registry, connection: Connection, settings: Settings
) -> None:
    """The first start registers and records, the second one compares."""
    first = register_schemas(registry, connection)
    with connect(settings.database_url, "second worker") as other:
        second = register_schemas(registry, other)

    assert first == second
    newest = {row.subject: row.id for _, row in sorted(stored_schemas(connection).items())}
    assert {COMMANDS_SUBJECT: first.commands, EVENTS_SUBJECT: first.events} == newest
    assert first.known == {row.id: row.text for row in stored_schemas(connection).values()}


def test_the_subjects_are_backward_transitive(registry: Registry, connection: Connection) -> None:
    """A version that cannot read what was written is refused by the registry, in its own words."""
    register_schemas(registry, connection)
    needs_more = json.loads(text_of(COMMANDS_SUBJECT, 1))
    needs_more["fields"].append({"name": "needed", "type": "string"})

    with pytest.raises(IncompatibleSchema, match=r"next version of oms\.commands\.v1-value.*needed"):
        registry.register(COMMANDS_SUBJECT, json.dumps(needs_more))


def test_a_version_that_only_adds_is_registered(registry: Registry, subject: str) -> None:
    """And the older one keeps its id."""
    registry.require_compatibility(subject)
    first = registry.register(subject, text_of(EVENTS_SUBJECT, 1))
    grown = json.loads(text_of(EVENTS_SUBJECT, 1))
    grown["fields"].append({"name": "region", "type": ["null", "string"], "default": None})

    second = registry.register(subject, json.dumps(grown))

    assert first != second
    assert first == registry.find(subject, text_of(EVENTS_SUBJECT, 1))


def test_records_are_read_by_the_ids_of_the_registry(registry: Registry, connection: Connection) -> None:
    """Written under the registered ids, read by asking the registry."""
    ids = register_schemas(registry, connection)
    codec = Codec(ids.commands, ids.events, WriterSchemas(registry, {}, FakeClock()))

    assert COMMAND == codec.to_command(codec.read(codec.encode_command(COMMAND)))
    assert EVENT == codec.to_event(codec.read(codec.encode_event(EVENT)))


def test_an_id_that_the_registry_does_not_have_is_unknown(registry: Registry) -> None:
    """The registry is asked, and its no is final."""
    codec = Codec(1, 2, WriterSchemas(registry, {}, FakeClock()))

    with pytest.raises(DecodeError) as refused:
        codec.read(frame_header(NO_SUCH_ID) + b"\x00")

    assert DecodeCode.UNKNOWN_SCHEMA_ID == refused.value.code


def test_known_ids_are_read_and_written_while_the_registry_is_away(
    registry: Registry, connection: Connection
) -> None:
    """The event store has the texts; an id it does not have waits for the registry."""
    before = register_schemas(registry, connection)

    with Registry(NOWHERE) as away:
        ids = register_schemas(away, connection)
        codec = Codec(ids.commands, ids.events, WriterSchemas(away, ids.known, FakeClock()))

        assert before == ids
        assert EVENT == codec.to_event(codec.read(codec.encode_event(EVENT)))
        with pytest.raises(RegistryUnavailable):
            codec.read(frame_header(NO_SUCH_ID) + b"\x00")


def test_the_first_start_needs_the_registry(connection: Connection) -> None:
    """Without ids nothing can be written."""
    with Registry(NOWHERE) as away, pytest.raises(RegistryUnavailable, match="does not answer"):
        register_schemas(away, connection)


def test_a_registry_without_the_ids_of_the_store_is_refused(
    registry: Registry, connection: Connection
) -> None:
    """It lost its storage, or it is another registry."""
    _store(connection, NO_SUCH_ID, COMMANDS_SUBJECT)

    with pytest.raises(SchemaDisagreement, match=f"{NO_SUCH_ID}.*the registry has none") as refused:
        register_schemas(registry, connection)

    assert "TIERLINE_REGISTRY_URL" in refused.value.action


def test_a_registry_with_other_texts_under_the_ids_is_refused(
    registry: Registry, connection: Connection
) -> None:
    """Decoding by them would give nonsense."""
    ids = register_schemas(registry, connection)
    connection.execute("TRUNCATE oms.schema")
    _store(connection, ids.events, COMMANDS_SUBJECT)

    with pytest.raises(SchemaDisagreement, match="another one in the registry"):
        register_schemas(registry, connection)


def test_a_start_leaves_no_transaction_open(registry: Registry, connection: Connection) -> None:
    """What was recorded is committed."""
    register_schemas(registry, connection)

    assert psycopg.pq.TransactionStatus.IDLE == connection.info.transaction_status


def test_an_id_that_another_worker_recorded_for_another_subject_is_refused(connection: Connection) -> None:
    """Two registries behind one database are noticed at the second start."""
    store_schema(connection, 7, COMMANDS_SUBJECT, text_of(COMMANDS_SUBJECT, 1))

    with pytest.raises(SchemaDisagreement, match=r"gave id 7 to oms\.events\.v1-value, .* as oms\.commands"):
        store_schema(connection, 7, EVENTS_SUBJECT, text_of(EVENTS_SUBJECT, 1))


def test_an_empty_registry_is_asked_to_compare_before_it_gets_a_version(connection: Connection) -> None:
    """Otherwise the second version would be compared with the newest only, or not at all."""
    asked: list[str] = []
    ids = count(1)

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.path}")
        if request.method == "PUT":
            return httpx2.Response(200, json={})
        if request.url.path.endswith("/versions"):
            return httpx2.Response(200, json={"id": next(ids)})
        return httpx2.Response(404, json={"error_code": 40401})

    with Registry("http://empty.test", httpx2.MockTransport(answer)) as empty:
        registered = register_schemas(empty, connection)

    commands, events = len(versions(COMMANDS_SUBJECT)), len(versions(EVENTS_SUBJECT))
    assert (commands, commands + events) == (registered.commands, registered.events)
    for subject in (COMMANDS_SUBJECT, EVENTS_SUBJECT):
        assert asked.index(f"PUT /config/{subject}") < asked.index(f"POST /subjects/{subject}/versions")


def _store(connection: Connection, schema_id: int, subject: str) -> None:
    with connection.transaction():
        connection.execute(
            "INSERT INTO oms.schema (id, subject, fingerprint, avsc) VALUES (%s, %s, 'other', '{}')",
            (schema_id, subject),
        )
