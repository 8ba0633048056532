"""Decides every command of the topic once more, by a decider that has its events and nothing else.

It folds each stream from its first event for every command, in memory. What it decides is a function of the
commands, in the order of the topic, and of the time at which each was decided, which its events say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from schemas.codec import Codec
from schemas.registration import register_schemas
from schemas.registry import Registry
from schemas.topics import COMMANDS
from schemas.writer_schemas import WriterSchemas
from streams.deciding.command_reading import CommandReader
from streams.deciding.recording import Head, Recorder
from streams.deciding.turn import Rules, Turn
from tests.support.memory_decisions import MemoryDecisions
from tierline import bootstrap
from tierline.kit.clock import SystemClock
from tierline.kit.confluent_broker import ConfluentLog
from tierline.kit.database import Connection, connect
from tierline.kit.leases import GENESIS
from tierline.kit.memory_leases import MemorySession
from tierline.kit.policy_file import load_policy
from tierline.kit.records import Record
from tierline.kit.settings import Settings
from tierline.kit.version import APP_VERSION

Place = tuple[int, int]
"""Partition and position of an event."""


@dataclass(frozen=True, slots=True)
class Again:
    """Events by their places: as the store has them, and as they were decided once more; framed bytes."""

    commands: int
    stored: Mapping[Place, bytes]
    again: Mapping[Place, bytes]


def decided_again(settings: Settings) -> Again:
    """Decide all that is on the topic of commands; everything must have been decided before."""
    with ExitStack() as resources:
        registry = resources.enter_context(Registry(settings.registry_url))
        connection = resources.enter_context(connect(settings.database_url, "deciding-again"))
        ids = register_schemas(registry, connection)
        codec = Codec(ids.commands, ids.events, WriterSchemas(registry, ids.known, SystemClock()))
        stored = _stored(connection)
        decider = _Decider(settings, codec, {place: _time(codec, value) for place, value in stored.items()})
        commands = 0
        for partition in range(settings.kafka.partitions):
            for record in _records(settings, partition):
                decider.decide(record)
                commands += 1
    return Again(commands, stored, {place: event.value for place, event in decider.store.events.items()})


class _Decider:
    def __init__(self, settings: Settings, codec: Codec, decided_at: Mapping[Place, int]) -> None:
        self.store = MemoryDecisions()
        self._rules = Rules(
            bootstrap.catalog(settings),
            load_policy(settings.policy),
            bootstrap.published_catalogs(settings),
        )
        self._reader = CommandReader(codec, settings.kafka.partitions)
        self._recorder = Recorder(codec, APP_VERSION)
        self._decided_at = decided_at
        self._heads: dict[int, Head] = {}

    def decide(self, record: Record) -> None:
        """One command, at the time at which the event at its place was decided."""
        head = self._heads.setdefault(record.partition, Head(record.partition, 0, GENESIS))
        asked = self._reader.read(record)
        known = [] if asked.command is None else [asked.command]
        loaded = self.store.load(None, known, lambda _: None)
        now = self._decided_at.get((record.partition, head.next_position), 0)
        turn = Turn(self._rules, self._recorder, loaded, {record.partition: head}, now)
        turn.take(asked)
        session = MemorySession()
        self.store.write(session, turn)
        session.commit()


def _records(settings: Settings, partition: int) -> Iterator[Record]:
    log = ConfluentLog(settings.kafka)
    return log.read(COMMANDS.name, partition, *log.log_range(COMMANDS.name, partition))


def _stored(connection: Connection) -> dict[Place, bytes]:
    rows = connection.execute("SELECT partition, position, value FROM oms.event").fetchall()
    return {(partition, position): bytes(value) for partition, position, value in rows}


def _time(codec: Codec, value: bytes) -> int:
    recorded_at: int = codec.read(value)["recorded_at"]
    return recorded_at
