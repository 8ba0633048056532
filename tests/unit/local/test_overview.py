"""What ``tierline status`` finds wrong, and which command it names."""

from __future__ import annotations

import pytest

from schemas.topics import GROUPS, PAYMENTS
from tierline.local.lag import Lag
from tierline.local.overview import LONG_S, Finding, Member, OpenBreakers, Overview, findings
from tierline.local.status import ServerStatus, StackStatus, WorkerStatus

KAFKA = ServerStatus("kafka", "Kafka", "127.0.0.1:19092", answers=True, pid=1, log="/d/logs/kafka.log")
ORDERS = WorkerStatus("orders", True, 2, 70_000_000, 60, 0, None, "/d/logs/orders.log", "serving")


def overview(
    server: ServerStatus = KAFKA, workers: tuple[WorkerStatus, ...] = (ORDERS,), **facts: object
) -> Overview:
    """A stack of one server and one worker."""
    stack = StackStatus("/d", "ready" if workers else "elsewhere", 9, "", (server,), workers)
    return Overview(stack, **facts)  # type: ignore[arg-type]


def worker(state: str, detail: str = "", exit_code: int | None = None) -> WorkerStatus:
    """The worker ``orders`` in that state."""
    return WorkerStatus(
        "orders", exit_code is None, 2, None, None, 0, exit_code, "/d/logs/orders.log", state, detail
    )


def test_a_quiet_stack_has_nothing_wrong() -> None:
    """And the exit code will say so."""
    found = overview(lag=(Lag("tierline-orders", "oms.commands.v1", 3, 1, 1),))
    assert ([], True) == (findings(found), found.is_well)


@pytest.mark.parametrize(
    ("found", "text", "command"),
    [
        (
            overview(
                ServerStatus("kafka", "Kafka", "127.0.0.1:19092", answers=False, log="/d/logs/kafka.log")
            ),
            "Kafka at 127.0.0.1:19092 does not answer",
            "tail -n 20 /d/logs/kafka.log",
        ),
        (
            overview(ServerStatus("kafka", "kafka (existing)", "kafka.example:9092", answers=False)),
            "kafka (existing) at kafka.example:9092 does not answer",
            "tierline doctor",
        ),
        (
            overview(workers=(worker("ended", exit_code=70),)),
            "orders ended (exit code 70)",
            "tail -n 20 /d/logs/orders.log",
        ),
        (
            overview(workers=(worker("dependency", "Kafka: refused"),)),
            "orders waits. Kafka: refused",
            "tierline doctor",
        ),
        (
            overview(workers=(worker("stalled", "oms.commands.v1[3] is stalled: ValueError()"),)),
            "orders stands still. oms.commands.v1[3] is stalled: ValueError()",
            "grep partition_ /d/logs/orders.log",
        ),
        (
            overview(workers=(worker("starting", "still to do: topics"),)),
            "orders is starting. still to do: topics",
            "tail -n 20 /d/logs/orders.log",
        ),
        (
            overview(lag=(Lag("tierline-orders", "oms.commands.v1", 1_200, LONG_S, 3),)),
            "1,200 records of oms.commands.v1 wait for orders",
            "tierline status --watch",
        ),
        (
            overview(unknown="PostgreSQL: connection refused"),
            "how far the workers are behind is not known. PostgreSQL: connection refused",
            "tierline doctor",
        ),
    ],
)
def test_whatever_is_wrong_is_a_sentence_and_a_command(found: Overview, text: str, command: str) -> None:
    """Never one without the other."""
    assert ([Finding(text, command)], False) == (findings(found), found.is_well)


def test_a_breaker_on_its_way_back_is_not_wrong() -> None:
    """It closes by itself; an open one is told once, not for its worker too."""
    back = OpenBreakers("portal", 1, "half_open", ("too large a share dead",))
    still_open = OpenBreakers("portal", 2, "open", ("too large a share dead",))
    said = "portal: the breaker of 2 partitions is open: too large a share dead"

    assert [] == findings(overview(breakers=(back,)))
    assert [said] == [
        f.text for f in findings(overview(workers=(worker("breaker_open"),), breakers=(still_open,)))
    ]


def test_on_servers_of_others_a_worker_that_nobody_runs_is_missed() -> None:
    """Kafka knows who takes part; a group without members works off nothing."""
    members = tuple(Member(group, "10.0.0.7", 4) for group in GROUPS if group != PAYMENTS)
    found = overview(workers=(), members=members)

    assert [Finding("no process takes part as payments", "tierline run payments")] == findings(found)


def test_a_worker_that_is_ending_on_purpose_is_not_wrong() -> None:
    """Somebody asked for it."""
    assert [] == findings(overview(workers=(worker("draining", "asked to end"),)))
