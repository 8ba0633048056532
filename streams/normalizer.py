"""The normalizer: raw orders of all channels in, canonical commands and dead letters out.

    Kafka ── RecordReader ── Faust agent ── Intake ── Router ── Outlet ── Kafka
                  │                            │          │
              Positions                  AccountContext   │
                  └────────── StoreThread ─────┴──────────┘  ── PostgreSQL

One process, one event loop (Faust's), two threads for PostgreSQL, one that reads from Kafka. The parts are
joined in ``streams.normalizing.parts``.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import faust
import structlog

from deadletter.ports import Fail
from schemas.topics import NORMALIZER
from streams.app import route_library_logs
from streams.normalizing.parts import Parts
from streams.pipeline import CHANNELS
from streams.reading.intent import PlanAliases
from tierline.kit.clock import Clock, SystemClock
from tierline.kit.garbage import collect_rarely
from tierline.kit.hard_exit import exit_hard
from tierline.kit.health import Health
from tierline.kit.partition_watch import PartitionWatch
from tierline.kit.settings import Settings
from tierline.kit.telemetry import Metrics

STOP_S = 12.0

_log = structlog.get_logger(__name__)


class NormalizerWorker:
    """Runs until ``stop``. ``schema_id`` is the registry's id of the command schema.

    ``run`` raises what makes going on senseless, PositionOutsideLog above all. An outcome that cannot be
    written ends the process through ``fail``: nothing is lost, the next start continues from the leases.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        schema_id: int,
        catalog: PlanAliases,
        metrics: Metrics,
        health: Health,
        clock: Clock | None = None,
        fail: Fail = exit_hard,
    ) -> None:
        self._settings = settings
        self._schema_id = schema_id
        self._catalog = catalog
        self._metrics = metrics
        self._health = health
        self._clock = clock or SystemClock()
        self._watch = PartitionWatch(NORMALIZER, "all channels", metrics, health, self._clock.now_ms)
        self._fail = fail
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._woken: asyncio.Event | None = None

    def stop(self) -> None:
        """Ask the worker to end, in bounded time; safe from signal handlers and other threads."""
        self._stopping = True
        if self._loop is not None and self._woken is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._woken.set)

    def run(self) -> None:
        """Work until ``stop``."""
        route_library_logs()
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        if self._stopping:
            self._woken.set()
        parts = Parts(
            self._settings,
            self._schema_id,
            self._catalog,
            self._metrics,
            self._health,
            self._watch,
            self._clock,
            self._fail,
        )
        async with parts.helpers():
            app = parts.app
            starting = asyncio.create_task(app.start())
            stop_asked = asyncio.create_task(self._woken.wait())
            try:
                await asyncio.wait({starting, stop_asked}, return_when=asyncio.FIRST_COMPLETED)
                if starting.done():
                    starting.result()
                    collect_rarely()
                    _log.info("normalizer_started", channels=list(CHANNELS))
                    await _first(stop_asked, asyncio.create_task(app.wait_until_stopped()))
            finally:
                await self._end(app, starting, stop_asked)
            if app.crash_reason is not None:
                raise app.crash_reason

    async def _end(self, app: faust.App, *waiting: asyncio.Task[Any]) -> None:
        try:
            await asyncio.wait_for(app.stop(), STOP_S)
        except TimeoutError:
            self._fail(f"the worker did not stop within {STOP_S:.0f} s")
        for task in waiting:
            task.cancel()


async def _first(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
