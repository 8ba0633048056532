"""A broker that restarts and a database that is away: the pipeline waits and then goes on."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.support.fault_runs import Fault, FaultRun, Faults
from tests.support.late_accounts import LateAccounts
from tests.support.pipeline import InFlight, quickly_rebalancing, running_workers
from tests.support.stack import SharedStack, environment_of, new_stack, own_part_of
from tests.support.waiting import wait_for
from tierline.kit.settings import Settings
from tierline.local.stack import LocalStack
from tierline.verify.client_log import read_client_log

AWAY_S = 20.0
ACCOUNTS = 20
MOST_OF_A_KEY = 300
PATIENCE_MS = 120_000
"""How long the channels wait for the broker: it restarts slowly on a machine that is busy."""
UNANSWERED = 5


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalStack, SharedStack]]:
    """Servers for these tests alone: they are going to be stopped."""
    with new_stack(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture
def stack(servers: tuple[LocalStack, SharedStack]) -> LocalStack:
    """What can be stopped and started."""
    return servers[0]


@pytest.fixture
def settings(servers: tuple[LocalStack, SharedStack], tmp_path: Path) -> Iterator[Settings]:
    """A test's own part of these servers, with workers that hold orders of unknown accounts at once."""
    with own_part_of(servers[1]) as own:
        settings = quickly_rebalancing(own).model_copy(update={"unknown_account_wait_ms": 100})
        with running_workers(settings, tmp_path):
            yield settings


@contextmanager
def second_client(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A client in a process of its own, for a minute at most."""
    load = [sys.executable, "-m", "tierline.cli", "load", "--rate", "20", "--seconds", "60"]
    environment = {**os.environ, **environment_of(settings)}
    with (
        log.with_suffix(".log").open("w") as output,
        subprocess.Popen(
            [*load, "--client-log", str(log)], env=environment, stdout=output, stderr=output
        ) as client,
    ):
        try:
            yield client
        finally:
            client.kill()


def told(log: Path) -> Counter[str]:
    """How many orders a client's log says were taken (``ok``) or are ``unknown``."""
    return Counter(order.state for order in read_client_log(log)) if log.exists() else Counter()


def verdicts(settings: Settings) -> int:
    """How many intents were called dead."""
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        return int(connection.execute("SELECT count(*) FROM deadletter.verdict").fetchall()[0][0])


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_servers_that_go_away_and_come_back_lose_nothing(
    faults: Faults, stack: LocalStack, settings: Settings
) -> None:
    """The broker is killed and restarted, then PostgreSQL ends while dead letters are written; under load.

    Of two clients one waits for the broker, and one is killed before it hears of its last orders.
    """
    kafka = settings.kafka.model_copy(update={"delivery_timeout_ms": PATIENCE_MS})
    client = settings.model_copy(update={"kafka": kafka})
    second_log = faults.folder / "second.ndjson"
    with (
        second_client(settings, second_log) as second,
        faults.under_load(
            settings, accounts=600, rate=75, client=client, others=[second_log], settle_s=180
        ) as run,
    ):
        wait_for(lambda: told(second_log)["ok"], "the second client publishes")
        run.hit(Fault.BROKER_KILLED, "all workers", run.in_flight.wait_for_any())
        stack.kafka.kill9()
        wait_for(lambda: told(second_log)["unknown"] >= UNANSWERED, "the second one to send without answer")
        second.kill()
        stack.kafka.start()
        run.in_flight.wait_for_any()
        before = verdicts(settings)
        wait_for(lambda: verdicts(settings) > before, "dead letters are being written")
        run.hit(Fault.DATABASE_STOPPED, "all workers", run.in_flight.wait_for_any())
        stack.postgres.stop(mode="immediate")
        back_at = time.monotonic() + AWAY_S
        wait_for(lambda: time.monotonic() > back_at, "PostgreSQL was away long enough", AWAY_S + 5)
        stack.postgres.start()

    assert run.report.tallies["partner"].completed
    assert told(second_log)["unknown"]


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_a_database_that_ends_while_holds_are_written_keeps_them_all(
    faults: Faults, stack: LocalStack, settings: Settings
) -> None:
    """PostgreSQL stops without a goodbye while orders that have to be held keep coming, three times."""
    run = FaultRun(InFlight(settings))
    orders = LateAccounts(settings)
    names = [f"away{turn}" for turn in range(3)]
    for name in names:
        before, enough = orders.held, threading.Event()
        coming = threading.Thread(target=_keep_coming, args=(orders, name, enough))
        coming.start()
        try:
            in_hand = wait_for(partial(_in_hand, orders, before), "holds are being written")
            run.hit(Fault.DATABASE_STOPPED, "normalizer", in_hand)
            stack.postgres.stop(mode="immediate")
        finally:
            enough.set()
            coming.join()
        stack.postgres.start()
    orders.settled(held=orders.published)
    for name in names:
        orders.open(name, ACCOUNTS)
    report = orders.settled()
    for name in names:
        orders.in_order(name)
    faults.ended(run, report, orders.published)


def _keep_coming(orders: LateAccounts, name: str, enough: threading.Event) -> None:
    """Another order of every account, again and again; what was published last is not held yet."""
    for number in itertools.takewhile(lambda _: not enough.is_set(), range(MOST_OF_A_KEY)):
        orders.publish(name, ACCOUNTS, first=number)


def _in_hand(orders: LateAccounts, before: int) -> int:
    """How many of the new orders are not held yet; 0 until some are."""
    held = orders.held
    return orders.published - held if held > before else 0
