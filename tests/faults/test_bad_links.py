"""Slow, silent, cut and reset links between every worker and Kafka or PostgreSQL, under load."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from tests.support.link import Link
from tests.support.pipeline import (
    InFlight,
    Traffic,
    opened_samples,
    quickly_rebalancing,
    running_workers,
    seeded,
    settled_and_clean,
)
from tests.support.waiting import wait_for
from tierline.kit.settings import Settings
from tierline.local.workers import WORKERS

RATE = 40
STANDING_STILL = 5 * RATE
"""So many records more before the workers than at the beginning: the session of every member has ended."""
SLOW_S = (0.05, 0.1)
"""One way: servers on another continent."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What a fault met: records before the workers, connections that passed over the link."""

    server: str
    fault: str
    records: int
    connections: int


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


FAULTS: tuple[Callable[[Link, InFlight, random.Random], None], ...] = (slow, silent, cut, reset)


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_bad_links_to_the_servers_lose_nothing(
    settings: Settings, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """All workers meet each fault of each link with records before them; every intent has its one outcome."""
    rng, seed = seeded(pytestconfig.getoption("--seed"))
    settings = quickly_rebalancing(settings)
    in_flight = InFlight(settings)
    hits: list[Hit] = []
    with (
        Link(settings.kafka.bootstrap_servers, kafka=True) as kafka,
        Link(address_of(settings.database_url)) as postgres,
        running_workers(over(kafka, postgres, settings), tmp_path) as workers,
    ):
        samples = opened_samples(settings, 400, seed, "links")
        rounds = [*product({"kafka": kafka, "postgres": postgres}.items(), FAULTS)]
        rng.shuffle(rounds)
        with Traffic(settings, samples, seed, 20_000, RATE, tmp_path, name="links") as traffic:
            for (server, link), fault in rounds:
                wait_for(partial(_is_worth_a_fault, link, in_flight), "records and workers to meet the fault")
                hits.append(Hit(server, fault.__name__, in_flight.records(), link.connections))
                fault(link, in_flight, rng)
                link.restore()
            assert traffic.running, "the traffic ended before the last fault: the run does not count"
            traffic.finish()
        report = settled_and_clean(settings, traffic)
        assert [0] * len(WORKERS) == [worker.restarts for worker in workers]

    assert len(rounds) == len(hits)
    assert all(hit.records and hit.connections >= len(WORKERS) for hit in hits), hits
    assert report.tallies["portal"].completed
