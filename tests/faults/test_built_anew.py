"""What follows from the events goes under load: read models are built anew, snapshots are dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from projections import next_table, rebuild
from projections.models import READ_MODELS
from projections.read_model import ReadModel
from schemas.topics import ORDERS, PROJECTOR
from tests.support.deciding_again import decided_again
from tests.support.fault_runs import Fault, Faults
from tests.support.pipeline import quickly_rebalancing, running_workers
from tests.support.projecting import content
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.kit.database import Connection
from tierline.kit.settings import Settings
from tierline.workload.orders import MIX
from tierline.workload.records import Kind

pytestmark = [pytest.mark.fault, pytest.mark.timeout(420)]

RATE = 40
CLOSE_ENOUGH, BLOCK = 100, 200
"""Small ones, so that a rebuild has to catch up with live traffic before it may swap."""
DROPS = 4
FEW = 48
"""Subscriptions, so that each has many decisions behind it."""
MIX_OF_FEW = MIX | {Kind.INELIGIBLE: 0.0}
"""Among few subscriptions there may be none whose contract ends soon."""

APPLIED = "SELECT sum(next_position) FROM oms.lease WHERE consumer = 'tierline-projector'"
SNAPSHOTS = "SELECT count(*) FROM oms.snapshot"


@dataclass
class Compared:
    """Stands in the way of each swap and compares the table in use with the one that takes its place."""

    monkeypatch: pytest.MonkeyPatch
    rows: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        swap = next_table.swap

        def compared(connection: Connection, model: ReadModel) -> None:
            live, built = (content(connection, model, t) for t in (model.table.live, model.table.next))
            assert live == built, model.name
            self.rows[model.name] = len(built)
            swap(connection, model)

        self.monkeypatch.setattr(next_table, "swap", compared)


def number(settings: Settings, statement: str) -> int:
    """What a statement on the database counts."""
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        [found] = connection.execute(statement).fetchone() or (0,)
    return int(found)


def drop_snapshots(settings: Settings) -> None:
    """Delete all of them."""
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        connection.execute("DELETE FROM oms.snapshot")


def test_read_models_that_are_built_anew_under_load_equal_the_live_ones(
    faults: Faults, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each from position 0 while events keep coming; at the moment of the swap every row is the same."""
    settings, compared = quickly_rebalancing(settings), Compared(monkeypatch)
    monkeypatch.setattr(rebuild, "_CLOSE_ENOUGH", CLOSE_ENOUGH)
    monkeypatch.setattr(rebuild, "BATCH_RECORDS", BLOCK)
    grown: dict[str, int] = {}
    with (
        running_workers(settings, tmp_path) as workers,
        faults.under_load(settings, accounts=400, rate=RATE) as run,
    ):
        for model in faults.rng.sample(READ_MODELS, len(READ_MODELS)):
            before = run.in_flight.wait_for_work(PROJECTOR, workers["projector"])
            run.hit(Fault.BUILT_ANEW, f"projector, {model.name}", before)
            applied = number(settings, APPLIED)
            with bootstrap.rebuild(settings, model.name) as work:
                grown[model.name] = work.run().events - applied
        run.in_flight.wait_for_work(PROJECTOR)
        run.in_flight.wait_for_progress(PROJECTOR)

    assert {model.name for model in READ_MODELS} == compared.rows.keys()
    assert all(grown.values()), f"no event came while a model was built: {grown}"
    assert run.report.tallies["portal"].completed


def test_a_decider_that_loses_all_snapshots_under_load_decides_the_same(
    faults: Faults, settings: Settings, tmp_path: Path
) -> None:
    """They go while it works, then it is killed: the next one has the events alone, and so has the judge."""
    settings = quickly_rebalancing(settings, decline_rate=0.1)
    with (
        running_workers(settings, tmp_path) as workers,
        faults.under_load(settings, accounts=FEW, rate=RATE, mix=MIX_OF_FEW) as run,
    ):
        decider = workers["orders"]
        for _ in range(faults.rounds(DROPS)):
            wait_for(lambda: number(settings, SNAPSHOTS) > 0, "snapshots to be there")
            run.hit(Fault.SNAPSHOTS_DROPPED, decider.name, run.in_flight.wait_for_work(ORDERS, decider))
            drop_snapshots(settings)
            run.in_flight.wait_for_work(ORDERS, decider)
            decider.kill9()
            drop_snapshots(settings)
            decider.start()
            run.in_flight.wait_for_progress(ORDERS)
    judged = decided_again(settings)

    assert judged.commands > run.report.tallies["portal"].completed > 0
    assert judged.stored == judged.again
