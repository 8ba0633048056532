"""Breakers on real servers: kept over kill -9, obeyed, seen, and closed while one sender errs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import NORMALIZER
from tests.support.broken_deploy import quick_breakers
from tests.support.normalizer_bench import NormalizerBench
from tests.support.stack import environment_of
from tests.support.waiting import wait_for
from tests.support.worker_health import health
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.local.workers import Worker

pytestmark = pytest.mark.stack

PORTAL = "orders.portal.v1"
LONG_MS = 600_000
WAIT_S = 90


def bad(number: int, source: str = "main", partition: int = 0) -> Message:
    """A record of its own key that cannot be read."""
    headers = (("source", source.encode()),)
    return Message(PORTAL, b"bad-%d" % number, b'{"broken', partition, headers)


def good(reference: str, source: str = "main", partition: int = 0) -> Message:
    """A sound order."""
    order = {"reference": reference, "subscription_id": "sub_1", "target": {"seats": 20}}
    return Message(PORTAL, None, json.dumps(order).encode(), partition, (("source", source.encode()),))


def breaker(bench: NormalizerBench, *arguments: str) -> Any:
    """What ``tierline breaker … --json`` says."""
    asked = subprocess.run(
        [sys.executable, "-m", "tierline.cli", "breaker", *arguments, "--json"],
        env={**os.environ, **environment_of(bench.settings)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)


def stands_at(bench: NormalizerBench, offset: int) -> bool:
    """Whether the record at ``offset`` of partition 0 stands."""
    return [(offset,)] == bench.fetch("SELECT head_offset FROM deadletter.breaker WHERE head_offset > 0")


def says_that_it_is_open(worker: Worker, cause: str) -> bool:
    """Whether the readiness of ``worker`` names the open breaker of partition 0, and why it opened."""
    told = health(worker)
    reason, detail = told.get("reason"), told.get("detail")
    return (reason, detail) == ("breaker_open", f"{PORTAL}[0] keeps dead letters back: {cause}")


def buried(bench: NormalizerBench) -> int:
    """How many dead letters there are."""
    return len(bench.dead("portal"))


def test_an_open_breaker_survives_kill_9_and_does_what_people_ask(settings: Settings, tmp_path: Path) -> None:
    """Nineteen dead letters, however often the worker is killed; then so many more as somebody lets pass.

    Its readiness says so all the time.
    """
    policy = quick_breakers(tmp_path, probe_first_ms=LONG_MS, probe_limit_ms=LONG_MS)
    bench = NormalizerBench(settings, breaker_policy=policy)
    bench.know("1")
    bench.publish([*(bad(number) for number in range(60)), good("r-behind"), good("r-beside", partition=1)])

    with bench.running(tmp_path) as worker:
        wait_for(lambda: stands_at(bench, 19), "the twentieth record stands", WAIT_S)
        wait_for(lambda: (PORTAL, 1, 0) in bench.accepted(), "the other partition flows", WAIT_S)
        wait_for(lambda: says_that_it_is_open(worker, "consecutive"), "readiness names the breaker", WAIT_S)
        before = bench.epoch(PORTAL, 0)
        worker.restart()
        wait_for(lambda: bench.epoch(PORTAL, 0) > before, "another process has the partition", WAIT_S)
        wait_for(lambda: buried(bench) >= 19, "what was called dead is written", WAIT_S)
        wait_for(lambda: says_that_it_is_open(worker, "consecutive"), "readiness after the kill", WAIT_S)
        [view] = breaker(bench, "list")
        assert ("open", "consecutive", 19, "MALFORMED_JSON") == (
            view["state"],
            view["cause"],
            view["consecutive"],
            view["head_code"],
        )

        [passed] = breaker(bench, "pass", "5", "--reason", "INC-7 looked at five")
        assert ("done", 5) == (passed["outcome"], passed["count"])
        wait_for(lambda: stands_at(bench, 24), "five more died, the next stands", WAIT_S)
        wait_for(lambda: says_that_it_is_open(worker, "consecutive"), "readiness after five passed", WAIT_S)
        [closed] = breaker(bench, "close", "--channel", "portal", "--reason", "INC-7 the sender errs")
        assert "done" == closed["outcome"]
        wait_for(lambda: stands_at(bench, 43), "nineteen more died, the next stands", WAIT_S)
        breaker(bench, "pass", "100", "--partition", "0", "--reason", "INC-7 let them go")
        bench.wait_until_all_ended()

    ids = {letter.headers["oms.dlq.id"] for letter in bench.dead("portal")}
    assert (60, 61) == (len(ids), len(bench.accepted()) + 59)
    rows = bench.fetch("SELECT action, count, reason, outcome FROM deadletter.breaker_action ORDER BY 1, 2")
    assert [
        ("close", 0, "INC-7 the sender errs", "done"),
        ("pass", 5, "INC-7 looked at five", "done"),
        ("pass", 100, "INC-7 let them go", "done"),
    ] == rows


def test_thirty_bad_records_of_one_sender_among_good_ones_of_others_never_open_it(
    settings: Settings, tmp_path: Path
) -> None:
    """They are dead letters at once, and no good record waits for a probe."""
    bench = NormalizerBench(settings)
    bench.know("1")
    bench.publish([good("first", "b"), *(bad(number, "a") for number in range(30))])
    bench.publish([good(f"r-{number}", "bc"[number % 2]) for number in range(40)])

    with bench.running(tmp_path):
        bench.wait_until_all_ended()

    assert (30, 41) == (buried(bench), len(bench.accepted()))
    assert [(0,)] == bench.fetch(
        "SELECT max(episode) FROM deadletter.breaker WHERE consumer = %s", NORMALIZER
    )
