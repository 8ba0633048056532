"""Orders that wait, under faults: none is lost, none ends twice, each key keeps its order.

All tests run on one stack; every test has a database and topics of its own and ends in the check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from schemas.topics import NORMALIZER
from tests.support.fault_runs import Fault, FaultRun, Faults
from tests.support.freezing import frozen, owners
from tests.support.hold_policies import hold_policy
from tests.support.late_accounts import LateAccounts
from tests.support.pipeline import InFlight, quickly_rebalancing, running_workers
from tests.support.waiting import wait_for
from tests.support.worker_health import held_by, wait_for_partitions
from tierline.kit.crash_points import CRASH_POINTS
from tierline.kit.settings import Settings
from tierline.local.workers import WORKERS, Worker, WorkerGroup

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]

WAIT_MS = 150
TWO_NORMALIZERS = (*WORKERS, "normalizer")
GUARDING = (
    "after_read",
    "after_produce",
    "after_verdict",
    "after_dead_letter",
    "after_acknowledgement",
    "before_progress_commit",
    "after_progress",
)
HOLDING = ("before_hold_commit", "after_hold_commit", "after_held_reply")
RELEASING = (
    "after_hold_load",
    "after_release_begun",
    "after_release_sent",
    "after_release_settled",
    "after_removal",
)


@contextmanager
def late(
    settings: Settings, logs: Path, kinds: Sequence[str] = WORKERS
) -> Iterator[tuple[LateAccounts, WorkerGroup]]:
    """A pipeline that holds after a moment."""
    settings = quickly_rebalancing(settings).model_copy(
        update={"unknown_account_wait_ms": WAIT_MS, "hold_policy": hold_policy(logs)}
    )
    with running_workers(settings, logs, kinds) as workers:
        yield LateAccounts(settings), workers


def killed(run: FaultRun, worker: Worker, point: str, records: int, work: Callable[[], None]) -> None:
    """Start ``worker`` so that it dies at ``point``, give it ``records``, see it die, and bring it back.

    At once: whoever keeps it running would wait longer after each death.
    """
    worker.stop()
    worker.start({"TIERLINE_CRASH_POINT": f"normalizer.{point}"})
    armed = worker.pid
    work()
    wait_for(lambda: worker.pid != armed, f"{point} to kill", 120)
    run.hit(Fault.DIED_BETWEEN_STEPS, f"normalizer at {point}", records)
    worker.restart()


def test_killed_between_any_two_steps_of_the_guard(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """Orders that are decided, that die and that wait, side by side: each has its one outcome."""
    points = {f"normalizer.{point}" for point in (*GUARDING, *HOLDING, *RELEASING)}
    assert points == {point for point in CRASH_POINTS if point.startswith("normalizer.")}

    run = FaultRun(InFlight(settings))
    with late(settings, tmp_path) as (orders, workers):
        for point in GUARDING:
            orders.open(point, 5)

            def all_sorts(name: str = point) -> None:
                orders.publish(name, 5, 2)
                orders.publish_bad(name, 2)
                orders.publish(f"{name}_late", 3, 2)

            killed(run, workers["normalizer"], point, 18, all_sorts)
        waiting = 6 * len(GUARDING)
        orders.settled(held=waiting, dead=2 * len(GUARDING))
        for point in GUARDING:
            orders.open(f"{point}_late", 3)
        report = orders.settled(dead=2 * len(GUARDING))
        for point in GUARDING:
            orders.in_order(f"{point}_late")
        faults.ended(run, report, orders.published)


def test_killed_between_any_two_steps_of_hold_and_release(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """Each point is reached and kills; afterwards nothing waits, nothing is lost, nothing happened twice."""
    run = FaultRun(InFlight(settings))
    with late(settings, tmp_path) as (orders, workers):
        for point in HOLDING:
            killed(run, workers["normalizer"], point, 10, lambda name=point: orders.publish(name, 5, 2))  # type: ignore[misc] # bound on purpose
        waiting = 10 * len(HOLDING)
        wait_for(lambda: orders.held == waiting, "everything to be held", 60)
        for point in RELEASING:
            orders.publish(point, 5, 2)
            wait_for(lambda: orders.held == waiting + 10, "ten more to be held", 60)
            killed(run, workers["normalizer"], point, 10, lambda name=point: orders.open(name, 5))  # type: ignore[misc] # bound on purpose
            wait_for(lambda: orders.held == waiting, "the ten to be released", 60)
        for point in HOLDING:
            orders.open(point, 5)
        report = orders.settled()
        for name in (*HOLDING, *RELEASING):
            orders.in_order(name)
        faults.ended(run, report, orders.published)


def test_a_worker_that_was_frozen_changes_nothing_when_it_wakes(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """Stopped past its session five times, while orders wait and while they are released by its successor."""
    run = FaultRun(InFlight(settings))
    with late(settings, tmp_path, TWO_NORMALIZERS) as (orders, workers):
        pair = [worker for worker in workers if worker.kind == "normalizer"]
        for turn in range(5):
            name = f"frozen{turn}"
            victim = pair[turn % 2]
            wait_for_partitions(victim)
            orders.publish(name, 20)
            run.hit(Fault.FROZEN, victim.name, wait_for(lambda: orders.held, "something is held", 60))
            with frozen(orders.settings, victim, NORMALIZER, held_by(victim)):
                orders.open(name, 20)
                wait_for(lambda: orders.held == 0, "the other one to take over and release", 120)
        faults.ended(run, orders.settled(), orders.published)


def test_a_rebalance_storm_while_a_thousand_keys_are_held(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """A second normalizer leaves and joins again and again; then the accounts come, all at once."""
    run = FaultRun(InFlight(settings))
    with late(settings, tmp_path, TWO_NORMALIZERS) as (orders, workers):
        orders.publish("storm", 1_000)
        wait_for(lambda: orders.held == 1_000, "a thousand held records", 120)
        second = workers["normalizer-2"]
        for _ in range(5):
            wait_for_partitions(second)
            shared = owners(orders.settings, NORMALIZER)
            run.hit(Fault.REBALANCED, second.name, orders.held)
            second.stop()
            wait_for(partial(_has_changed, orders, shared), "the first one to have all again", 60)
            second.start()
        orders.open("storm", 1_000)
        faults.ended(run, orders.settled(), orders.published)


def test_references_that_come_at_the_very_moment_of_the_hold(settings: Settings, tmp_path: Path) -> None:
    """Orders and accounts race, round after round; whoever wins, every order goes on by itself."""
    with late(settings, tmp_path) as (orders, _):
        for turn in range(6):
            orders.publish(f"race{turn}", 25, 2)
            orders.open(f"race{turn}", 25)
        orders.settled()
        assert orders.count("SELECT count(*) FROM deadletter.key_hold") == 0
        assert orders.told_to_wait, "nothing was held: the run does not count"


def _has_changed(orders: LateAccounts, before: dict[tuple[str, int], str]) -> bool:
    return owners(orders.settings, NORMALIZER) != before
