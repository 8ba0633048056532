"""The store on the event loop: a call waits as long as the store is away, so an outage is never an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from streams.normalizing.intake_store import IntakeStore
from tierline.kit.retry import Backoff

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)


class StoreThread:
    """Runs the calls of an IntakeStore in its thread, one after the other, and waits out its absences."""

    def __init__(self, store: IntakeStore, backoff: Backoff | None = None) -> None:
        self._store = store
        self._backoff = backoff or Backoff()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._away_since: float | None = None
        self._away_s = 0.0

    @property
    def away(self) -> bool:
        """Whether the last call found the store away."""
        return self._away_since is not None

    def present_ms(self) -> int:
        """A clock in ms that stands still while the store is away: its absence uses up nobody's wait."""
        now = time.monotonic()
        away = self._away_s + (now - self._away_since if self._away_since is not None else 0.0)
        return int((now - away) * 1000)

    async def call(self, step: Callable[..., Result], *arguments: object) -> Result:
        """The result of ``step(*arguments)``, a method of the store, however long that takes."""
        failures = 0
        while True:
            try:
                result = await asyncio.get_running_loop().run_in_executor(self._executor, step, *arguments)
            except Exception as error:
                if not self._store.is_outage(error):
                    raise
                failures += 1
                self._gone(error, failures)
                await asyncio.sleep(self._backoff.wait_ms(failures) / 1000)
            else:
                self._back()
                return result

    def post(self, step: Callable[..., None], *arguments: object) -> None:
        """Have ``step(*arguments)`` done after what was asked before; for steps that need no server."""
        self._executor.submit(step, *arguments)

    def close(self) -> None:
        """End the session and the thread; a call that is under way ends by itself."""
        self._executor.submit(self._store.close)
        self._executor.shutdown(wait=False)

    def _gone(self, error: Exception, failures: int) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
        _log.warning("store_away", cause=repr(error), failures=failures)

    def _back(self) -> None:
        if self._away_since is not None:
            self._away_s += time.monotonic() - self._away_since
            self._away_since = None
            _log.info("store_back")
