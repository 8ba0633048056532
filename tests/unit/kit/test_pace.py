"""A busy worker begins its turns at a pace; one that was idle begins at once."""

from __future__ import annotations

import pytest

from tierline.kit.pace import Pace


class Seconds:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_turn_gathers_only_what_was_sent_together() -> None:
    """An idle worker answers at once."""
    pace = Pace(every_ms=30, least_ms=2, now_s=Seconds())

    assert pytest.approx(0.002) == pace.gather_s()


def test_a_turn_soon_after_another_waits_for_its_time() -> None:
    """From the beginning of the one to the beginning of the other the whole interval passes."""
    clock = Seconds()
    pace = Pace(every_ms=30, least_ms=2, now_s=clock)
    clock.now += pace.gather_s() + 0.010  # the turn itself took 10 ms

    assert pytest.approx(0.020) == pace.gather_s()


def test_what_a_turn_waited_counts_for_the_next() -> None:
    """Turns that take no time begin at equal intervals."""
    clock = Seconds()
    pace = Pace(every_ms=30, least_ms=2, now_s=clock)
    begun = []
    for _ in range(3):
        clock.now += pace.gather_s()
        begun.append(clock.now)

    assert pytest.approx([100.002, 100.032, 100.062]) == begun


def test_turns_that_take_longer_than_the_interval_are_not_held_up() -> None:
    """A worker that is behind goes on with what is there."""
    clock = Seconds()
    pace = Pace(every_ms=30, least_ms=2, now_s=clock)
    clock.now += pace.gather_s() + 0.050

    assert pytest.approx(0.002) == pace.gather_s()
