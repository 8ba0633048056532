"""Sample accounts in the import format: enough variety that every rule of the demo finds its case.

Everything follows from the seed and the day, so a run can be repeated. The lines are those that
``tierline import subscriptions`` takes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tierline.domain.catalog import Catalog

Payment = Literal["invoice", "gateway"]

PLACES = (
    ("DE", "EUR", "Europe/Berlin"),
    ("FR", "EUR", "Europe/Paris"),
    ("GB", "GBP", "Europe/London"),
    ("US", "USD", "America/New_York"),
    ("US", "USD", "America/Los_Angeles"),
    ("JP", "JPY", "Asia/Tokyo"),
)
SEGMENTS = ("small", "mid", "large")
GATEWAY_SHARE = 0.4
SHORT_CONTRACT_SHARE = 0.06
MODULE_SHARE = 0.05
MARGIN = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class SampleSubscription:
    """One subscription as the workload knows it: whose it is, how channels call it, where it starts."""

    account_id: str
    subscription_id: str
    partner_ref: str
    marketplace_ref: str
    payment: Payment
    plan: str
    seats: int
    contract_ends_soon: bool
    line: dict[str, Any]


def sample_subscriptions(
    count: int, seed: int, today: date, catalog: Catalog, name: str = "demo"
) -> Iterator[SampleSubscription]:
    """``count`` subscriptions on team-month; every fourth shares its account with the one before it.

    ``name`` keeps the ids of different runs apart.
    """
    rng = random.Random(f"{name}:{seed}:accounts")  # noqa: S311 - a repeatable sample, not a secret
    account: dict[str, Any] = {}
    for number in range(count):
        if number % 4 != 3:
            account = _account(f"acc_{name}_{number:05}", rng)
        yield _subscription(f"{name}_{number:05}", account, rng, today, catalog)


def _account(account_id: str, rng: random.Random) -> dict[str, Any]:
    country, currency, zone = rng.choice(PLACES)
    return {
        "account_id": account_id,
        "segment": rng.choice(SEGMENTS),
        "country": country,
        "currency": currency,
        "time_zone": zone,
        "standing": "good",
        "payment": "gateway" if rng.random() < GATEWAY_SHARE else "invoice",
    }


def _subscription(
    name: str, account: dict[str, Any], rng: random.Random, today: date, catalog: Catalog
) -> SampleSubscription:
    seats = rng.randint(5, 20)
    local = datetime(today.year, today.month, today.day, 12, tzinfo=UTC).astimezone(
        ZoneInfo(account["time_zone"])
    )
    start, end = _current_month(local.date(), rng)
    ends_soon = rng.random() < SHORT_CONTRACT_SHARE
    plan = catalog.plan("team-month")
    if plan is None:
        raise ValueError("the catalog has no plan team-month: the samples start on it")
    modules = ("sso-pack",) if rng.random() < MODULE_SHARE else ()
    items = catalog.items(plan, account["currency"], seats, modules)
    if items is None:
        raise ValueError(f"the catalog does not price team-month and {modules} in {account['currency']}")
    line = {
        **account,
        "external_refs": [
            {"channel": "partner", "source": "main", "ref": f"PROD-{name}"},
            {"channel": "marketplace", "source": "main", "ref": f"saas-{name}"},
        ],
        "subscription_id": f"sub_{name}",
        "plan": plan.id,
        "seats": seats,
        "modules": list(modules),
        "opened_at": f"{start.replace(year=start.year - 1).isoformat()}T00:00:00Z",
        "billing_day": start.day,
        "period": {"start": start.isoformat(), "end": end.isoformat()},
        "contract": {
            "start": start.replace(year=start.year - 1).isoformat(),
            "end": (today + timedelta(days=70 if ends_soon else 1200)).isoformat(),
            "minimum_term_months": 12,
            "minimum_spend_minor": 0,
        },
        "invoiced": [
            {
                "item": item.id,
                "start": start.isoformat(),
                "end": end.isoformat(),
                "quantity": item.quantity,
                "amount_minor": item.list_minor,
                "adjusted_minor": 0,
            }
            for item in items
        ],
    }
    return SampleSubscription(
        account_id=account["account_id"],
        subscription_id=line["subscription_id"],
        partner_ref=f"PROD-{name}",
        marketplace_ref=f"saas-{name}",
        payment=account["payment"],
        plan=plan.id,
        seats=seats,
        contract_ends_soon=ends_soon,
        line=line,
    )


def _current_month(today: date, rng: random.Random) -> tuple[date, date]:
    """A monthly period around ``today`` whose ends keep more than two days' distance from it."""
    fitting = []
    for day in range(1, 29):
        month = today.replace(day=day)
        start = month if month <= today else _months_on(month, -1)
        end = _months_on(start, 1)
        if start + MARGIN < today < end - MARGIN:
            fitting.append((start, end))
    return rng.choice(fitting)


def _months_on(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, day.day)
