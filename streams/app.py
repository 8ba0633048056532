"""The Faust app of the normalizer: one agent over the order topics of all channels, fed by batches.

Faust brings the group membership, the flow control and the life cycle. Its producer, web server, tables,
topic creation and leader election stay off, and it writes no files: positions and state are in PostgreSQL.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import faust
import structlog
from faust.app.base import BootStrategy
from faust.types import AppT, Message, StreamT
from yarl import URL

from streams.transport import Batch, BatchTransport, PartitionOwner, Turn
from tierline.kit.pace import Pace
from tierline.kit.settings import KafkaSettings

_QUEUED_TURNS = 8

Handle = Callable[[Batch], Awaitable[None]]


class _ConsumerOnly(BootStrategy):
    def kafka_producer(self) -> Iterable[Any]:
        return []

    def web_server(self) -> Iterable[Any]:
        return []


class _BatchSchema(faust.Schema[Any, Any]):
    """Keys and values pass as they are."""

    def loads_key(self, app: AppT, message: Message, **_options: Any) -> Any:  # noqa: ARG002 - Faust's
        return message.key

    def loads_value(self, app: AppT, message: Message, **_options: Any) -> Any:  # noqa: ARG002 - Faust's
        return message.value


class _BatchApp(faust.App):
    BootStrategy = _ConsumerOnly

    def _create_directories(self) -> None:
        """No tables, so nothing to keep on disk."""

    async def _producer_flush(self, logger: Any) -> None:
        """Faust's producer was never started."""


def create_app(
    kafka: KafkaSettings,
    *,
    group: str,
    topics: Sequence[str],
    owner: PartitionOwner,
    handle: Handle,
    pace: Pace | None = None,
) -> faust.App:
    """An app that gives each batch of ``topics`` to ``handle``, one after the other, in order per partition.

    ``group`` and ``topics`` are names without prefix. ``handle`` must not raise: what it has not written when
    it returns is its own business, and nothing is read again until the partition is. Start and stop it with
    ``start`` and ``stop`` on a running event loop; one app per process.
    """
    app = _BatchApp(
        kafka.topic_prefix + group,
        broker=_broker_urls(kafka.bootstrap_servers),
        broker_client_id=group,
        broker_session_timeout=kafka.session_timeout_ms / 1000,
        stream_buffer_maxsize=_QUEUED_TURNS,
        stream_wait_empty=True,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
    )
    app.transport = BatchTransport(
        app.conf.broker_consumer, app, kafka=kafka, pace=pace or Pace(), owner=owner
    )
    source = app.topic(*(kafka.topic_prefix + topic for topic in topics), schema=_BatchSchema(), acks=False)

    @app.agent(source, name=group)
    async def normalize(turns: StreamT[Turn]) -> None:
        async for turn in turns:
            for batch in turn.batches:
                if turn.generation == app.consumer_generation_id:
                    await handle(batch)

    return app


def _broker_urls(servers: str) -> list[URL]:
    return [URL(f"kafka://{server.strip()}") for server in servers.split(",") if server.strip()]


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        log.log(record.levelno, "library", text=record.getMessage(), exc_info=record.exc_info or False)


def route_library_logs(level: int = logging.WARNING) -> None:
    """Bring what Faust, mode and aiokafka log into the worker's own log, from ``level`` on."""
    for name in ("faust", "mode", "aiokafka"):
        logger = logging.getLogger(name)
        logger.handlers = [_ToStructlog()]
        logger.setLevel(level)
        logger.propagate = False
