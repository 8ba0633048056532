"""The screen of ``tierline status``."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tierline.cli.status_view import view
from tierline.local.lag import Lag
from tierline.local.overview import HeldKeys, Member, OpenBreakers, OpenLetters, Overview
from tierline.local.status import ServerStatus, StackStatus, WorkerStatus

SERVERS = (
    ServerStatus(
        "postgres",
        "PostgreSQL 18.6",
        "127.0.0.1:15432",
        answers=True,
        pid=812,
        memory_bytes=98_000_000,
        uptime_s=187,
    ),
    ServerStatus(
        "kafka",
        "Kafka 4.3.1",
        "127.0.0.1:19092",
        answers=True,
        pid=813,
        memory_bytes=412_000_000,
        uptime_s=187,
    ),
)
LOGS = "/d/logs"
WORKERS = (
    WorkerStatus(
        "normalizer", True, 901, 88_000_000, 185, 0, None, LOGS, state="serving", health="127.0.0.1:18091"
    ),
    WorkerStatus(
        "orders", True, 902, 71_000_000, 12, 2, None, LOGS, "dependency", "Kafka: refused", "127.0.0.1:18092"
    ),
)
LAG = (
    Lag("tierline-normalizer", "orders.portal.v1", 0, None, 0),
    Lag("tierline-orders", "oms.commands.v1", 1_203, 75, 4),
)


def drawn(found: Overview, width: int) -> list[str]:
    """The lines on a terminal of that width, without colours."""
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(view(found))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("width", [80, 120])
def test_everything_is_on_one_screen(width: int) -> None:
    """Numbers end at the same column, nothing is wrapped, and the next command stands in full."""
    expected = """\
server           state    address          pid  memory     up
PostgreSQL 18.6  answers  127.0.0.1:15432  812   98 MB  3 min
Kafka 4.3.1      answers  127.0.0.1:19092  813  412 MB  3 min

worker                 state        port  pid  memory     up  behind  oldest
normalizer             serving     18091  901   88 MB  3 min       0
orders (restarted 2x)  DEPENDENCY  18092  902   71 MB   12 s   1,203   1 min

waiting for  topic            records  in partitions  oldest
orders       oms.commands.v1    1,203              4   1 min

kept aside                                             look
breaker       partner: waiting in 2 partitions         tierline breaker list
held orders   portal: 40 of 12 keys, for 5 min         tierline holds list
                2 keys for a person, next try in 30 s
dead letters  1,019 contract, 2 bug                    tierline dlq groups

! orders waits. Kafka: refused
    tierline doctor
! partner: the breaker of 2 partitions is waiting: too many dead in a row
    tierline breaker list
! 1,203 records of oms.commands.v1 wait for orders
    tierline status --watch

data in /d   logs in /d/logs
Not everything is well: see docs/runbook.md"""
    letters = (OpenLetters("contract", 1_019, 3), OpenLetters("bug", 2, 1))
    stack = StackStatus("/d", "ready", 9, "", SERVERS, WORKERS)
    held = HeldKeys("portal", 12, 40, 2, 310, 30)
    breaker = OpenBreakers("partner", 2, "waiting", ("too many dead in a row",))
    found = Overview(stack, LAG, dead_letters=letters, holds=(held,), breakers=(breaker,))

    assert expected.splitlines() == drawn(found, width)


def test_on_servers_of_others_the_members_of_the_groups_are_shown() -> None:
    """Kafka says who works where; a worker that nobody runs shows as none, with its command."""
    members = (Member("tierline-normalizer", "10.0.0.7", 3), Member("tierline-normalizer", "10.0.0.8", 1))
    server = ServerStatus("kafka", "kafka (existing)", "kafka.example:9092", answers=True)
    lines = drawn(Overview(StackStatus("/d", "elsewhere", None, "", (server,), ()), LAG, members), 80)

    assert "normalizer          2           4  10.0.0.7 10.0.0.8       0" in lines
    assert "orders              0           0                      1,203   1 min" in lines
    assert "    tierline run orders" in lines


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("never started", "Nothing runs in /d.   Start: tierline up --detach"),
        ("killed", "The supervisor of /d was killed.   Clean up and start again: tierline up"),
        ("starting", "The stack in /d is starting."),
    ],
)
def test_without_servers_the_next_command_is_all_there_is(phase: str, said: str) -> None:
    """No empty tables."""
    assert [said] == drawn(Overview(StackStatus("/d", phase, None, "", (), ())), 80)  # type: ignore[arg-type]
