"""A canary of personal data in payloads never shows in headers, logs, metrics or masked views."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, NoReturn

import pytest
import structlog
from prometheus_client import generate_latest

from deadletter.envelope import DeadLetter, Stage, dead_letter_message, dead_letter_without_value
from deadletter.masked_command import CommandMask
from deadletter.open_records import open_record_of
from schemas.avsc import COMMANDS_SUBJECT, load_schema, text_of, versions
from schemas.codec import Codec, encode_by_reference
from schemas.topics import NORMALIZER
from streams.deciding.burial import letter_of as letter_of_command
from streams.deciding.command_reading import CommandReader, Poison
from streams.normalizing.endings import Fault, fault_of, fault_of_bug
from streams.pipeline import CHANNELS, read_intents
from streams.reading.intent import PlanNames, Unreadable
from streams.touched_account import TouchedAccount
from tests.support.avro_records import COMMAND, ORDER
from tests.support.channel_examples import PLANS, Example, examples
from tests.support.dead_letters import GROUP, record_of
from tests.support.intake_world import COMMANDS, IntakeWorld, in_intake, portal_order
from tierline.cli.dlq_view import Story, story_lines, story_record
from tierline.domain.commands import Origin, RejectOrder
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.kit.records import Record

CANARY = "Zoë Canary <zoe.canary@example.org> +49 170 5551234"
TRACES = ("Zoë", "Canary", "zoe.canary", "Zo\\u00eb", "5551234")
# One example for each way in which a channel's payload is read or refused.
CASES = {
    (example.channel, str(example.expected.get("dead", {}).get("code"))): example
    for example in examples()
    if len(example.value) < 10_000
}
MOST_PLACES = 8
TOUCHED = TouchedAccount(PLANS)
SCHEMA_ID = versions(COMMANDS_SUBJECT)[-1]
COMMAND_MASK = CommandMask({SCHEMA_ID: text_of(COMMANDS_SUBJECT, SCHEMA_ID)})


def spoiled(value: bytes) -> Iterator[bytes]:
    """The payload with the canary in one place after the other, and damaged behind it."""
    try:
        content = json.loads(value)
    except ValueError:
        content = None
    if isinstance(content, dict):
        for place in islice(_places(content), MOST_PLACES):
            text = json.dumps(_with(content, place, CANARY), ensure_ascii=False)
            yield text.encode(errors="replace")
        everywhere = json.dumps({**content, CANARY: {"note": CANARY}, "note": [CANARY]}).encode()
        yield from (everywhere, everywhere[:-1], everywhere + CANARY.encode(), everywhere.replace(b'"', b"'"))
        yield everywhere[:-5] + b"\xff" + CANARY.encode("latin-1")
    for part in range(0, len(value) + 1, max(1, len(value) // 3)):
        yield value[:part] + CANARY.encode() + value[part:]


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, inner in entries:
        yield (*path, name)
        yield from _places(inner, (*path, name))


def _with(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[path[0]] = _with(node[path[0]], path[1:], value)
    return copy


def faults_of(example: Example, value: bytes) -> Iterator[tuple[Record, Fault]]:
    """How the payload dies: as it is read, or by a bug that quotes it, where it can be read."""
    channel = CHANNELS[example.channel]
    record = Record(channel.topic.name, 1, 5, 1_795_435_200_000, None, value)
    reading = read_intents(channel, record, PlanNames(PLANS, channel.name))
    if isinstance(reading, Unreadable):
        yield record, fault_of(reading.dead)
    else:
        yield record, fault_of_bug(ValueError(value), Stage.ENCODE)


def letter_of(record: Record, fault: Fault, channel: str) -> DeadLetter:
    return DeadLetter(
        group=NORMALIZER, record=record, origin=Origin(record.topic, record.partition, record.offset),
        intent_index=0, intent_count=1, channel=channel, dead=fault.dead, stage=fault.stage, app_version="1",
        failed_at=1, exception=fault.exception, frame=fault.frame, received_at=record.timestamp_ms,
    )  # fmt: skip


def row_of(letter: DeadLetter) -> dict[str, Any]:
    """The row of the store, as it is read again."""
    kept = open_record_of(record_of(dead_letter_message(letter)))
    row = {name: getattr(kept, name) for name in kept.__slots__}
    closing = dict.fromkeys(("closed_as", "closed_by", "closed_at", "reason"))
    closing |= {"parked_hold_id": None, "held_behind": 0}
    return {**row, **closing, "class": row.pop("class_"), "account": TOUCHED(letter.record, 0)}


def views_of(row: dict[str, Any]) -> str:
    """Everything that ``tierline dlq`` shows of a cause without being asked for the payload."""
    named = [{"channel": "", "source": "", "account": row["account"], "records": 1}] if row["account"] else []
    story = Story(row, GROUP, named, [row], COMMAND_MASK, full=False)
    screen = "\n".join(line.plain for line in story_lines(story))
    return screen + json.dumps(story_record(story), default=str, ensure_ascii=False)


@pytest.mark.parametrize("example", CASES.values(), ids=str)
def test_no_header_and_no_masked_view_shows_the_canary(example: Example) -> None:
    """Wherever it stands in whatever payload of whatever channel, and however that dies."""
    met = 0
    for value in spoiled(example.value):
        for record, fault in faults_of(example, value):
            letter = letter_of(record, fault, example.channel)
            headers = [
                text.decode()
                for message in (dead_letter_message(letter), dead_letter_without_value(letter))
                for _, text in message.headers
            ]
            row = row_of(letter)
            seen = "\n".join((*headers, views_of(row)))
            assert [] == [trace for trace in TRACES if trace in seen], value
            met += 1

    assert met


def spoiled_commands() -> Iterator[bytes]:
    """A command with the canary in each text that came from a payload, whole and damaged; and the canary."""
    texts = ("plan", "effective", "payment_method", "requested_by")
    asked: list[dict[str, Any]] = [{name: CANARY} for name in texts]
    asked += [{name: (CANARY,)} for name in ("modules", "unavailable")]
    names = ("account_id", "subscription_id", "source_ref", "actor", "purchase_order_ref")
    said: list[dict[str, Any]] = [{name: CANARY} for name in names]
    said += [{"body": replace(ORDER, **changed)} for changed in asked]
    said += [{"type": "RejectOrder", "body": RejectOrder(CANARY, CANARY)}]
    for changed in said:
        value = encode_by_reference(replace(COMMAND, **changed), SCHEMA_ID)
        yield from (value, value[:-1], value + CANARY.encode(), b"\0\0\0\0\x63" + value[5:], value[5:])
    yield CANARY.encode()


@pytest.mark.parametrize("key", [None, b"acc_204", CANARY.encode()])
def test_no_header_and_no_masked_view_of_a_dead_command_shows_the_canary(key: bytes | None) -> None:
    """Whether it can be read or not: what was a field of a payload is no more public as one of a command."""
    reader = CommandReader(Codec(SCHEMA_ID, SCHEMA_ID, lambda _: load_schema(COMMANDS_SUBJECT)), 4)
    read = 0
    for value in spoiled_commands():
        record = Record(COMMANDS, 1, 5, 1_795_435_200_000, key, value)
        found = reader.read(record)
        unknown = Dead(DeadLetterClass.UNKNOWN_ACCOUNT, "UNKNOWN_ACCOUNT", "account_id", "not opened")
        letter = letter_of_command(
            found if isinstance(found, Poison) else Poison(record, unknown, found.command), "1", 1
        )
        headers = [text.decode() for _, text in dead_letter_message(letter).headers]
        views = views_of(row_of(letter))
        assert [] == [trace for trace in TRACES if trace in "\n".join((*headers, views))], value
        read += '"intent_index"' in views

    assert read


def test_no_log_and_no_metric_shows_the_canary() -> None:
    """Not even of a bug whose exception quotes the payload, nor of a payload that cannot be read."""

    async def story(world: IntakeWorld) -> None:
        def quote(*_: object) -> NoReturn:
            raise ValueError(CANARY)

        world.command = quote
        await world.take(
            world.record(portal_order("r-1", "sub_1", note=CANARY)),
            world.record(json.dumps({"reference": CANARY, CANARY: CANARY}).encode()),
            world.record(f'{{"reference": "{CANARY}'.encode()),
            world.record(portal_order("r-2", "sub_1", target={"seats": CANARY})),
        )
        await world.hold(world.record(portal_order(CANARY, CANARY), key=CANARY.encode()))
        assert (4, 1) == (len(world.dead()), len(world.desk.records))
        told = f"{logs}{generate_latest(world.metrics.registry).decode()}"
        told += "".join(v.decode() for m in world.messages if ".dlq" in m.topic for _, v in m.headers)
        assert [] == [trace for trace in TRACES if trace in told]

    with structlog.testing.capture_logs() as logs:
        in_intake(story)

    assert logs


def test_the_mask_would_not_hide_an_empty_test() -> None:
    """Asked for in full, the canary is there: the views above were looked at in the right place."""
    record = Record("orders.portal.v1", 1, 5, 1, None, portal_order("r-1", "sub_1", note=CANARY))
    letter = letter_of(record, fault_of_bug(ValueError("x"), Stage.ENCODE), "portal")
    story = Story(row_of(letter), None, [], [], COMMAND_MASK, full=True)

    assert "zoe.canary@example.org" in "\n".join(line.plain for line in story_lines(story))
