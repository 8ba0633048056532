"""The only place that builds real adapters and joins them into workers and tools."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol

import structlog
from psycopg import IsolationLevel

from deadletter.triage import BATCH_RECORDS as LETTERS_PER_TURN
from deadletter.triage import OpenGauges, ReadAgain, Triage, read_again
from projections.migrate import check_migrated, migrate
from projections.models import READ_MODELS
from projections.rebuild import Rebuild
from projections.runner import BATCH_RECORDS, Projector
from schemas.codec import READS_ONLY, Codec
from schemas.create_topics import check_topics, create_topics
from schemas.partition_count import check_partitions
from schemas.registration import SchemaIds, register_schemas
from schemas.registry import Registry
from schemas.schema_table import stored_schemas
from schemas.topic_identity import check_identity
from schemas.topics import COMMANDS, EVENTS, ORDERS, PAYMENTS, PROJECTOR, REPLIES, TRIAGE, dead_letter_topics
from schemas.writer_schemas import WriterSchemas
from streams.deciding.account_reading import KnownAccount, read_account
from streams.deciding.checkpoints import CheckpointFile, Checkpoints, NoCheckpoints
from streams.deciding.decision_store import PostgresDecisions
from streams.deciding.turn import Rules
from streams.importer import Importer
from streams.orders import Orders, Ports
from streams.payments import Payments
from streams.recovery import Recovery
from streams.replies import Replies
from streams.review import Reviewer
from streams.touched_account import TouchedAccount
from tierline.domain.catalog import Catalog
from tierline.kit.broker import Producer
from tierline.kit.catalog_file import PUBLISHED, load_catalog, load_published
from tierline.kit.clock import SystemClock
from tierline.kit.confluent_broker import ConfluentConsumer, ConfluentLog, ConfluentProducer, new_admin
from tierline.kit.crash_points import arm
from tierline.kit.database import Connection, connect
from tierline.kit.gateway import SandboxGateway
from tierline.kit.hard_exit import exit_hard
from tierline.kit.health import MIGRATIONS, SCHEMAS, TOPICS, Health
from tierline.kit.health_server import HealthServer
from tierline.kit.leased_worker import Handler, LeasedWorker
from tierline.kit.pace import Pace
from tierline.kit.policy_file import load_policy
from tierline.kit.retry import DATABASE
from tierline.kit.server_probe import Ask, AskKafka, AskPostgres, ServerProbe
from tierline.kit.settings import Settings
from tierline.kit.signed_note import NoteSigner
from tierline.kit.taking_turns import TakingTurns
from tierline.kit.telemetry import Metrics, configure_logging
from tierline.kit.version import APP_VERSION

_log = structlog.get_logger(__name__)

GATHER_MS = 2
UNHURRIED_MS = 50
"""How long a turn gathers records at least: short where a tier waits for it."""


class Worker(Protocol):
    """Something that runs until it is told to stop."""

    def run(self) -> None: ...

    def stop(self) -> None: ...


def prepare(settings: Settings) -> None:
    """Make what every worker needs and compare what is there: tables, partition count, topics, subjects.

    Raises what names the difference; nothing is changed then that would lose data.
    """
    migrate(settings.database_url)
    with sessions(settings, "tierline-prepare")() as connection, Registry(settings.registry_url) as registry:
        check_partitions(connection, settings.kafka.partitions)
        admin = new_admin(settings.kafka)
        create_topics(admin, settings.kafka)
        check_identity(connection, admin, settings.kafka)
        register_schemas(registry, connection)


def run_worker(name: str, settings: Settings) -> None:
    """Run one worker in this process until SIGTERM or SIGINT."""
    configure_logging(settings, name)
    arm(settings.crash_point)
    metrics, health = Metrics(), Health()
    metrics.runs(name, APP_VERSION)
    with ExitStack() as resources:
        resources.enter_context(_health_server(name, settings, metrics, health))
        resources.enter_context(_probe(name, settings, health))
        _check_prepared(name, settings, health)
        worker = BUILDERS[name](settings, metrics, health, resources)
        health.done(SCHEMAS)

        def end(*_: object) -> None:
            health.drain()
            worker.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        worker.run()


def _health_server(name: str, settings: Settings, metrics: Metrics, health: Health) -> HealthServer:
    facts = {"worker": name, "version": APP_VERSION, "pid": os.getpid()}
    return HealthServer(settings.health_address, settings.health_port, health, metrics.registry, facts)


def _probe(name: str, settings: Settings, health: Health) -> ServerProbe:
    asks: dict[str, Ask] = {
        "PostgreSQL": AskPostgres(sessions(settings, f"tierline-{name}-probe")),
        "Kafka": AskKafka(new_admin(settings.kafka)),
    }
    return ServerProbe(health, asks)


def _check_prepared(name: str, settings: Settings, health: Health) -> None:
    """Raises StartRefused when somebody has to prepare tables or topics first."""
    DATABASE(check_migrated, settings.database_url)
    health.done(MIGRATIONS)
    admin = new_admin(settings.kafka)
    check_topics(admin, settings.kafka)
    with DATABASE(sessions(settings, "tierline-start")) as connection:
        check_identity(connection, admin, settings.kafka, dead_letters_too=BUILDERS[name] is _triage)
    health.done(TOPICS)


def catalog(settings: Settings) -> Catalog:
    """The price book that the settings name."""
    return load_catalog(settings.catalog)


def producer(settings: Settings, client_id: str) -> ConfluentProducer:
    """A producer; acknowledged means on every in-sync replica."""
    return ConfluentProducer(settings.kafka, client_id)


def sessions(settings: Settings, application: str) -> Callable[[], Connection]:
    """What opens a session of PostgreSQL for ``application``."""
    return partial(connect, settings.database_url, application)


@contextmanager
def importer(settings: Settings) -> Iterator[Importer]:
    """What ``tierline import subscriptions`` works with."""
    with ExitStack() as resources:
        codec = _codec(settings, resources)
        yield Importer(
            producer=producer(settings, "tierline-import"),
            connection=resources.enter_context(sessions(settings, "tierline-import")()),
            encode=codec.encode_command,
            partitions=settings.kafka.partitions,
            clock=SystemClock(),
        )


@contextmanager
def reviewer(settings: Settings) -> Iterator[Reviewer]:
    """What ``tierline orders release`` and ``reject`` work with."""
    with ExitStack() as resources:
        yield Reviewer(
            producer=producer(settings, "tierline-review"),
            connection=resources.enter_context(sessions(settings, "tierline-review")()),
            encode=_codec(settings, resources).encode_command,
            partitions=settings.kafka.partitions,
            clock=SystemClock(),
            tenant_id=settings.tenant_id,
            livemode=settings.livemode,
            app_version=APP_VERSION,
        )


@contextmanager
def rebuild(settings: Settings, name: str) -> Iterator[Rebuild]:
    """The rebuild of the read model ``name``."""
    model = next(model for model in READ_MODELS if model.name == name)
    with ExitStack() as resources:
        codec = _codec(settings, resources)
        connection = resources.enter_context(sessions(settings, f"tierline-rebuild-{name}")())
        yield Rebuild(model, connection, ConfluentLog(settings.kafka), codec.read)


@contextmanager
def account_reader(settings: Settings) -> Iterator[Callable[[str], KnownAccount | None]]:
    """What reads an account as the decider would load it, in one read-only view of the event store."""
    with sessions(settings, "tierline-quote")() as connection, Registry(settings.registry_url) as registry:
        connection.read_only = True
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        known = {row.id: row.text for row in stored_schemas(connection).values()}
        codec = Codec(READS_ONLY, READS_ONLY, WriterSchemas(registry, known, SystemClock()))
        yield lambda account_id: read_account(
            connection, account_id, lambda value: codec.to_event(codec.read(value))
        )


@contextmanager
def recovery(settings: Settings) -> Iterator[Recovery]:
    """What ``tierline recover`` works with."""
    with ExitStack() as resources:
        codec = _codec(settings, resources)
        yield Recovery(
            sessions(settings, "tierline-recover"),
            ConfluentLog(settings.kafka),
            lambda value: codec.to_event(codec.read(value)),
            settings.kafka.partitions,
        )


def read_dead_letters_again(settings: Settings) -> ReadAgain:
    """Store the dead letters that Kafka still has and ``deadletter.record`` has not."""
    with sessions(settings, "tierline-dlq-rebuild")() as connection:
        log, account_of = ConfluentLog(settings.kafka), TouchedAccount(catalog(settings))
        return read_again(connection, log, dead_letter_topics(), settings.kafka.partitions, account_of)


def _schema_ids(settings: Settings, resources: ExitStack) -> tuple[Registry, SchemaIds]:
    registry = resources.enter_context(Registry(settings.registry_url))
    with DATABASE(sessions(settings, "tierline-start")) as connection:
        check_partitions(connection, settings.kafka.partitions)
        return registry, register_schemas(registry, connection)


def _codec(settings: Settings, resources: ExitStack) -> Codec:
    registry, ids = _schema_ids(settings, resources)
    return Codec(ids.commands, ids.events, WriterSchemas(registry, ids.known, SystemClock()))


def _leased(
    settings: Settings,
    metrics: Metrics,
    health: Health,
    group: str,
    topic: str,
    handler: Handler,
    *,
    gather_ms: int = GATHER_MS,
    consumer_group: str | None = None,
    **options: Any,
) -> LeasedWorker:
    return LeasedWorker(
        group=group,
        topic=topic,
        handler=handler,
        consumer=ConfluentConsumer(
            settings.kafka, consumer_group or group, Pace(settings.turn_every_ms, gather_ms)
        ),
        connect=sessions(settings, group),
        metrics=metrics,
        health=health,
        **{"batch_records": settings.batch_records, **options},
    )


def _normalizer(settings: Settings, metrics: Metrics, health: Health, resources: ExitStack) -> Worker:
    # Faust weighs 23 MB; only this worker needs it.
    from streams.normalizer import NormalizerWorker

    _, ids = _schema_ids(settings, resources)
    return NormalizerWorker(
        settings, schema_id=ids.commands, catalog=catalog(settings), metrics=metrics, health=health
    )


def verifier_keys(settings: Settings) -> tuple[str, ...]:
    """The keys that checkpoints may be signed with: the one that signs now first. Raises KeyUnusable."""
    checkpoint = settings.checkpoint
    if checkpoint.key_file is None:
        return checkpoint.verifier_keys
    own = NoteSigner.load(checkpoint.key_name, checkpoint.key_file).verifier_key
    return own, *checkpoint.verifier_keys


def _checkpoints(settings: Settings, events: Producer, metrics: Metrics) -> Checkpoints | NoCheckpoints:
    checkpoint = settings.checkpoint
    if checkpoint.key_file is None or checkpoint.file is None:
        return NoCheckpoints()
    return Checkpoints(
        NoteSigner.load(checkpoint.key_name, checkpoint.key_file),
        producer=events,
        append=CheckpointFile(checkpoint.file).append,
        every=checkpoint.every,
        metrics=metrics,
    )


def published_catalogs(settings: Settings) -> Mapping[str, Catalog]:
    """Every published price book by its version: a plan in force is priced by the one it was bought under."""
    return load_published(settings.catalog.parent / PUBLISHED)


def _rules(settings: Settings) -> Rules:
    newest = catalog(settings)
    published = published_catalogs(settings)
    if newest.version not in published:
        _log.warning(
            "catalog_not_published",
            catalog=str(settings.catalog),
            version=newest.version,
            action="tierline catalog publish: after an edit, what is sold now could not be priced again",
        )
    return Rules(newest, load_policy(settings.policy), published)


def _orders(settings: Settings, metrics: Metrics, health: Health, resources: ExitStack) -> Worker:
    events = producer(settings, ORDERS)
    codec = _codec(settings, resources)
    handler = Orders(
        codec=codec,
        rules=_rules(settings),
        partitions=settings.kafka.partitions,
        app_version=APP_VERSION,
        ports=Ports(
            store=PostgresDecisions(codec),
            producer=events,
            log=ConfluentLog(settings.kafka),
            clock=SystemClock(),
            connect=sessions(settings, f"{ORDERS}-verdicts"),
            fail=exit_hard,
        ),
        metrics=metrics,
        checkpoints=_checkpoints(settings, events, metrics),
    )
    resources.callback(handler.close)
    return _leased(settings, metrics, health, ORDERS, COMMANDS.name, handler, each_turn=handler.each_turn)


def _payments(settings: Settings, metrics: Metrics, health: Health, resources: ExitStack) -> Worker:
    new_session = sessions(settings, "sandbox-gateway")
    payment = settings.payment
    handler = Payments(
        codec=_codec(settings, resources),
        producer=producer(settings, PAYMENTS),
        connect=sessions(settings, f"{PAYMENTS}-attempts"),
        new_gateway=lambda: SandboxGateway(new_session(), payment.decline_rate, payment.delay_ms),
        partitions=settings.kafka.partitions,
        app_version=APP_VERSION,
    )
    resources.callback(handler.close)
    return _leased(settings, metrics, health, PAYMENTS, EVENTS.name, handler)


def _replies(settings: Settings, metrics: Metrics, health: Health, resources: ExitStack) -> Worker:
    codec = _codec(settings, resources)
    handler = Replies(codec=codec, producer=producer(settings, REPLIES), clock=SystemClock())
    return _leased(settings, metrics, health, REPLIES, EVENTS.name, handler, gather_ms=UNHURRIED_MS)


def _projector(settings: Settings, metrics: Metrics, health: Health, resources: ExitStack) -> Worker:
    handler = Projector(_codec(settings, resources).read, metrics)
    return _leased(settings, metrics, health, PROJECTOR, EVENTS.name, handler, batch_records=BATCH_RECORDS)


def _triage(settings: Settings, metrics: Metrics, health: Health, resources: ExitStack) -> Worker:
    with DATABASE(sessions(settings, "tierline-start")) as connection:
        check_partitions(connection, settings.kafka.partitions)
    gauges = OpenGauges(sessions(settings, f"{TRIAGE}-gauges"), SystemClock(), metrics)
    resources.callback(gauges.close)
    handler = Triage(TouchedAccount(catalog(settings)))
    workers = [
        # A Kafka group per topic: members of one group with different topics would wait for each other.
        _leased(
            settings,
            metrics,
            health,
            TRIAGE,
            topic.name,
            handler,
            gather_ms=UNHURRIED_MS,
            consumer_group=f"{TRIAGE}.{topic.name}",
            batch_records=LETTERS_PER_TURN,
        )
        for topic in dead_letter_topics()
    ]
    return TakingTurns(workers, gauges.each_round)


Build = Callable[[Settings, Metrics, Health, ExitStack], Worker]

BUILDERS: Mapping[str, Build] = {
    "normalizer": _normalizer,
    "orders": _orders,
    "payments": _payments,
    "replies": _replies,
    "projector": _projector,
    "triage": _triage,
}
