"""A deploy that breaks a whole channel: its orders wait for the next one instead of dying."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from deadletter.breaker_window import BreakerRules
from tests.support.broken_deploy import broken_deploy, quick_breakers
from tests.support.pipeline import (
    Traffic,
    opened_samples,
    quickly_rebalancing,
    running_workers,
    seeded,
    settled_and_clean,
)
from tests.support.waiting import wait_for
from tierline.kit.settings import Settings

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
    settings: Settings, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Per partition; the other channels go on, and after the mended deploy every other order is decided."""
    _, seed = seeded(pytestconfig.getoption("--seed"))
    settings = quickly_rebalancing(settings).model_copy(update={"breaker_policy": quick_breakers(tmp_path)})
    with running_workers(settings, tmp_path / "logs") as workers:
        samples = opened_samples(settings, 200, seed, "deploys")
        normalizer = workers["normalizer"]
        with Traffic(settings, samples, seed, 20_000, RATE, tmp_path, name="deploys") as traffic:
            normalizer.restart(broken_deploy(tmp_path / "broken", "portal"))
            wait_for(
                lambda: len(waiting(settings)) == settings.kafka.partitions,
                "every partition of the portal waits for another version",
                120,
            )
            normalizer.restart()
            wait_for(lambda: not waiting(settings), "the mended deploy lets every partition go on")
            assert traffic.running, "the traffic ended before the mended deploy: the run does not count"
            traffic.finish()
        report = settled_and_clean(settings, traffic, 180)

    bugs = by_partition(
        settings,
        "SELECT partition, count(*) FROM deadletter.verdict WHERE topic = %s AND class = 'bug' GROUP BY 1",
    )
    assert settings.kafka.partitions == len(bugs)
    assert all(0 < int(str(buried)) <= RULES.window + RULES.alone for buried in bugs.values()), bugs
    assert report.tallies["portal"].completed
    assert set() == {
        state
        for state in by_partition(
            settings, "SELECT partition, state FROM deadletter.breaker WHERE topic = %s"
        ).values()
        if state in ("open", "waiting")
    }


def waiting(settings: Settings) -> dict[int, object]:
    """The partitions of the portal whose breakers wait."""
    return by_partition(
        settings, "SELECT partition, state FROM deadletter.breaker WHERE topic = %s AND state = 'waiting'"
    )
