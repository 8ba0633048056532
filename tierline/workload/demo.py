"""The demo: a fresh stack, sample accounts, a few thousand orders, late accounts, every outcome, the check.

What it does is here; what it shows is in ``demo_screen``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg

from tierline import bootstrap
from tierline.kit.settings import Settings
from tierline.local.cleanup import end_orphans
from tierline.local.folder import DataFolder
from tierline.local.stack import LocalStack
from tierline.local.workers import WORKERS
from tierline.verify.check import check
from tierline.workload.accounts import SampleSubscription, sample_subscriptions
from tierline.workload.late_accounts import Held, read_held, wait_until_released
from tierline.workload.orders import SampleOrders
from tierline.workload.publishing import Publication
from tierline.workload.records import Kind
from tierline.workload.running import RunFailed, open_samples, publish, settle, target_of
from tierline.workload.sales_desk_orders import corrections_file
from tierline.workload.summary import Summary, summarise
from tierline.workload.visibility import visible_tiers

NAME = "demo"
SETTLE_WAIT_S = 180.0
CHECK_WAIT_S = 30.0
DECLINE_RATE = 0.02
INTENTS_PER_SUBSCRIPTION = 2
FEWEST_SUBSCRIPTIONS = 100
LATE_SUBSCRIPTIONS = 32
RELEASE_WAIT_S = 60.0


class Screen(Protocol):
    """Where the demo says what it is doing."""

    def step(self, text: str) -> None:
        """One finished step."""

    def progress(self, title: str, done: int, total: int) -> None:
        """How far a long step is."""

    def waiting(self, left: int) -> None:
        """How many records are still under way; 0 ends it."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """How many order intents, at how many a second, from which seed, into which folder."""

    intents: int
    rate: float
    seed: int
    data: Path


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What was found, and what to look at next: (what it shows, the command)."""

    summary: Summary
    next_commands: Sequence[tuple[str, str]]


def run_demo(plan: DemoPlan, screen: Screen, started_ms: float) -> DemoResult:
    """Start, import, publish, wait, check, stop. Raises RunFailed, or StackError from the servers."""
    _clear(plan.data)
    with LocalStack(
        plan.data,
        workers=WORKERS,
        prepare=bootstrap.prepare,
        environment={"TIERLINE_PAYMENT__DECLINE_RATE": str(DECLINE_RATE)},
        notice=screen.step,
    ) as stack:
        settings = stack.settings
        samples, late = _samples(plan, settings)
        open_samples(settings, samples, screen.progress)
        stack.check()
        orders = SampleOrders(samples, plan.seed, NAME, late=late, gateway_once=True)
        records = orders.take(plan.intents)
        published = publish(settings, records, plan.intents, plan.rate, screen.progress)
        settle(settings, SETTLE_WAIT_S, screen.waiting)
        waited = _open_late(settings, late, published, screen)
        report = check(target_of(settings), CHECK_WAIT_S)
        with psycopg.connect(settings.database_url.get_secret_value()) as connection:
            tiers = visible_tiers(connection)
            example = _example_order(connection)
    summary = summarise([p.record for p in published], report, tiers, started_ms, waited.places)
    (plan.data / "summary.json").write_text(json.dumps(summary.as_json(), indent=2) + "\n")
    return DemoResult(summary, _next_commands(plan.data, example))


def _open_late(
    settings: Settings, late: Sequence[SampleSubscription], published: Sequence[Publication], screen: Screen
) -> Held:
    """Show what waits, open the late accounts, wait until their orders went on; returns what had waited."""
    keys = {(p.record.key or "").encode() for p in published if p.record.kind is Kind.EARLY}
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        held = read_held(connection)
        if not held.places:
            return held
        channels = ", ".join(f"{name} {number}" for name, number in held.by_channel.most_common())
        count = held.by_channel.total()
        screen.step(f"held in order: {count} orders of accounts that nobody has opened yet ({channels})")
        open_samples(settings, late, screen.progress, "late subscriptions imported")
        left = wait_until_released(connection, keys, RELEASE_WAIT_S)
        if left.places:
            raise RunFailed(
                f"{len(left.places)} held records did not go on {RELEASE_WAIT_S:.0f} s after their accounts"
                f" were opened: see {settings.data}/logs/normalizer.log"
            )
        settle(settings, SETTLE_WAIT_S, screen.waiting)
        rest = read_held(connection).by_channel.total()
    still = f"; {rest} wait for accounts that nobody opens" if rest else ""
    screen.step(f"held orders released: {count - rest} went on when their accounts came{still}")
    return held


def _example_order(connection: psycopg.Connection[Any]) -> str | None:
    """A completed order that a gateway was asked about: it has the longest story to tell."""
    row = connection.execute(
        "SELECT order_id::text FROM read.order_status WHERE state = 'COMPLETED' AND payment_id IS NOT NULL"
        " ORDER BY received_at DESC LIMIT 1"
    ).fetchone()
    return None if row is None else row[0]


def _next_commands(data: Path, order_id: str | None) -> Sequence[tuple[str, str]]:
    order = [("one order", f"tierline orders show {order_id}")] if order_id else []
    found = shutil.which("tierline") is not None
    return [
        *([] if found else [("once per shell", "source .venv/bin/activate")]),
        ("start it again", f"tierline up --detach --data {data}"),
        *order,
        ("what waits", "tierline holds list"),
        ("what failed", "tierline dlq groups"),
        ("a file's answer", f"tierline replies --channel sales_desk --file {corrections_file(NAME)}"),
        ("tiers in SQL", "tierline psql -c 'select * from read.tier_status limit 5'"),
        ("check again", "tierline verify"),
        ("the topics", "tierline topics"),
        ("stop it", f"tierline down --data {data}"),
    ]


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


def _samples(plan: DemoPlan, settings: Settings) -> tuple[list[SampleSubscription], list[SampleSubscription]]:
    """Those that are opened at once, and those that are opened late: they pay by invoice, so that of two
    orders that are released together none meets the payment of the other.
    """
    count = max(FEWEST_SUBSCRIPTIONS, plan.intents // INTENTS_PER_SUBSCRIPTION)
    today = datetime.now(UTC).date()
    catalog = bootstrap.catalog(settings)
    late = sample_subscriptions(LATE_SUBSCRIPTIONS, plan.seed, today, catalog, f"{NAME}_late")
    fitting = [one for one in late if one.payment == "invoice" and not one.contract_ends_soon]
    return list(sample_subscriptions(count, plan.seed, today, catalog)), fitting
