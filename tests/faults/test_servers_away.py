"""A broker that restarts and a database that is away: the pipeline waits and then goes on."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.support.late_accounts import LateAccounts
from tests.support.pipeline import InFlight, Traffic, opened_samples, seeded, settled_and_clean
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.kit.settings import Settings
from tierline.local.stack import LocalStack
from tierline.local.workers import WORKERS

AWAY_S = 20.0
ACCOUNTS = 20
MOST_OF_A_KEY = 300
PATIENCE_MS = 120_000
"""How long the channels wait for the broker: it restarts slowly on a machine that is busy."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """Servers and workers of the test's own: it is going to stop them. Unknown accounts are held at once."""
    environment = {
        "TIERLINE_KAFKA__SESSION_TIMEOUT_MS": "6000",
        "TIERLINE_UNKNOWN_ACCOUNT_WAIT_MS": "100",
    }
    with LocalStack(
        tmp_path, usual_ports=False, workers=WORKERS, prepare=bootstrap.prepare, environment=environment
    ) as stack:
        yield stack


def verdicts(settings: Settings) -> int:
    """How many intents were called dead."""
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        return int(connection.execute("SELECT count(*) FROM deadletter.verdict").fetchall()[0][0])


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_servers_that_go_away_and_come_back_lose_nothing(
    stack: LocalStack, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """The broker is killed and restarted, then PostgreSQL ends while dead letters are written; under load."""
    _, seed = seeded(pytestconfig.getoption("--seed"))
    settings = stack.settings
    in_flight = InFlight(settings)
    samples = opened_samples(settings, 600, seed, "servers")
    patient = settings.kafka.model_copy(update={"delivery_timeout_ms": PATIENCE_MS})
    client = settings.model_copy(update={"kafka": patient})
    with Traffic(client, samples, seed, 20_000, 75, tmp_path, name="servers") as traffic:
        wait_for(lambda: bool(in_flight.remaining()), "records are under way")
        stack.kafka.kill9()
        stack.kafka.start()
        wait_for(lambda: bool(in_flight.remaining()), "records are under way again")
        before = verdicts(settings)
        wait_for(lambda: verdicts(settings) > before, "dead letters are being written")
        stack.postgres.stop(mode="immediate")
        back_at = time.monotonic() + AWAY_S
        wait_for(lambda: time.monotonic() > back_at, "PostgreSQL was away long enough", AWAY_S + 5)
        stack.postgres.start()
        assert traffic.running, "the traffic ended before the last fault: the run does not count"
        traffic.finish()
    report = settled_and_clean(settings, traffic, 180)

    assert report.tallies["partner"].completed


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_a_database_that_ends_while_holds_are_written_keeps_them_all(stack: LocalStack) -> None:
    """PostgreSQL stops without a goodbye while orders that have to be held keep coming, three times."""
    orders = LateAccounts(stack.settings)
    names = [f"away{turn}" for turn in range(3)]
    for name in names:
        before, enough = orders.held, threading.Event()
        coming = threading.Thread(target=_keep_coming, args=(orders, name, enough))
        coming.start()
        try:
            wait_for(partial(_writing_holds, orders, before), "holds are being written")
            stack.postgres.stop(mode="immediate")
        finally:
            enough.set()
            coming.join()
        stack.postgres.start()
    orders.settled(held=orders.published)
    for name in names:
        orders.open(name, ACCOUNTS)
    orders.settled()
    for name in names:
        orders.in_order(name)


def _keep_coming(orders: LateAccounts, name: str, enough: threading.Event) -> None:
    """Another order of every account, again and again; what was published last is not held yet."""
    for number in itertools.takewhile(lambda _: not enough.is_set(), range(MOST_OF_A_KEY)):
        orders.publish(name, ACCOUNTS, first=number)


def _writing_holds(orders: LateAccounts, before: int) -> bool:
    """Whether some of the new orders are held and others not yet."""
    return before < orders.held < orders.published
