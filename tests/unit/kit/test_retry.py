"""How long a loop waits, and what a policy retries."""

import asyncio
from types import SimpleNamespace

import psycopg
import pytest

from tierline.kit.clock import FakeClock
from tierline.kit.errors import LookUpFailed
from tierline.kit.retry import DATABASE, LOOK_UP, Backoff


@pytest.mark.parametrize(
    ("failures", "shortest", "longest"), [(1, 50, 100), (2, 100, 200), (4, 400, 800), (60, 2_500, 5_000)]
)
def test_the_wait_doubles_up_to_its_limit(failures: int, shortest: int, longest: int) -> None:
    """Half of the wait is fixed, half is random, so that workers do not come back all at once."""
    waits = [Backoff().wait_ms(failures) for _ in range(50)]

    assert shortest <= min(waits)
    assert longest >= max(waits)


def test_a_database_that_comes_back_is_asked_again() -> None:
    """An outage is retried, with the clock's own pauses."""
    clock = FakeClock()
    answers = [psycopg.OperationalError("away"), psycopg.OperationalError("away"), None]

    def ask() -> str:
        error = answers.pop(0)
        if error:
            raise error
        return "here"

    assert "here" == DATABASE.copy(sleep=clock.sleep)(ask)


def test_a_refused_statement_is_not_asked_again() -> None:
    """What the database refuses it refuses twice."""
    asked = 0

    def ask() -> None:
        nonlocal asked
        asked += 1
        raise psycopg.errors.UndefinedTable("no such table")

    with pytest.raises(psycopg.errors.UndefinedTable):
        DATABASE(ask)
    assert asked == 1


def test_the_look_ups_of_a_batch_share_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it fails: several tries, random pauses, none of which ends after the second."""
    clock = FakeClock()
    monkeypatch.setattr("tenacity.time", SimpleNamespace(monotonic=lambda: clock.now_ms() / 1000))
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.sleep(seconds)

    async def fails() -> None:
        raise LookUpFailed("40001")

    for _ in range(50):
        tries, began = len(pauses), clock.now_ms()
        with pytest.raises(LookUpFailed):
            asyncio.run(LOOK_UP.copy(sleep=sleep)(fails))
        assert clock.now_ms() - began <= 1_000
        assert len(pauses) - tries > 1

    assert len(set(pauses)) > 50
