"""Prometheus rules and Grafana boards: sound, about metrics that exist, and explained in the runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "dev" / "prometheus" / "rules.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
BOARDS = sorted((ROOT / "dev" / "grafana" / "dashboards").glob("*.json"))
PROMTOOL = shutil.which("promtool")
NO_PROMTOOL = "promtool is not here: install it (Debian: apt-get install prometheus) and run this again"
METRIC = re.compile(r"\boms_[a-z_]+")


def rules() -> list[dict[str, Any]]:
    """Every rule of every group."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def known_metrics() -> set[str]:
    """Every name of docs/metrics.md, which another test holds against the code, with a histogram's parts."""
    named = re.findall(r"^\| `(oms_[a-z_]+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    return {name + part for name in named for part in ("", "_bucket", "_count", "_sum")}


def anchors() -> set[str]:
    """The anchors of the runbook's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
        ("check", "config", "prometheus.yml"),
    ],
    ids=" ".join,
)
@pytest.mark.skipif(PROMTOOL is None, reason=NO_PROMTOOL)
def test_promtool_agrees(words: tuple[str, ...]) -> None:
    """The rules parse, and every alert fires when it should and is silent when it should be."""
    ran = subprocess.run(
        [str(PROMTOOL), *words], cwd=RULES.parent, capture_output=True, text=True, check=False
    )

    assert (0, "") == (ran.returncode, "" if ran.returncode == 0 else ran.stdout + ran.stderr)


@pytest.mark.parametrize("rule", [r for r in rules() if "alert" in r], ids=lambda rule: str(rule["alert"]))
def test_every_alert_links_a_section_of_the_runbook(rule: dict[str, Any]) -> None:
    """Whoever is woken up finds out what to do."""
    page, _, anchor = rule["annotations"]["runbook"].partition("#")

    assert "docs/runbook.md" == page
    assert anchor in anchors()


def test_rules_and_boards_ask_for_metrics_that_exist() -> None:
    """A renamed metric would silence an alert without anybody noticing."""
    asked = {name for rule in rules() for name in METRIC.findall(rule["expr"])}
    for board in BOARDS:
        for panel in json.loads(board.read_text())["panels"]:
            asked |= {name for target in panel["targets"] for name in METRIC.findall(target["expr"])}

    assert set() == asked - known_metrics()


def test_every_alert_is_played_in_a_test() -> None:
    """An alert that was never seen to fire is a hope."""
    played = yaml.safe_load((RULES.parent / "rules_test.yml").read_text())["tests"]
    fired = {
        check["alertname"] for test in played for check in test["alert_rule_test"] if check["exp_alerts"]
    }

    assert {rule["alert"] for rule in rules() if "alert" in rule} == fired


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_a_board_can_be_loaded(board: Path) -> None:
    """Its own uid, panels that do not overlap, the data source that is provisioned."""
    content = json.loads(board.read_text())
    taken = [
        (x, y)
        for panel in content["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert content["uid"] == f"tierline-{board.stem}"
    assert len(taken) == len(set(taken))
    assert {"prometheus"} == {panel["datasource"]["uid"] for panel in content["panels"]}
