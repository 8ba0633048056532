"""What a worker says about itself: started, live, ready, and why not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tierline.kit.clock import FakeClock
from tierline.kit.health import (
    LOOP_MS,
    STANDSTILL_LIVE_MS,
    STANDSTILL_READY_MS,
    UNANSWERED_MS,
    Health,
    Reason,
)

PLACE = ("orders.portal.v1", 3)
OTHER = ("orders", 1)
HOUR_MS = 3_600_000


class Turning:
    """A worker that has started and whose loop turns while time goes by."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.health = Health([], self.clock.now_ms)
        self.health.beat()
        self.health.opened([PLACE])

    def after(self, milliseconds: int) -> Health:
        """The health after so long, the loop having come round all the time."""
        for _ in range(milliseconds // 10_000):
            self.clock.advance(10_000)
            self.health.beat()
        self.clock.advance(milliseconds % 10_000)
        return self.health


@pytest.fixture
def turning() -> Turning:
    return Turning()


def test_a_start_names_what_is_still_to_do() -> None:
    """Both probes that look at the start say it; the process is alive meanwhile."""
    health = Health(["tables", "topics"])
    health.done("tables")

    assert "starting: still to do: topics" == str(health.started())
    assert Reason.STARTING == health.ready().reason
    assert health.live().ok

    health.done("topics")
    assert (True, Reason.SERVING) == (health.started().ok, health.ready().reason)


def test_a_loop_that_does_not_come_round_is_not_alive(turning: Turning) -> None:
    """Just under the limit it is."""
    turning.clock.advance(LOOP_MS - 1)
    assert turning.health.live().ok

    turning.clock.advance(1)
    assert "stuck: the loop has not come round for 30 s" == str(turning.health.live())


def test_a_partition_that_is_behind_and_does_not_move_is_noticed_before_it_is_fatal(turning: Turning) -> None:
    """First readiness tells it, much later liveness gives the process up."""
    turning.health.behind(PLACE, 7)

    assert Reason.SERVING == turning.after(STANDSTILL_READY_MS - 1).ready().reason
    assert Reason.STALLED == turning.after(1).ready().reason
    assert turning.after(STANDSTILL_LIVE_MS - STANDSTILL_READY_MS - 1).live().ok
    told = turning.after(1).live()
    assert not told.ok
    assert "orders.portal.v1[3] has 7 records before it and has not moved for 600 s" == told.detail


def test_a_partition_with_nothing_to_do_may_stand_still_for_ever(turning: Turning) -> None:
    """Quiet nights restart nobody, and the first record after one starts the clock, not the night."""
    turning.health.behind(PLACE, 0)
    assert turning.after(HOUR_MS).live().ok

    turning.health.behind(PLACE, 1)
    assert Reason.SERVING == turning.after(STANDSTILL_READY_MS - 1).ready().reason


def test_a_partition_that_moves_is_well_however_far_behind_it_is(turning: Turning) -> None:
    """Catching up may take hours."""
    turning.health.behind(PLACE, 1_000_000)
    for _ in range(60):
        turning.after(STANDSTILL_READY_MS - 1)
        turning.health.moved(PLACE)

    assert (True, Reason.SERVING) == (turning.health.live().ok, turning.health.ready().reason)


EXPLAINED: dict[str, tuple[Callable[[Health], None], Reason]] = {
    "a rebalance": (lambda health: health.opening([PLACE]), Reason.SERVING),
    "its breaker is open": (lambda health: health.breaker_open(PLACE, "ratio"), Reason.BREAKER_OPEN),
    "something it needs is away": (lambda health: health.waiting([PLACE], "refused"), Reason.DEPENDENCY),
    "a server does not answer": (lambda health: health.answered("Kafka", "refused"), Reason.DEPENDENCY),
    "store and topic disagree": (lambda health: health.closed(PLACE), Reason.STALLED),
    "a bug": (lambda health: health.stalled(PLACE, "ValueError()"), Reason.STALLED),
}


@pytest.mark.parametrize("why", EXPLAINED)
def test_a_standstill_that_something_explains_is_no_reason_for_a_restart(turning: Turning, why: str) -> None:
    """A restart would bring nothing back; readiness names what is in the way instead."""
    explain, reason = EXPLAINED[why]
    turning.health.behind(PLACE, 7)
    explain(turning.health)

    health = turning.after(HOUR_MS)

    assert (True, reason) == (health.live().ok, health.ready().reason)


@pytest.mark.parametrize(
    "over",
    [
        lambda health: health.answered("Kafka"),
        lambda health: health.opened([PLACE]),
    ],
    ids=["the server is back", "the partition is open again"],
)
def test_what_is_over_is_not_held_against_a_partition(
    turning: Turning, over: Callable[[Health], None]
) -> None:
    """Its clock starts anew: it had no chance to move."""
    turning.health.behind(PLACE, 7)
    turning.health.answered("Kafka", "refused")
    turning.after(HOUR_MS)
    over(turning.health)
    turning.health.answered("Kafka")
    turning.health.behind(PLACE, 7)

    assert (True, Reason.SERVING) == (turning.health.live().ok, turning.health.ready().reason)
    assert not turning.after(STANDSTILL_LIVE_MS).live().ok


def test_a_process_that_was_frozen_is_given_time_to_move(turning: Turning) -> None:
    """Stopped for an hour it could not have moved; the clock of its partitions starts when it wakes up."""
    turning.health.behind(PLACE, 7)
    turning.clock.advance(HOUR_MS)
    turning.health.beat()

    assert (True, Reason.SERVING) == (turning.health.live().ok, turning.health.ready().reason)


def test_a_server_that_was_asked_and_keeps_silent_is_away(turning: Turning) -> None:
    """A frozen server takes connections and answers nothing."""
    turning.health.asked("PostgreSQL")
    turning.clock.advance(UNANSWERED_MS)
    assert Reason.SERVING == turning.health.ready().reason

    turning.clock.advance(1_000)
    assert "dependency: PostgreSQL: no answer for 6 s" == str(turning.health.ready())

    turning.health.answered("PostgreSQL")
    assert Reason.SERVING == turning.health.ready().reason


def test_a_partition_of_somebody_else_is_none_of_ours(turning: Turning) -> None:
    """Whatever was wrong with it went with it."""
    turning.health.stalled(PLACE, "ValueError()")
    turning.health.gone([PLACE])

    assert Reason.SERVING == turning.health.ready().reason


def test_of_several_reasons_the_first_is_named() -> None:
    """Each one is named once those before it are gone."""
    clock = FakeClock()
    health = Health(["topics"], clock.now_ms)
    health.beat()
    health.stalled(PLACE, "ValueError()")
    health.answered("Kafka", "refused")
    health.drain()

    assert Reason.STARTING == health.ready().reason
    health.done("topics")
    assert Reason.DRAINING == health.ready().reason

    still_needed = Health([], clock.now_ms)
    still_needed.stalled(PLACE, "ValueError()")
    still_needed.answered("Kafka", "refused")
    still_needed.breaker_open(OTHER, "ratio")
    assert "breaker_open: orders[1] keeps dead letters back: ratio" == str(still_needed.ready())
    still_needed.opened([OTHER])
    assert Reason.DEPENDENCY == still_needed.ready().reason
    still_needed.answered("Kafka")
    assert Reason.STALLED == still_needed.ready().reason


def test_the_facts_behind_the_answers_are_told(turning: Turning) -> None:
    """Whoever looks sees which partition, how far behind, and for how long."""
    turning.health.behind(PLACE, 7)
    turning.health.answered("Kafka", "refused")

    told = turning.after(20_000).to_json()

    assert {"Kafka": "refused"} == told["servers"]
    assert (20, 0.0, True, False) == (
        told["up_seconds"],
        told["heartbeat_age_seconds"],
        told["live"],
        told["ready"],
    )
    assert [
        {
            "topic": "orders.portal.v1",
            "partition": 3,
            "behind": 7,
            "seconds_since_progress": 20,
            "standstill": None,
            "cause": "",
        }
    ] == told["partitions"]
