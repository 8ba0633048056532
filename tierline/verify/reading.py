"""Reads the evidence: topics from their first to their last record, tables as they stand."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

import fastavro
import psycopg
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from psycopg.rows import dict_row

from schemas.topics import CHANNELS, CHECKPOINTS, COMMANDS, EVENTS, Topic, orders_topic
from tierline.verify.evidence import (
    DeadLetter,
    Evidence,
    HeldRecord,
    Intent,
    KeptDeadLetter,
    Place,
    RawRecord,
    SignedNote,
    SkippedIntent,
    StoredEvent,
    TopicEvent,
)


class Read(NamedTuple):
    """One record as it was read; of headers with the same name the last."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


READ_MODELS = {
    "tier_status": "SELECT * FROM read.tier_status ORDER BY subscription_id",
    "tier_history": "SELECT * FROM read.tier_history ORDER BY partition, position",
    "order_status": "SELECT * FROM read.order_status ORDER BY order_id",
    "order_timeline": "SELECT order_id, partition, position, type, recorded_at FROM read.order_timeline"
    " ORDER BY partition, position",
    "audit_entry": "SELECT partition, position, event_id, type, stream_id, version, order_id, command_id,"
    " recorded_at, hash FROM read.audit_entry ORDER BY partition, position",
}
"""Of the two tables with a row for every event only what is compared."""
IDLE_LIMIT_S = 30.0


class EvidenceMissing(RuntimeError):
    """Something that has to be there for a verdict cannot be read; the message says what to do."""


class TopicReader:
    """Reads whole topics of one cluster, outside any consumer group."""

    def __init__(self, bootstrap_servers: str, prefix: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._prefix = prefix

    def read(self, topic: Topic) -> Iterator[Read]:
        """Every record of ``topic`` up to its end at the time of the call, by partition in offset order.

        Raises EvidenceMissing when the topic does not exist or stops answering for 30 s.
        """
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "group.id": f"verify-{uuid4()}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.queue.backoff.ms": 10,
                "fetch.wait.max.ms": 20,
            }
        )
        try:
            yield from self._read(consumer, topic)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, topic: Topic) -> Iterator[Read]:
        name = self._prefix + topic.name
        found = consumer.list_topics(name, timeout=10).topics[name]
        if found.error is not None:
            raise EvidenceMissing(f"topic {name} cannot be read ({found.error}): is this the right cluster?")
        ends = {}
        for partition in found.partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=10)
            if high > low:
                ends[partition] = high
        consumer.assign([TopicPartition(name, partition, 0) for partition in ends])
        done: set[int] = set()
        while len(done) < len(ends):
            message = consumer.poll(IDLE_LIMIT_S)
            if message is None:
                raise EvidenceMissing(f"topic {name} stopped answering: is the broker up?")
            error, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                raise EvidenceMissing(f"topic {name}: {error}")
            if error is None and offset < ends[partition]:
                yield _read(Place(topic.name, partition, offset), message)
            if error is not None or offset >= ends[partition] - 1:
                done.add(partition)


def _read(place: Place, message: Message) -> Read:
    headers: dict[str, bytes] = {}
    for header in message.headers() or ():
        name, value = header[0], header[1]
        if isinstance(name, str) and isinstance(value, bytes):
            headers[name] = value
    return Read(place, message.key(), message.value(), headers)


