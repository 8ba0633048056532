"""Decider, payments and replies together: money moves once per order, every sender hears how it ended."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from schemas.topics import EVENTS, PAYMENTS, REPLIES, replies_topic
from tests.support.order_values import MINUTE, NOON, an_opening, an_order, from_elsewhere, payment_of
from tests.support.orders_bench import OrdersBench
from tests.support.waiting import wait_for
from tierline.domain.commands import Command
from tierline.kit.crash_points import CRASH_POINTS
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

ENDED = {"completed", "rejected", "failed", "superseded"}


def opening(number: int) -> Command:
    """The opening of ``sub_<number>`` of an account that pays through the gateway."""
    return an_opening(
        account_id=f"acc_{number}",
        subscription_id=f"sub_{number}",
        offset=number,
        payment="gateway",
        external_refs=(),
    )


def order(number: int, reference: str = "PO-1", offset: int = 0, **changed: object) -> Command:
    """An upgrade order of ``sub_<number>``."""
    return an_order(
        f"{reference}-{number}",
        account_id=f"acc_{number}",
        subscription_id=f"sub_{number}",
        offset=offset + number,
        **changed,  # type: ignore[arg-type]
    )


def settle(bench: OrdersBench, orders: int) -> None:
    """Until that many orders have ended and everything about them was read."""
    wait_for(
        lambda: sum(n for outcome, n in bench.outcomes().items() if outcome in ENDED) == orders,
        f"{orders} orders to end",
        60,
    )
    bench.wait_until_published()
    bench.wait_until_read(PAYMENTS, EVENTS.name)
    bench.wait_until_read()


def payments(bench: OrdersBench) -> dict[str, tuple[str, int]]:
    """Status and number of captures of every payment in the sandbox's books."""
    rows = bench.query("SELECT payment_id::text, status, captures FROM sandbox.payment")
    return {payment_id: (status, captures) for payment_id, status, captures in rows}


def replies(bench: OrdersBench) -> dict[str, dict[str, object]]:
    """The portal's replies by id; a repeat must say the same."""
    found: dict[str, dict[str, object]] = {}
    for record in bench.records(replies_topic("portal").name):
        reply = json.loads(record.value or b"")
        told = {name: value for name, value in reply.items() if name != "answered_at"}
        assert found.setdefault(reply["reply_id"], told) == told
    return found


def test_orders_are_authorized_captured_and_completed_or_declined(settings: Settings, tmp_path: Path) -> None:
    """Paid orders complete with one capture, declined ones fail and hold no money."""
    bench = OrdersBench(settings)
    declined = range(4)
    numbers = range(20)
    bench.publish(*map(opening, numbers))
    orders = [
        order(n, payment_method="pm_card_declined" if n in declined else "pm_card_visa") for n in numbers
    ]
    with bench.running(tmp_path, "orders", "payments", "replies"):
        bench.publish(*orders, from_elsewhere(orders[10]))
        settle(bench, 20)
        bench.wait_until_read(REPLIES, EVENTS.name)
        bench.assert_in_step()

    assert 16 == bench.outcomes()["completed"]
    assert {
        payment_of(o): ("declined", 0) if n in declined else ("captured", 1) for n, o in enumerate(orders)
    } == (payments(bench))
    told = Counter((reply["outcome"], reply["duplicate"]) for reply in replies(bench).values())
    assert {("in_progress", False): 20, ("completed", False): 16, ("failed", False): 4} == {
        key: count for key, count in told.items() if not key[1]
    }
    assert 1 == sum(count for (_, duplicate), count in told.items() if duplicate)


def test_an_order_superseded_while_it_waits_gives_its_money_back(settings: Settings, tmp_path: Path) -> None:
    """The late authorization of the old order is voided, never applied; the new one is paid once."""
    bench = OrdersBench(settings)
    with bench.running(tmp_path, "orders"):
        bench.publish(opening(1), order(1), order(1, "PO-2", 10, received_at=NOON + MINUTE, seats=20))
        bench.wait_until_read()
        with bench.running(tmp_path / "paying", "payments"):
            settle(bench, 2)
            wait_for(lambda: payments(bench)[payment_of(order(1))][0] == "voided", "the void")

    assert {"opened": 1, "superseded": 1, "completed": 1} == {
        k: v for k, v in bench.outcomes().items() if k != "recorded"
    }
    assert ("captured", 1) == payments(bench)[payment_of(order(1, "PO-2"))]


def test_a_crash_at_any_step_pays_once_and_answers_all(settings: Settings, tmp_path: Path) -> None:
    """Payments and replies killed at each of their places: one capture per order, no answer missing."""
    bench = OrdersBench(settings)
    points = [
        "worker.after_commit",
        *sorted(p for p in CRASH_POINTS if p.startswith(("payments.", "replies."))),
    ]
    with bench.running(tmp_path, "orders"):
        orders: list[Command] = []
        for n, point in enumerate(points):
            bench.publish(opening(n), order(n))
            orders.append(order(n))
            for name in ("payments", "replies"):
                if not point.startswith((name, "worker.")):
                    continue
                with bench.unkept(tmp_path, name) as worker:
                    worker.start(environment={"TIERLINE_CRASH_POINT": point})
                    wait_for(lambda worker=worker: not worker.is_running(), f"the crash of {name} at {point}")  # type: ignore[misc]
                    assert -signal.SIGKILL == worker.exit_code
        with bench.running(tmp_path / "clean", "payments", "replies"):
            settle(bench, len(points))
            bench.wait_until_read(REPLIES, EVENTS.name)
        bench.assert_in_step()

    assert dict.fromkeys(map(payment_of, orders), ("captured", 1)) == payments(bench)
    told = Counter(reply["outcome"] for reply in replies(bench).values())
    assert {"in_progress": len(points), "completed": len(points)} == told
