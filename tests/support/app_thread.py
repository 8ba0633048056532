"""A Faust app on an event loop in a thread of its own, so that a test can look at it from outside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

import faust

START_S = 60.0
STOP_S = 60.0

Opened = Callable[[], AbstractAsyncContextManager[faust.App]]
"""Makes the app on the running loop, and whatever must run beside it for as long as the block."""


class AppThread:
    """Starts the app at the beginning of the block and stops it at its end.

    What the app raised, or that it would not stop, is raised from ``join`` and from the end of the block.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._error: BaseException | None = None
        self._started = threading.Event()
        self._stop_asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="app", daemon=True)
        self.app: faust.App

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(START_S), "the app did not start"
        if self._error is not None:
            raise self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ask_to_stop()
        self._thread.join(STOP_S)
        if error is None:
            self.join()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._thread.is_alive()

    def ask_to_stop(self) -> None:
        """Begin a normal stop and do not wait for it."""
        self._stop_asked.set()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join(STOP_S)
        assert not self.running, "the app did not stop"
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self._error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        async with self._opened() as self.app:
            await self.app.start()
            self._started.set()
            try:
                while not (self._stop_asked.is_set() or self.app.should_stop):  # noqa: ASYNC110 - set by a thread
                    await asyncio.sleep(0.01)
            finally:
                await self.app.stop()
            if self.app.crash_reason is not None:
                raise self.app.crash_reason
