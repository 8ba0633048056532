"""An absence of the store is waited out, never answered, and uses up nobody's wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from streams.normalizing.intake_store import IntakeStore
from streams.normalizing.store_thread import StoreThread
from tierline.kit.retry import Backoff


class Steps:
    """A step that fails as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    def run(self, value: str) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return value


def with_thread(story: Callable[[StoreThread], Awaitable[None]]) -> None:
    """Run ``story`` on a thread whose store is never really asked."""

    def no_server() -> psycopg.Connection[tuple[object, ...]]:
        raise AssertionError("no step of these tests needs a server")

    async def run() -> None:
        thread = StoreThread(IntakeStore("c", no_server), Backoff(first_ms=2, limit_ms=4))
        try:
            await story(thread)
        finally:
            thread.close()

    asyncio.run(run())


def test_a_call_during_an_absence_is_made_again_until_it_succeeds() -> None:
    """The caller sees a late answer and no error."""

    async def story(thread: StoreThread) -> None:
        steps = Steps(psycopg.OperationalError("gone"), psycopg.InterfaceError("closed"))
        assert ("answer", 3, False) == (await thread.call(steps.run, "answer"), steps.calls, thread.away)

    with_thread(story)


def test_an_error_that_is_no_absence_is_the_callers() -> None:
    """Nothing else is tried again."""

    async def story(thread: StoreThread) -> None:
        steps = Steps(ValueError("a bug"))
        with pytest.raises(ValueError, match="a bug"):
            await thread.call(steps.run, "answer")
        assert 1 == steps.calls

    with_thread(story)


def test_the_clock_of_waits_stands_still_during_an_absence() -> None:
    """It goes on from where it was when the store is back."""

    async def story(thread: StoreThread) -> None:
        steps = Steps(*[psycopg.OperationalError("gone")] * 30)
        calling = asyncio.create_task(thread.call(steps.run, "answer"))
        async with asyncio.timeout(10):
            while not thread.away:  # noqa: ASYNC110 - the thread announces nothing to tests
                await asyncio.sleep(0.001)
        during = {thread.present_ms()}
        while not calling.done():
            if thread.away:
                during.add(thread.present_ms())
            await asyncio.sleep(0.001)
        await calling
        assert 1 >= max(during) - min(during)
        assert thread.present_ms() >= max(during)

    with_thread(story)
