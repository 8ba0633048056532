"""Stock Faust as its manual shows it: an app, a topic, an agent. Nothing of its ways is changed.

The settings only make it quick and quiet: commits several times a second, no web server, no leader topic.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import faust

from tests.support.app_thread import AppThread
from tests.support.wire import GROUP, SOURCE, Wire
from tierline.kit.settings import KafkaSettings

Body = Callable[[faust.App, Any], Awaitable[None]]
"""The body of the agent: gets the app and the stream."""


def stock_app(wire: Wire, folder: Path, body: Body, **options: Any) -> AppThread:
    """An app whose only agent is ``body`` over ``SOURCE``; ``options`` are Faust's settings.

    ``value_serializer`` and ``concurrency`` go to topic and agent.
    """
    serializer = options.pop("value_serializer", "raw")
    concurrency = options.pop("concurrency", 1)

    @asynccontextmanager
    async def opened() -> AsyncIterator[faust.App]:
        kafka = wire.kafka
        app = faust.App(
            wire.name(GROUP),
            broker=[f"kafka://{server}" for server in kafka.bootstrap_servers.split(",")],
            datadir=folder,
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            table_standby_replicas=0,
            consumer_auto_offset_reset="earliest",
            broker_commit_interval=0.1,
            broker_session_timeout=kafka.session_timeout_ms / 1000,
            broker_heartbeat_interval=kafka.heartbeat_interval_ms / 1000,
            **options,
        )
        if "broker_producer" in options:  # a setting that Faust has and does not look at
            app.producer = app.producer_transport.create_producer(loop=app.loop, beacon=app.beacon)
        source = app.topic(wire.name(SOURCE), value_serializer=serializer)

        @app.agent(source, name="copy", concurrency=concurrency)
        async def copy(stream: Any) -> None:
            await body(app, stream)

        yield app

    return AppThread(opened)


def run_stock_until_killed(kafka: KafkaSettings, folder: Path, body: Body, options: dict[str, Any]) -> None:
    """Stock Faust in a process of its own."""
    with stock_app(Wire(kafka), folder, body, **options):
        threading.Event().wait()


@contextmanager
def own_process(run: Callable[..., None], *arguments: Any) -> Iterator[BaseProcess]:
    """A process that does ``run(*arguments)``, killed at the end of the block if it was not before."""
    process = get_context("spawn").Process(target=run, args=arguments, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def mended(row: str) -> str:
    """What to do when a loss does not happen any more."""
    return (
        f"stock Faust {faust.__version__} does not lose this any more: {row}. "
        f"Say so in docs/reliability.md, and see what of streams/transport.py it makes needless."
    )
