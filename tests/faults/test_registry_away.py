"""The schema registry is away at the first start, and killed in flight."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from schemas.topics import ORDERS
from tests.support.fault_runs import Fault, Faults
from tests.support.link import Link
from tests.support.newer_release import NewerRelease
from tests.support.stack import environment_of
from tests.support.waiting import wait_for
from tests.support.worker_health import standing_still
from tierline import bootstrap
from tierline.kit.settings import Settings
from tierline.local.stack import LocalStack
from tierline.local.workers import WORKERS
from tierline.workload.accounts import SampleSubscription, sample_subscriptions

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]


def registry_of(settings: Settings) -> str:
    """Where it is, as ``host:port``."""
    return urlsplit(settings.registry_url).netloc


def over(link: Link, settings: Settings) -> Settings:
    """The settings of a worker that reaches the registry over the link."""
    url = settings.registry_url.replace(registry_of(settings), link.address)
    return settings.model_copy(update={"registry_url": url})


@pytest.mark.parametrize("command", ["prepare", "run orders"])
def test_a_first_start_without_the_registry_says_what_to_do(settings: Settings, command: str) -> None:
    """Nobody knows an id to write with: it names the registry and the setting, and ends."""
    with Link(registry_of(settings)) as link:
        away = over(link, settings)
        if command != "prepare":
            bootstrap.prepare(settings)
            with psycopg.connect(settings.database_url.get_secret_value()) as connection:
                connection.execute("TRUNCATE oms.schema")
        link.cut()
        ended = subprocess.run(
            [sys.executable, "-m", "tierline.cli", *command.split()],
            env={**os.environ, **environment_of(away)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert 1 == ended.returncode
    assert away.registry_url in ended.stderr
    assert "TIERLINE_REGISTRY_URL" in ended.stderr


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """Servers and workers of the test's own: it is going to kill the registry."""
    with LocalStack(tmp_path, usual_ports=False, workers=WORKERS, prepare=bootstrap.prepare) as stack:
        yield stack


def a_sample(settings: Settings, seed: int) -> SampleSubscription:
    """A subscription that nobody has opened."""
    today = datetime.now(UTC).date()
    return next(sample_subscriptions(1, seed, today, bootstrap.catalog(settings), "newer"))


def leases_of_the_decider(settings: Settings) -> dict[int, tuple[int, int]]:
    """For each partition: how often it was taken, and how far it got."""
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        rows = connection.execute(
            "SELECT partition, epoch, next_offset FROM oms.lease WHERE consumer = %s", (ORDERS,)
        ).fetchall()
    return {partition: (epoch, offset) for partition, epoch, offset in rows}


def others_go_on(settings: Settings, waiting: int) -> None:
    """Wait until ``waiting`` was tried three times more; the decider held all others, and got on in them."""
    before = leases_of_the_decider(settings)
    now = before

    def tried_and_moved() -> bool:
        nonlocal now
        now = leases_of_the_decider(settings)
        tried = now[waiting][0] >= before[waiting][0] + 3
        return tried and all(now[p][1] > before[p][1] for p in before if p != waiting)

    wait_for(tried_and_moved, f"partition {waiting} to be tried, and the others to be decided")
    assert {p: epoch for p, (epoch, _) in before.items() if p != waiting} == {
        p: epoch for p, (epoch, _) in now.items() if p != waiting
    }


@pytest.mark.timeout(420)
def test_a_registry_that_is_killed_stops_only_the_partition_that_needs_it(
    faults: Faults, stack: LocalStack
) -> None:
    """Known ids flow; a command under an id that nobody has seen waits for the registry, and is decided then.

    The decider is killed meanwhile: the one that starts has its ids from the event store.
    """
    settings, orders = stack.settings, stack.worker("orders")
    newer = NewerRelease(settings, a_sample(settings, faults.seed))
    waits = {newer.partition: "dependency"}
    with faults.under_load(settings, accounts=400, rate=60) as run:
        run.hit(Fault.REGISTRY_KILLED, "all workers", run.in_flight.wait_for_any())
        stack.registry.kill9()
        run.in_flight.wait_for_progress()
        newer.open_account()
        wait_for(lambda: standing_still(orders) == waits, f"{waits} alone to stand still")
        others_go_on(settings, newer.partition)
        run.hit(Fault.KILLED, orders.name, run.in_flight.wait_for_work(ORDERS, orders))
        orders.restart()
        wait_for(lambda: standing_still(orders) == waits, f"{waits} alone to stand still after a restart")
        others_go_on(settings, newer.partition)
        assert not newer.account_is_open()
        stack.registry.start()
        wait_for(newer.account_is_open, "the account to be open that the newer release asked for")

    assert run.report.tallies["portal"].completed
