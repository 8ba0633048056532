"""A deploy that breaks a whole channel: its orders wait for the next one instead of dying."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest

from deadletter.breaker_window import BreakerRules
from schemas.topics import NORMALIZER
from tests.support.broken_deploy import broken_deploy, quick_breakers
from tests.support.fault_runs import Fault, Faults
from tests.support.pipeline import quickly_rebalancing, running_workers
from tests.support.waiting import wait_for
from tierline.kit.settings import Settings
from tierline.local.workers import Worker

PORTAL = "orders.portal.v1"
RULES = BreakerRules()
RATE = 40


def by_partition(settings: Settings, statement: str) -> dict[int, object]:
    """What the statement says of the portal's partitions."""
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        return dict(connection.execute(statement, (PORTAL,)).fetchall())


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_a_deploy_that_breaks_a_channel_buries_a_window_and_three(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """Per partition; the other channels go on, and after the mended deploy every other order is decided."""
    settings = quickly_rebalancing(settings).model_copy(update={"breaker_policy": quick_breakers(tmp_path)})
    with (
        running_workers(settings, tmp_path / "logs") as workers,
        faults.under_load(settings, accounts=200, rate=RATE, settle_s=180) as run,
    ):
        normalizer = workers["normalizer"]
        run.hit(Fault.BROKEN_DEPLOY, normalizer.name, run.in_flight.wait_for_work(NORMALIZER))
        deploy(normalizer, broken_deploy(tmp_path / "broken", "portal"))
        wait_for(
            lambda: len(waiting(settings)) == settings.kafka.partitions,
            "every partition of the portal waits for another version",
            120,
        )
        deploy(normalizer)
        wait_for(lambda: not waiting(settings), "the mended deploy lets every partition go on")

    bugs = by_partition(
        settings,
        "SELECT partition, count(*) FROM deadletter.verdict WHERE topic = %s AND class = 'bug' GROUP BY 1",
    )
    assert settings.kafka.partitions == len(bugs)
    assert all(0 < int(str(buried)) <= RULES.window + RULES.alone for buried in bugs.values()), bugs
    assert run.report.tallies["portal"].completed
    assert set() == {
        state
        for state in by_partition(
            settings, "SELECT partition, state FROM deadletter.breaker WHERE topic = %s"
        ).values()
        if state in ("open", "waiting")
    }


def deploy(worker: Worker, environment: Mapping[str, str] | None = None) -> None:
    """Another version instead of the one that runs, which ends by itself and saves where it was."""
    worker.stop()
    worker.start(environment)


def waiting(settings: Settings) -> dict[int, object]:
    """The partitions of the portal whose breakers wait."""
    return by_partition(
        settings, "SELECT partition, state FROM deadletter.breaker WHERE topic = %s AND state = 'waiting'"
    )
