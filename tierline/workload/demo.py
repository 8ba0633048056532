"""The demo: a fresh stack, sample accounts, a few thousand orders, every outcome, and the check.

What it does is here; what it shows is in ``demo_screen``.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import psycopg

from tierline import bootstrap
from tierline.kit.settings import Settings
from tierline.local.cleanup import end_orphans
from tierline.local.folder import DataFolder
from tierline.local.stack import LocalStack
from tierline.verify.check import check
from tierline.workload.accounts import SampleSubscription, sample_subscriptions
from tierline.workload.orders import SampleOrders
from tierline.workload.running import RunFailed, open_samples, publish, settle, target_of
from tierline.workload.summary import Summary, summarise
from tierline.workload.visibility import visible_tiers

SETTLE_WAIT_S = 180.0
CHECK_WAIT_S = 30.0
DECLINE_RATE = 0.02
INTENTS_PER_SUBSCRIPTION = 2
FEWEST_SUBSCRIPTIONS = 100


class Screen(Protocol):
    """Where the demo says what it is doing."""

    def step(self, text: str) -> None:
        """One finished step."""

    def progress(self, title: str, done: int, total: int) -> None:
        """How far a long step is."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """How many order intents, at how many a second, from which seed, into which folder."""

    intents: int
    rate: float
    seed: int
    data: Path


def run_demo(plan: DemoPlan, screen: Screen, started_ms: float) -> Summary:
    """Start, import, publish, wait, check, stop. Raises RunFailed, or StackError from the servers."""
    _clear(plan.data)
    with LocalStack(
        plan.data,
        workers=bootstrap.WORKERS,
        prepare=bootstrap.prepare,
        environment={"TIERLINE_PAYMENT__DECLINE_RATE": str(DECLINE_RATE)},
        notice=screen.step,
    ) as stack:
        settings = stack.settings
        samples = _samples(plan, settings)
        open_samples(settings, samples, screen.progress)
        stack.check()
        records = SampleOrders(samples, plan.seed).take(plan.intents)
        published = publish(settings, records, plan.intents, plan.rate, screen.progress)
        settle(settings, SETTLE_WAIT_S, screen.progress)
        report = check(target_of(settings), CHECK_WAIT_S)
        with psycopg.connect(settings.database_url.get_secret_value()) as connection:
            tiers = visible_tiers(connection)
    summary = summarise([p.record for p in published], report, tiers, started_ms)
    (plan.data / "summary.json").write_text(json.dumps(summary.as_json(), indent=2) + "\n")
    return summary


def _clear(data: Path) -> None:
    """Every demo begins with empty servers; a folder that holds anything else is left alone."""
    if not data.exists():
        return
    if not (data / "stack.json").exists() and any(data.iterdir()):
        raise RunFailed(f"{data} holds something that is no Tierline stack; choose another --data folder")
    folder = DataFolder(data)
    with folder.owned():
        end_orphans(folder)
    shutil.rmtree(data)


def _samples(plan: DemoPlan, settings: Settings) -> list[SampleSubscription]:
    count = max(FEWEST_SUBSCRIPTIONS, plan.intents // INTENTS_PER_SUBSCRIPTION)
    today = datetime.now(UTC).date()
    return list(sample_subscriptions(count, plan.seed, today, bootstrap.catalog(settings)))
