"""Stock Faust as its manual shows it: an app, two topics, an agent. Nothing of its ways is changed."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from typing import Any

import faust

from benchmarks.processors.assignment import Assignment
from benchmarks.processors.work import Work, work_of_settings
from streams.normalizing.normalize import TYPE

Send = Callable[[Any], Awaitable[Awaitable[Any]]]
"""Does the work on an event and sends the command; what it returns is the answer to come."""
Body = Callable[[Any, Send], Awaitable[None]]
"""The body of the agent: gets the stream."""


def run(told: Assignment, body: Body) -> None:
    """Work until SIGTERM."""
    tuning, work = told.tuning, work_of_settings()
    with tempfile.TemporaryDirectory(prefix="tierline-bench-faust-") as folder:
        app = faust.App(
            told.group,
            broker=[f"kafka://{server}" for server in told.servers.split(",")],
            datadir=folder,
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            table_standby_replicas=0,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=tuning.partition_fetch_bytes,
            broker_max_poll_records=tuning.poll_records,
            broker_commit_interval=tuning.commit_ms / 1000,
            broker_session_timeout=tuning.session_ms / 1000,
            broker_heartbeat_interval=tuning.heartbeat_ms / 1000,
            producer_acks=-1,
            producer_linger=tuning.linger_ms / 1000,
            producer_max_batch_size=tuning.batch_bytes,
            producer_compression_type=tuning.compression,
        )
        source = app.topic(told.source, value_serializer="raw", key_serializer="raw")
        send = _sender(app.topic(told.output, value_serializer="raw", key_serializer="raw"), work)

        @app.agent(source, name="normalize")
        async def normalize(stream: Any) -> None:
            await body(stream, send)

        faust.Worker(app, loglevel="warning", quiet=True).execute_from_commandline()


def _sender(output: Any, work: Work) -> Send:
    def send(event: Any) -> Awaitable[Awaitable[Any]]:
        read = event.message
        framed = work(read.partition, read.offset, round(read.timestamp * 1000), event.value)
        sending: Awaitable[Awaitable[Any]] = output.send(
            key=framed.key, value=framed.value, partition=framed.partition, headers={TYPE: framed.type}
        )
        return sending

    return send