class EventDecoder:
    """Decodes values by the writer's schema, whose text the store remembers by id.

    Strings that are equal are kept once: names and ids are most of what a topic of events weighs.
    """

    def __init__(self, schemas: Mapping[int, str]) -> None:
        self._strings: dict[str, str] = {}
        self._schemas = {
            number: fastavro.parse_schema(_plain(json.loads(text))) for number, text in schemas.items()
        }

    def decode(self, value: bytes, place: Place) -> Mapping[str, Any]:
        """The envelope as a dictionary. Raises EvidenceMissing for a schema that the store does not know."""
        number = int.from_bytes(value[1:5], "big")
        schema = self._schemas.get(number)
        if value[:1] != b"\0" or schema is None:
            raise EvidenceMissing(f"{place}: schema {number} is not in oms.schema; the value cannot be read")
        decoded = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        envelope: Mapping[str, Any] = self._shared(decoded)
        return envelope

    def _shared(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._strings.setdefault(value, value)
        if isinstance(value, dict):
            return {self._shared(name): self._shared(part) for name, part in value.items()}
        return [self._shared(part) for part in value] if isinstance(value, list) else value


def _plain(schema: Any) -> Any:
    """The schema without logical types: instants stay the integers that they are on the wire."""
    if isinstance(schema, dict):
        return {key: _plain(part) for key, part in schema.items() if key != "logicalType"}
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema


def read_evidence(reader: TopicReader, connection: psycopg.Connection[Any]) -> Evidence:
    """Read everything that a verdict needs. The pipeline has to stand still meanwhile (``waiting``)."""
    decoder = EventDecoder(dict(connection.execute("SELECT id, avsc FROM oms.schema").fetchall()))
    sources = [orders_topic(channel) for channel in CHANNELS] + [COMMANDS]
    raw = [_raw(read) for topic in sources[:-1] for read in reader.read(topic)]
    dead_letters = [
        _dead_letter(read) for t in sources if t.dead_letter for read in reader.read(t.dead_letter)
    ]
    wanted = {letter.source for letter in dead_letters if letter.source.topic == COMMANDS.name}
    commands = (_raw(read) for read in reader.read(COMMANDS)) if wanted else ()
    return Evidence(
        raw=raw,
        commands={record.place: record for record in commands if record.place in wanted},
        topic=[_event(read, decoder) for read in reader.read(EVENTS)],
        store=list(_store(connection)),
        dead_letters=dead_letters,
        held=read_held(connection),
        skipped=_skipped(connection),
        kept={letter.id: letter for letter in _kept(connection)},
        captures=dict(
            connection.execute("SELECT payment_id::text, captures FROM sandbox.payment").fetchall()
        ),
        read_models={name: _rows(connection, query) for name, query in READ_MODELS.items()},
    )


def read_chains(reader: TopicReader, connection: psycopg.Connection[Any]) -> Evidence:
    """Read the chains of events, nothing else."""
    decoder = EventDecoder(dict(connection.execute("SELECT id, avsc FROM oms.schema").fetchall()))
    return Evidence(
        store=list(_store(connection)),
        topic=[_event(read, decoder) for read in reader.read(EVENTS)],
    )


def published_checkpoints(reader: TopicReader) -> list[SignedNote]:
    """The signed checkpoints that were published."""
    return [
        SignedNote(str(read.place), (read.value or b"").decode("utf-8", "replace"))
        for read in reader.read(CHECKPOINTS)
    ]


def _raw(read: Read) -> RawRecord:
    return RawRecord(read.place, read.key, read.value)


def _event(read: Read, decoder: EventDecoder) -> TopicEvent:
    try:
        position, chained, kind = (read.headers[name] for name in ("position", "hash", "type"))
    except KeyError as missing:
        raise EvidenceMissing(f"event {read.place} has no header {missing}") from None
    value = read.value or b""
    return TopicEvent(
        place=read.place,
        position=int(position),
        hash_header=chained,
        type_header=kind.decode(),
        value=value,
        envelope=decoder.decode(value, read.place),
    )


def _dead_letter(read: Read) -> DeadLetter:
    text = {name: value.decode() for name, value in read.headers.items() if "dlq" in name}
    try:
        return DeadLetter(
            place=read.place,
            id=text["oms.dlq.id"],
            source=_place(text, "__dlq.errors."),
            intent=Intent(_place(text, "oms.dlq.origin."), int(text["oms.dlq.intent.index"])),
            intent_count=int(text["oms.dlq.intent.count"]),
            dead_letter_class=text["oms.dlq.class"],
            code=text["oms.dlq.code"],
            key=read.key,
            value=read.value,
            value_sha256=bytes.fromhex(text["oms.dlq.value.sha256"])
            if "oms.dlq.value.sha256" in text
            else None,
        )
    except KeyError as missing:
        raise EvidenceMissing(f"dead letter {read.place} has no header {missing}") from None


def _place(text: Mapping[str, str], prefix: str) -> Place:
    return Place(text[f"{prefix}topic"], int(text[f"{prefix}partition"]), int(text[f"{prefix}offset"]))


def _store(connection: psycopg.Connection[Any]) -> Iterable[StoredEvent]:
    with connection.cursor("verify_store") as cursor:
        cursor.itersize = 5_000
        cursor.execute(
            "SELECT partition, position, stream_id, version, hash, value FROM oms.event"
            " ORDER BY partition, position"
        )
        for row in cursor:
            yield StoredEvent(*row)


def read_held(connection: psycopg.Connection[Any]) -> list[HeldRecord]:
    """Every record that waits, with its bytes."""
    rows = connection.execute(
        'SELECT topic, partition, "offset", intents, intent_count, class, code, key, value'
        " FROM deadletter.held_record ORDER BY 1, 2, 3"
    ).fetchall()
    return [HeldRecord(Place(*row[:3]), tuple(row[3]), *row[4:]) for row in rows]


def _skipped(connection: psycopg.Connection[Any]) -> list[SkippedIntent]:
    rows = connection.execute(
        'SELECT topic, partition, "offset", intent_index, intent_count, reason FROM deadletter.skipped'
    ).fetchall()
    return [SkippedIntent(Intent(Place(*row[:3]), row[3]), *row[4:]) for row in rows]


def _kept(connection: psycopg.Connection[Any]) -> Iterable[KeptDeadLetter]:
    with connection.cursor("verify_dead_letters") as cursor:
        cursor.itersize = 500
        cursor.execute(
            "SELECT dead_letter_id::text, origin_topic, origin_partition, origin_offset, intent_index, key,"
            " value, value_sha256, closed_as, reason FROM deadletter.record"
        )
        for dead_letter_id, topic, partition, offset, index, *rest in cursor:
            yield KeptDeadLetter(dead_letter_id, Intent(Place(topic, partition, offset), index), *rest)


def _rows(connection: psycopg.Connection[Any], query: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()
