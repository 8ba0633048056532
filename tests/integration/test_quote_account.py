"""``tierline quote --account`` on real servers: it reads what the decider knows and leaves no trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.topics import COMMANDS, EVENTS
from tests.support.order_values import an_opening, an_order
from tests.support.orders_bench import OrdersBench
from tests.support.stack import environment_of
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

_TABLES = """
SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables
 WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""
_CONTENT = "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {} AS t"


def content(bench: OrdersBench) -> dict[str, object]:
    """Every row of every table, and the end of both topics."""
    tables = {name: bench.query(_CONTENT.format(name)) for (name,) in bench.query(_TABLES)}
    return tables | {topic: len(bench.records(topic)) for topic in (COMMANDS.name, EVENTS.name)}


def quoted(settings: Settings, *arguments: str) -> dict[str, object]:
    """What ``tierline quote --json`` prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tierline.cli", "quote", *arguments, "--json"],
        env=os.environ | environment_of(settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_a_quote_reads_the_state_in_force_and_writes_nothing(settings: Settings, tmp_path: Path) -> None:
    """After an order the quote starts from its plan and seats; no row and no record is there that was not."""
    bench = OrdersBench(settings)
    order = an_order(plan="business-month", seats=15, modules=("sso-pack",), modules_complete=True)
    bench.publish(an_opening(), order)
    with bench.running(tmp_path):
        bench.wait_until_read()
    bench.wait_until_published()
    before = content(bench)

    answer = quoted(settings, "--account", "acc_204", "--to", "business-year", "--seats", "20")

    assert before == content(bench)
    assert {"plan": "business-month", "seats": 15, "modules": ["sso-pack"]} == answer["current"]
    assert {"now", "at_renewal", "annual"} == set(answer["ways"])  # type: ignore[call-overload] # a dict
