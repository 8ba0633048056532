"""The marketplace through every worker on real servers: orders, silence, standing, reviews."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from schemas.topics import orders_topic, replies_topic
from tests.support.orders_bench import OrdersBench
from tests.support.stack import SharedStack, environment_of, own_part_of
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.cli.commands import app
from tierline.domain.identity import payment_id_of
from tierline.kit.records import Message
from tierline.kit.settings import PaymentSettings
from tierline.local.workers import WORKERS
from tierline.verify.check import check
from tierline.workload.accounts import sample_subscriptions
from tierline.workload.running import target_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

HOURS_AGO = timedelta(hours=3)


@dataclass
class Marketplace:
    """Posts operations about one subscription after another, and reads what is answered."""

    bench: OrdersBench
    lines: list[dict[str, Any]]
    number: int = field(default=0)

    def post(self, line: dict[str, Any], action: str, ago: timedelta = timedelta(), **changed: Any) -> str:
        """One call of the webhook; its operation id."""
        self.number += 1
        operation = {
            "id": f"op-{self.number}",
            "subscriptionId": line["external_refs"][-1]["ref"],
            "action": action,
            "status": "InProgress" if action.startswith("Change") else "Succeeded",
            "timeStamp": (datetime.now(UTC) - ago).isoformat().replace("+00:00", "Z"),
            "planId": "gold",
        } | changed
        value = json.dumps(operation).encode()
        self.bench.publish(
            Message(orders_topic("marketplace").name, operation["subscriptionId"].encode(), value)
        )
        return str(operation["id"])

    def answered(self, operation: str, outcome: str) -> dict[str, Any]:
        """Wait for that answer to that operation."""
        found: list[dict[str, Any]] = []

        def arrived() -> bool:
            replies = [
                json.loads(r.value or b"") for r in self.bench.records(replies_topic("marketplace").name)
            ]
            found[:] = [r for r in replies if (r["reference"], r["outcome"]) == (operation, outcome)]
            return bool(found)

        wait_for(arrived, f"{operation} is answered {outcome}")
        return found[-1]

    def tierline(self, *arguments: str) -> Result:
        """Run a command as a person would."""
        return CliRunner().invoke(app, list(arguments), env=environment_of(self.bench.settings))

    def state(self, order_id: str) -> str:
        """Where an order stands in the read model."""
        [row] = self.bench.query("SELECT state FROM read.order_status WHERE order_id = %s", order_id)
        return str(row[0])

    def tier(self, line: dict[str, Any]) -> tuple[Any, ...]:
        """Standing, plan and number of features in the read model."""
        [row] = self.bench.query(
            "SELECT subscription_standing, plan, cardinality(features) FROM read.tier_status"
            " WHERE subscription_id = %s",
            line["subscription_id"],
        )
        return tuple(row)


@pytest.fixture(scope="module")
def marketplace(shared: SharedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marketplace]:
    """Every worker, and subscriptions that the marketplace knows by ids of its own; no card is any good."""
    with own_part_of(shared) as settings:
        bench = OrdersBench(settings, payment=PaymentSettings(decline_rate=1.0))
        today = datetime.now(UTC).date()
        samples = sample_subscriptions(4, 7, today, bootstrap.catalog(settings), "saas")
        lines = [sample.line for sample in samples]
        for number, line in enumerate(lines):
            line["external_refs"] = [{"channel": "marketplace", "source": "main", "ref": f"guid-{number}"}]
            line.update(seats=10, invoiced=None, contract=None, payment="invoice")
        lines[3].update(account_id="acc_saas_gateway", payment="gateway")
        folder = tmp_path_factory.mktemp("marketplace")
        file: Path = folder / "subscriptions.ndjson"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with bench.running(folder, *WORKERS):
            place = Marketplace(bench, lines)
            imported = place.tierline("import", "subscriptions", str(file))
            assert not imported.exit_code, imported.output
            yield place


def test_an_order_in_time_is_completed_or_rejected(marketplace: Marketplace) -> None:
    """Both answers name the limit, which is 8 s after the operation began."""
    line = marketplace.lines[0]
    good = marketplace.post(line, "ChangePlan", quantity=12)
    completed = marketplace.answered(good, "completed")
    poor = marketplace.post(line, "ChangeQuantity", quantity=0)
    rejected = marketplace.answered(poor, "rejected")

    assert ("good", "business-year") == marketplace.tier(line)[:2]
    assert 8_000 >= completed["decide_by"] - completed["received_at"] > 0
    assert ["SEATS_OUT_OF_RANGE"] == [reason["code"] for reason in rejected["reasons"]]


def test_an_order_that_the_marketplace_accepted_waits_for_a_person(marketplace: Marketplace) -> None:
    """Held with the real reason; rejecting it is refused, releasing it helps when the cause is gone."""
    line = marketplace.lines[1]
    marketplace.answered(marketplace.post(line, "Suspend", timedelta(hours=4)), "completed")
    late = marketplace.post(line, "ChangePlan", HOURS_AGO, quantity=15)
    held = marketplace.answered(late, "held")
    order_id = held["order_id"]

    assert ["MARKETPLACE_ALREADY_ACCEPTED", "SUBSCRIPTION_SUSPENDED"] == [r["code"] for r in held["reasons"]]
    assert ("suspended", "team-month", 0) == marketplace.tier(line)
    refused = marketplace.tierline("orders", "reject", order_id, "--reason", "not now")
    assert 1 == refused.exit_code
    assert "was not rejected: MARKETPLACE_ALREADY_ACCEPTED" in refused.output
    still = marketplace.tierline("orders", "release", order_id, "--reason", "try", "--json")
    assert (1, "ON_HOLD") == (still.exit_code, json.loads(still.output)["state"])

    marketplace.answered(marketplace.post(line, "Reinstate", timedelta(hours=2)), "completed")
    released = marketplace.tierline("orders", "release", order_id, "--reason", "reinstated", "--by", "ops-1")
    assert (0, True) == (
        released.exit_code,
        f"Order {order_id} was released and is COMPLETED." in released.output,
    )
    marketplace.answered(late, "completed")
    assert ("good", "business-year") == marketplace.tier(line)[:2]
    shown = marketplace.tierline("orders", "show", order_id)
    assert "by ops-1: reinstated" in shown.output


def test_an_order_whose_payment_is_declined_too_late_is_paid_when_it_is_released(
    marketplace: Marketplace,
) -> None:
    """Declined twice, it is held twice; the third card is good."""
    line = marketplace.lines[3]
    late = marketplace.post(line, "ChangePlan", HOURS_AGO, quantity=15)
    held = marketplace.answered(late, "held")
    order_id = held["order_id"]

    assert ["MARKETPLACE_ALREADY_ACCEPTED", "PAYMENT_DECLINED"] == [r["code"] for r in held["reasons"]]
    assert held["received_at"] > held["decide_by"]
    refused = marketplace.tierline("orders", "reject", order_id, "--reason", "no money")
    assert "was not rejected: MARKETPLACE_ALREADY_ACCEPTED" in refused.output
    marketplace.tierline("orders", "release", order_id, "--reason", "another card")
    wait_for(lambda: marketplace.state(order_id) == "ON_HOLD", "the second payment is declined")
    marketplace.bench.execute(
        "INSERT INTO sandbox.payment (payment_id, gateway_ref, amount_minor, currency, status)"
        " SELECT %s, 'sbx_good', amount_minor, currency, 'authorized' FROM sandbox.payment"
        " WHERE payment_id = %s",
        payment_id_of(order_id, 3),
        payment_id_of(order_id, 2),
    )
    marketplace.tierline("orders", "release", order_id, "--reason", "a good card")
    marketplace.answered(late, "completed")
    assert ("good", "business-year") == marketplace.tier(line)[:2]


def test_an_order_that_has_ended_cannot_be_reviewed(marketplace: Marketplace) -> None:
    """Pressing again says how it stands."""
    done = marketplace.answered(
        marketplace.post(marketplace.lines[0], "ChangeQuantity", quantity=13), "completed"
    )
    again = marketplace.tierline("orders", "release", done["order_id"], "--reason", "again")

    assert again.exception is not None
    assert "is COMPLETED, not on hold" in str(again.exception)


def test_the_end_takes_features_and_waiting_orders_with_it(marketplace: Marketplace) -> None:
    """An already accepted order fails; a reinstatement afterwards is refused."""
    line = marketplace.lines[2]
    late = marketplace.post(line, "ChangePlan", HOURS_AGO, quantity=1)
    marketplace.answered(late, "held")
    marketplace.answered(marketplace.post(line, "Unsubscribe"), "completed")
    marketplace.answered(late, "failed")
    refused = marketplace.answered(marketplace.post(line, "Reinstate"), "rejected")

    assert ["SUBSCRIPTION_ENDED"] == [reason["code"] for reason in refused["reasons"]]
    assert ("ended", 0) == marketplace.tier(line)[::2]


def test_the_check_finds_nothing(marketplace: Marketplace) -> None:
    """Every operation has one outcome, and every read model equals its fold."""
    report = check(target_of(marketplace.bench.settings), 60)

    assert [] == [f"{f.invariant}: {f.first}" for f in report.findings if not f.holds]
    assert marketplace.number == report.tallies["marketplace"].outcomes
