"""docs/metrics.md and the code say the same about every metric."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deadletter.triage import OpenGauges
from projections.runner import Projector
from streams.normalizing.intake_metrics import IntakeMetrics
from tierline.kit.clock import FakeClock
from tierline.kit.database import Connection
from tierline.kit.telemetry import Metrics

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(oms_\w+)` \| (\w+) \| (.*?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
NAME_IN_CODE = re.compile(r'"(oms_\w+)"')

Declared = tuple[str, tuple[str, ...]]
"""Type and labels."""


@pytest.fixture(scope="module")
def declared() -> dict[str, Declared]:
    """Every metric that any worker tells."""
    metrics = Metrics()
    IntakeMetrics(metrics)
    Projector(lambda _: {}, metrics, ())
    OpenGauges(_nothing, FakeClock(), metrics)
    return dict(_collected(metrics))


def _nothing() -> Connection:
    raise AssertionError("nothing is measured here")


def _collected(metrics: Metrics) -> Iterator[tuple[str, Declared]]:
    for collector in metrics.registry._collector_to_names:
        name, kind = collector._name, collector._type  # type: ignore[attr-defined]
        labels = tuple(collector._labelnames)  # type: ignore[attr-defined]
        yield f"{name}_total" if kind == "counter" else name, (kind, labels)


def test_every_metric_has_its_row_with_its_type_and_labels(declared: dict[str, Declared]) -> None:
    """Nothing is told without being explained, and nothing is explained that is not told."""
    documented = {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels, *_ in ROW.findall(PAGE)
    }

    assert declared == documented


def test_no_metric_is_declared_where_this_test_does_not_look(declared: dict[str, Declared]) -> None:
    """Every name that the code spells is one of those compared."""
    spelt = {
        name
        for room in ("tierline", "streams", "projections", "deadletter", "schemas")
        for file in (ROOT / room).rglob("*.py")
        for name in NAME_IN_CODE.findall(file.read_text(encoding="utf-8"))
    }

    assert {name.removesuffix("_total") for name in declared} == spelt


def test_rows_are_in_alphabetical_order() -> None:
    """So that one finds them."""
    names = [row[0] for row in ROW.findall(PAGE)]
    assert sorted(names) == names


def test_every_link_into_the_runbook_has_its_section() -> None:
    """What to do is one click away, also in the middle of the night."""
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    anchors = {h.strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", runbook, re.MULTILINE)}
    linked = re.findall(r"runbook\.md#([\w-]+)", PAGE)

    assert linked
    assert set() == set(linked) - anchors
