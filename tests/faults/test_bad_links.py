"""Slow, silent, cut and reset links between every worker and Kafka or PostgreSQL, under load."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from tests.support.fault_runs import Fault, Faults
from tests.support.link import Link
from tests.support.pipeline import InFlight, quickly_rebalancing, running_workers
from tests.support.waiting import wait_for
from tierline.kit.settings import Settings
from tierline.local.workers import WORKERS

RATE = 40
STANDING_STILL = 5 * RATE
"""So many records more before the workers than at the beginning: the session of every member has ended."""
SLOW_S = (0.05, 0.1)
"""One way: servers on another continent."""


def address_of(url: SecretStr) -> str:
    """Where the database is, as ``host:port``."""
    parts = urlsplit(url.get_secret_value())
    return f"{parts.hostname}:{parts.port}"


def over(kafka: Link, postgres: Link, settings: Settings) -> Settings:
    """The settings of a worker that reaches its servers over the links."""
    url = settings.database_url.get_secret_value().replace(
        address_of(settings.database_url), postgres.address
    )
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"bootstrap_servers": kafka.address}),
            "database_url": SecretStr(url),
        }
    )


def slow(link: Link, in_flight: InFlight, rng: random.Random) -> None:
    """Every byte comes late until all that was under way is done, and more came."""
    link.slow_down(rng.uniform(*SLOW_S))
    in_flight.wait_for_progress()


def silent(link: Link, in_flight: InFlight, rng: random.Random) -> None:
    """Nothing passes in one or both directions, and nobody is told."""
    link.hold(only_answers=rng.random() < 0.5)
    stands_still(in_flight)


def cut(link: Link, in_flight: InFlight, _rng: random.Random) -> None:
    """The connections end, and every new one does."""
    before = link.accepted
    link.cut()
    wait_for(lambda: link.accepted >= before + len(WORKERS), "the workers to try again")
    stands_still(in_flight)


def reset(link: Link, _in_flight: InFlight, _rng: random.Random) -> None:
    """The connections are reset, and new ones are made."""
    before = link.accepted
    link.reset()
    wait_for(lambda: link.accepted >= before + len(WORKERS), "the workers to connect again")


def stands_still(in_flight: InFlight) -> None:
    """Wait until what nobody works on has piled up."""
    before = in_flight.records()
    wait_for(lambda: in_flight.records() >= before + STANDING_STILL, "records to pile up")


def _is_worth_a_fault(link: Link, in_flight: InFlight) -> bool:
    return link.connections >= len(WORKERS) and in_flight.records() > 0


FAULTS: dict[Fault, Callable[[Link, InFlight, random.Random], None]] = {
    Fault.SLOW_LINK: slow,
    Fault.SILENT_LINK: silent,
    Fault.CUT_LINK: cut,
    Fault.RESET_LINK: reset,
}


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_bad_links_to_the_servers_lose_nothing(faults: Faults, settings: Settings, tmp_path: Path) -> None:
    """All workers meet each fault of each link with records before them; every intent has its one outcome."""
    settings = quickly_rebalancing(settings)
    with (
        Link(settings.kafka.bootstrap_servers, kafka=True) as kafka,
        Link(address_of(settings.database_url)) as postgres,
        running_workers(over(kafka, postgres, settings), tmp_path) as workers,
    ):
        rounds = [*product({"kafka": kafka, "postgres": postgres}.items(), FAULTS)]
        faults.rng.shuffle(rounds)
        with faults.under_load(settings, accounts=400, rate=RATE) as run:
            for (server, link), fault in rounds:
                wait_for(
                    partial(_is_worth_a_fault, link, run.in_flight), "records and workers to meet the fault"
                )
                run.hit(fault, f"all workers and {server}", run.in_flight.records())
                FAULTS[fault](link, run.in_flight, faults.rng)
                link.restore()
        assert [0] * len(WORKERS) == [worker.restarts for worker in workers]

    assert len(rounds) == run.hits_in_flight()
    assert run.report.tallies["portal"].completed
