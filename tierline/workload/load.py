"""Open-loop load on a running stack: the schedule does not wait, so a slow answer counts in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from tierline import bootstrap
from tierline.kit.settings import Settings
from tierline.workload.accounts import sample_subscriptions
from tierline.workload.client_log import ClientLog
from tierline.workload.orders import SampleOrders
from tierline.workload.percentiles import summary_ms
from tierline.workload.publishing import Publication
from tierline.workload.records import Kind
from tierline.workload.running import Progress, open_samples, publish, settle
from tierline.workload.visibility import VisibleTier, visible_tiers

INTENTS_PER_SUBSCRIPTION = 4
SUBSCRIPTIONS = (100, 5_000)
LOAD_MIX: dict[Kind, float] = {Kind.BROKEN: 0.01, Kind.DUPLICATE: 0.01, Kind.INELIGIBLE: 0.02}


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """``rate`` intents a second for ``seconds``, over ``channels``; ``name`` keeps runs apart."""

    rate: float
    seconds: float
    channels: tuple[str, ...]
    seed: int
    name: str
    settle_s: float


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was offered and what became visible; latencies in ms.

    ``from_schedule`` counts from the instant at which an order was due, ``from_append`` from the
    broker's append.
    """

    offered: int
    records: int
    tiers: int
    reached_per_second: float
    from_schedule: Mapping[str, float | None]
    from_append: Mapping[str, float | None]

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "offered": self.offered,
            "records": self.records,
            "tier_changes": self.tiers,
            "reached_per_second": self.reached_per_second,
            "latency_ms": {"from_schedule": self.from_schedule, "from_append": self.from_append},
        }


def run_load(
    settings: Settings,
    plan: LoadPlan,
    progress: Progress,
    waiting: Callable[[int], None],
    log: ClientLog | None = None,
) -> LoadReport:
    """Open subscriptions of the run's own, publish on schedule, wait for the last outcome, report.

    ``log`` keeps what the broker said to each record.
    """
    intents = max(1, round(plan.rate * plan.seconds))
    fewest, most = SUBSCRIPTIONS
    count = min(most, max(fewest, intents // INTENTS_PER_SUBSCRIPTION))
    today = datetime.now(UTC).date()
    samples = list(sample_subscriptions(count, plan.seed, today, bootstrap.catalog(settings), plan.name))
    open_samples(settings, samples, progress)
    orders = SampleOrders(samples, plan.seed, plan.name, plan.channels, dict(LOAD_MIX))
    publications = publish(settings, orders.take(intents), intents, plan.rate, progress, log)
    settle(settings, plan.settle_s, waiting)
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        return _report(publications, visible_tiers(connection), intents)


def _report(publications: Sequence[Publication], tiers: Sequence[VisibleTier], intents: int) -> LoadReport:
    due = {
        (p.delivery.topic, p.delivery.partition, p.delivery.offset): p.due_ms
        for p in publications
        if p.delivery is not None
    }
    own = [tier for tier in tiers if (tier.topic, tier.partition, tier.offset) in due]
    waits = [tier.visible_ms - due[tier.topic, tier.partition, tier.offset] for tier in own]
    span_ms = max((t.visible_ms for t in own), default=0) - min(due.values(), default=0)
    return LoadReport(
        offered=intents,
        records=len(publications),
        tiers=len(own),
        reached_per_second=round(len(own) * 1000 / span_ms, 1) if own else 0.0,
        from_schedule=summary_ms(waits),
        from_append=summary_ms([tier.latency_ms for tier in own]),
    )
