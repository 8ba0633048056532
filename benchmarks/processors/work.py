"""What every Python runner does with a record: contract, account context, identity, canonical Avro.

These are the normalizer's own functions. Around them it has what a record may need that is not good (dead
letters, holds, breakers); the other runners have nothing there and end at such a record.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.avsc import COMMANDS_SUBJECT
from schemas.topics import orders_topic
from streams.normalizing.normalize import Framed, Normalizer
from streams.normalizing.resolve import RefRow, Resolved, Rows, resolve_record
from streams.pipeline import CHANNELS, read_intents
from streams.reading.intent import PlanNames, Reading
from tierline import bootstrap
from tierline.kit.database import Connection
from tierline.kit.garbage import collect_rarely
from tierline.kit.records import Record
from tierline.kit.settings import Settings, load_settings
from tierline.kit.version import APP_VERSION

CHANNEL = "portal"
SOURCE = orders_topic(CHANNEL).name

Work = Callable[[int, int, int, bytes | None], Framed]
"""From partition, offset, broker time (ms) and bytes of a record to the command that it becomes."""

_SCHEMA_ID = "SELECT max(id) FROM oms.schema WHERE subject = %s"
_REFS = "SELECT channel, source, kind, ref, account_id, subscription_id FROM oms.external_ref"


def work_of_settings() -> Work:
    """The work, with all references of the database in memory; settings are those of the environment."""
    settings = load_settings()
    with bootstrap.sessions(settings, "tierline-bench")() as connection:
        work = order_work(settings, schema_id(connection), rows_known(connection))
    collect_rarely()
    return work


def order_work(settings: Settings, schema: int, rows: Rows) -> Work:
    """The work on orders of the portal. Raises where a record does not become one command."""
    channel = CHANNELS[CHANNEL]
    plans = PlanNames(bootstrap.catalog(settings), channel.name)
    command = Normalizer(
        schema,
        tenant_id=settings.tenant_id,
        livemode=settings.livemode,
        app_version=APP_VERSION,
        partitions=settings.kafka.partitions,
        decide_within_ms=settings.marketplace.decide_within_ms,
    ).command

    def work(partition: int, offset: int, timestamp_ms: int, value: bytes | None) -> Framed:
        reading = read_intents(channel, Record(SOURCE, partition, offset, timestamp_ms, None, value), plans)
        if not isinstance(reading, Reading):
            raise TypeError(f"{SOURCE} {partition} {offset}: {reading.dead}")
        [resolved] = resolve_record(reading.intents, rows)
        if not isinstance(resolved, Resolved):
            raise TypeError(f"{SOURCE} {partition} {offset}: {resolved}")
        return command(reading.intents[0], resolved)

    return work


def schema_id(connection: Connection) -> int:
    """The registry's id of the command schema."""
    [found] = connection.execute(_SCHEMA_ID, (COMMANDS_SUBJECT,)).fetchone() or (None,)
    return int(found)


def rows_known(connection: Connection) -> Rows:
    """Every reference that the decider has written."""
    rows: dict[str, tuple[RefRow, ...]] = {}
    for row in map(RefRow._make, connection.execute(_REFS)):
        rows[row.ref] = (*rows.get(row.ref, ()), row)
    return rows
