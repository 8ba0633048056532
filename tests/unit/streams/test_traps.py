"""``schemas/examples/traps.md`` is executed: each trap, channel by channel, ends as the table says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from streams.pipeline import CHANNELS, read_intents
from streams.reading.intent import PlanNames, Reading
from streams.reading.strict_csv import quoted
from tests.support.channel_examples import ARRIVAL_MS, FOLDER, PLANS, examples
from tierline.kit.records import Record

PAGE = (FOLDER / "traps.md").read_text(encoding="utf-8")
CELL = re.compile(r"\| (?:`(.*?)`|(.*?)) (?=\|)")
EXAMPLES = {(example.channel, example.name): example for example in examples()}


def table(title: str) -> list[list[str]]:
    """The rows of the table under a heading, the line with its columns first."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [[code or plain for code, plain in CELL.findall(row)] for row in rows]


RECORDS = table("Records")[1:]
[CHANNEL_ROW, *NUMBERS] = table("Numbers as people write them")
SEATS = [
    (channel, row[0], expected)
    for row in NUMBERS
    for channel, expected in zip(CHANNEL_ROW[1:], row[1:], strict=True)
]


def portal(seats: str) -> bytes:
    return json.dumps({"reference": "r-1", "subscription_id": "sub_88", "target": {"seats": seats}}).encode()


def partner(seats: str) -> bytes:
    item = {"id": "1", "action": "modify", "quantity": seats, "product": {"id": "PROD-991"}}
    return json.dumps({"productOrderItem": [item]}).encode()


def marketplace(seats: str) -> bytes:
    order = json.loads(EXAMPLES["marketplace", "change-quantity"].value)
    return json.dumps(order | {"quantity": seats}).encode()


def sales_desk(seats: str) -> bytes:
    header, row = EXAMPLES["sales_desk", "upgrade"].value.splitlines()
    return b"\r\n".join([header, row.replace(b",15,", b"," + quoted(seats.encode()) + b",")])


ORDERS: Mapping[str, Callable[[str], bytes]] = {
    order.__name__: order for order in (portal, partner, marketplace, sales_desk)
}


def outcome_of_seats(channel: str, seats: str) -> str:
    """The number that is read, or the code of the refusal."""
    row = CHANNELS[channel]
    record = Record(row.topic.name, 0, 1, ARRIVAL_MS, None, ORDERS[channel](seats))
    reading = read_intents(row, record, PlanNames(PLANS, channel))
    return str(reading.intents[0].seats) if isinstance(reading, Reading) else reading.dead.code


def outcome_of(expected: Mapping[str, Any]) -> str:
    """A golden result in the words of the table."""
    ended = expected if "dead" in expected else expected["intents"][0]
    if "dead" not in ended:
        return "order"
    dead = ended["dead"]
    return f"{dead['code']} at {dead['field']}" if dead["field"] else str(dead["code"])


@pytest.mark.parametrize(("trap", "channel", "name", "expected"), RECORDS)
def test_a_trap_ends_as_the_table_says(trap: str, channel: str, name: str, expected: str) -> None:
    """The example shows it, and its reviewed result has that code and field."""
    assert expected == outcome_of(EXAMPLES[channel, name].expected), trap


@pytest.mark.parametrize(("channel", "written", "expected"), SEATS)
def test_a_number_is_read_as_the_table_says(channel: str, written: str, expected: str) -> None:
    """No reader guesses what a separator, a sign or a foreign digit means."""
    assert expected == outcome_of_seats(channel, written)
