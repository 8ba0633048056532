"""docs/dead-letters.md and the code say the same about headers, classes, metrics and the table."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from deadletter.classify import CLASSES
from deadletter.envelope import Stage, dead_letter_message, dead_letter_without_value
from deadletter.triage import OpenGauges
from tests.support.dead_letters import letter
from tierline.cli.dlq import app
from tierline.kit.clock import FakeClock
from tierline.kit.telemetry import Metrics

PAGE = (Path(__file__).parents[2] / "docs" / "dead-letters.md").read_text(encoding="utf-8")


def first_cells(heading: str) -> list[str]:
    """The first cells of the body of the table under ``heading``, without the ticks."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([^`{]+)", table, re.MULTILINE)


def test_every_header_is_on_the_page_and_no_other() -> None:
    """In the order in which they are written."""
    full = letter(
        1, exception="KeyError", frame="streams.pipeline:read_intents", schema_id=7, command_id="c-1"
    )
    full = replace(full, record=replace(full.record, headers=()), traceparent="00-a-b-01")
    written = [n for n, _ in (*dead_letter_message(full).headers, *dead_letter_without_value(full).headers)]

    assert [n for n in dict.fromkeys(written) if n != "traceparent"] == first_cells("header")[:-1]
    assert "traceparent" in written
    assert "traceparent" == first_cells("header")[-1]


def test_every_class_is_on_the_page_with_its_texts() -> None:
    """Owner, again and what to do are those of the code."""
    rows = [
        f"| `{name}` | {text.owner} | {'yes' if text.retryable else 'no'} | {text.operator} |"
        for name, text in CLASSES.items()
    ]

    assert [] == [row for row in rows if row not in PAGE]
    assert list(CLASSES) == first_cells("class")


def test_every_stage_is_on_the_page() -> None:
    """In the row of its header."""
    row = re.search(r"`oms.dlq.stage` \|.*: (.*) \|", PAGE)

    assert row is not None
    assert [f"`{stage}`" for stage in Stage] == row[1].split(", ")


def test_every_metric_of_dead_letters_is_on_the_page() -> None:
    """By the name that Prometheus sees."""
    registry = CollectorRegistry()
    OpenGauges(lambda: None, FakeClock(), Metrics(registry))  # type: ignore[arg-type, return-value] # never asked
    names = {metric.name for metric in registry.collect() if "dlq" in metric.name}

    assert {"oms_dead_letters_total", *names} == set(first_cells("metric"))


def test_every_command_is_on_the_page() -> None:
    """Each subcommand of ``tierline dlq``, and none that does not exist."""
    told = {re.split(r"[ `]", cell.removeprefix("tierline dlq "))[0] for cell in first_cells("command")}

    assert {command.name for command in app.registered_commands} == told
