"""Orders that wait, under faults: none is lost, none ends twice, each key keeps its order.

All tests run on one stack; every test has a database and topics of its own and ends in the check.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.support.hold_policies import hold_policy
from tests.support.late_accounts import LateAccounts
from tests.support.pipeline import quickly_rebalancing, running_workers
from tests.support.stack import environment_of
from tests.support.waiting import wait_for
from tierline.kit.crash_points import CRASH_POINTS
from tierline.kit.settings import Settings
from tierline.local.workers import Worker, WorkerGroup

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]

WAIT_MS = 150
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


def _has_partitions(worker: Worker) -> bool:
    """Whether it took partitions and has not given them up since, as its log tells."""
    events = [json.loads(line) for line in worker.log.read_text().splitlines() if line.startswith("{")]
    moves = [e for e in events if e["event"] in ("partitions_opened", "partitions_given_up")]
    return bool(moves) and moves[-1]["event"] == "partitions_opened" and moves[-1]["partitions"] > 0


@contextmanager
def late(settings: Settings, logs: Path) -> Iterator[tuple[LateAccounts, WorkerGroup]]:
    """A pipeline that holds after a moment."""
    settings = quickly_rebalancing(settings).model_copy(
        update={"unknown_account_wait_ms": WAIT_MS, "hold_policy": hold_policy(logs)}
    )
    with running_workers(settings, logs) as workers:
        yield LateAccounts(settings), workers


def killed(worker: Worker, point: str, work: Callable[[], None]) -> None:
    """Start ``worker`` so that it dies at ``point``, do ``work``, and see it die and come back."""
    worker.restart({"TIERLINE_CRASH_POINT": f"normalizer.{point}"})
    armed = worker.pid
    work()
    wait_for(lambda: worker.pid != armed and worker.is_running(), f"{point} to kill", 120)


def test_killed_between_any_two_steps_of_the_guard(settings: Settings, tmp_path: Path) -> None:
    """Orders that are decided, that die and that wait, side by side: each has its one outcome."""
    points = {f"normalizer.{point}" for point in (*GUARDING, *HOLDING, *RELEASING)}
    assert points == {point for point in CRASH_POINTS if point.startswith("normalizer.")}

    with late(settings, tmp_path) as (orders, workers):
        for point in GUARDING:
            orders.open(point, 5)

            def all_sorts(name: str = point) -> None:
                orders.publish(name, 5, 2)
                orders.publish_bad(name, 2)
                orders.publish(f"{name}_late", 3, 2)

            killed(workers["normalizer"], point, all_sorts)
        waiting = 6 * len(GUARDING)
        orders.settled(held=waiting, dead=2 * len(GUARDING))
        for point in GUARDING:
            orders.open(f"{point}_late", 3)
        orders.settled(dead=2 * len(GUARDING))
        for point in GUARDING:
            orders.in_order(f"{point}_late")


def test_killed_between_any_two_steps_of_hold_and_release(settings: Settings, tmp_path: Path) -> None:
    """Each point is reached and kills; afterwards nothing waits, nothing is lost, nothing happened twice."""
    with late(settings, tmp_path) as (orders, workers):
        for point in HOLDING:
            killed(workers["normalizer"], point, lambda name=point: orders.publish(name, 5, 2))  # type: ignore[misc] # bound on purpose
        waiting = 10 * len(HOLDING)
        wait_for(lambda: orders.held == waiting, "everything to be held", 60)
        for point in RELEASING:
            orders.publish(point, 5, 2)
            wait_for(lambda: orders.held == waiting + 10, "ten more to be held", 60)
            killed(workers["normalizer"], point, lambda name=point: orders.open(name, 5))  # type: ignore[misc] # bound on purpose
            wait_for(lambda: orders.held == waiting, "the ten to be released", 60)
        for point in HOLDING:
            orders.open(point, 5)
        orders.settled()
        for name in (*HOLDING, *RELEASING):
            orders.in_order(name)


def test_a_worker_that_was_frozen_changes_nothing_when_it_wakes(settings: Settings, tmp_path: Path) -> None:
    """Stopped past its session five times, while orders wait and while they are released by its successor."""
    with (
        late(settings, tmp_path) as (orders, workers),
        WorkerGroup(("normalizer",), _folder(tmp_path / "second"), environment_of(orders.settings)) as others,
    ):
        pair: Sequence[Worker] = (workers["normalizer"], others["normalizer"])
        for turn in range(5):
            name = f"frozen{turn}"
            frozen = pair[turn % 2]
            wait_for(partial(_has_partitions, frozen), "the one to freeze to have partitions", 60)
            orders.publish(name, 20)
            wait_for(lambda: orders.held > 0, "something is held", 60)
            pid = frozen.pid
            assert pid is not None
            owners = _owners(orders)
            _signal(pid, signal.SIGSTOP)
            try:
                orders.open(name, 20)
                wait_for(lambda: orders.held == 0, "the other one to take over and release", 120)
                wait_for(lambda before=owners: before != _owners(orders), "the freeze to cost partitions", 60)  # type: ignore[misc] # bound on purpose
            finally:
                _signal(pid, signal.SIGCONT)
        orders.settled()


def test_a_rebalance_storm_while_a_thousand_keys_are_held(settings: Settings, tmp_path: Path) -> None:
    """A second normalizer joins and leaves again and again; then the accounts come, all at once."""
    with late(settings, tmp_path) as (orders, _):
        orders.publish("storm", 1_000)
        wait_for(lambda: orders.held == 1_000, "a thousand held records", 120)
        epochs = [_owners(orders)]
        with WorkerGroup(
            ("normalizer",), _folder(tmp_path / "second"), environment_of(orders.settings)
        ) as others:
            for _ in range(5):
                wait_for(
                    partial(_has_partitions, others["normalizer"]), "the second one to have partitions", 60
                )
                epochs.append(_owners(orders))
                others["normalizer"].stop()
                wait_for(lambda: _owners(orders) != epochs[-1], "the first one to have all again", 60)
                epochs.append(_owners(orders))
                others["normalizer"].start()
            orders.open("storm", 1_000)
            orders.settled()
        assert 11 == len(epochs)


def test_references_that_come_at_the_very_moment_of_the_hold(settings: Settings, tmp_path: Path) -> None:
    """Orders and accounts race, round after round; whoever wins, every order goes on by itself."""
    with late(settings, tmp_path) as (orders, _):
        for turn in range(6):
            orders.publish(f"race{turn}", 25, 2)
            orders.open(f"race{turn}", 25)
        orders.settled()
        assert orders.count("SELECT count(*) FROM deadletter.key_hold") == 0
        assert orders.told_to_wait, "nothing was held: the run does not count"


def _owners(orders: LateAccounts) -> Counter[str]:
    with psycopg.connect(orders.settings.database_url.get_secret_value()) as connection:
        rows = connection.execute(
            "SELECT owner::text FROM oms.lease WHERE consumer = 'tierline-normalizer'"
        ).fetchall()
    return Counter(owner for (owner,) in rows)


def _signal(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
