"""Dead letters for people and for programs. Pure."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from deadletter.classify import CLASSES
from deadletter.groups import Group
from deadletter.lookup import Row
from deadletter.masked_command import CommandMask
from deadletter.masking import Mask, masked_payload, masked_text, readable
from schemas.topics import COMMANDS
from streams.pipeline import CHANNELS
from tierline.domain.outcome import DeadLetterClass

SHORT = 8
_WITHOUT = frozenset({"key", "value", "value_sha256", "header_names", "header_values", "account"})
_BAD = "bold red"


@dataclass(frozen=True, slots=True)
class Story:
    """One dead letter; where a cause was asked for, also the cause with accounts and further dead letters.

    ``commands`` masks the payload of a dead command.
    """

    row: Row
    group: Group | None
    accounts: Sequence[Row]
    others: Sequence[Row]
    commands: CommandMask
    full: bool


# --- groups -----------------------------------------------------------------------------------------------


def group_columns() -> Sequence[str]:
    """The headings of the list of groups."""
    return ("group", ">accounts", ">records", ">held behind", "first", "last", "cause", "version")


def group_row(group: Group) -> list[str | Text]:
    """One line of the list of groups."""
    return [
        group.fingerprint[:SHORT],
        _accounts(group),
        f"{group.records:,}",
        f"{group.held_behind:,}",
        f"{group.first_failed_at.astimezone(UTC):%m-%d %H:%M}",
        f"{group.last_failed_at.astimezone(UTC):%m-%d %H:%M}",
        _cause(group),
        ", ".join(group.app_versions),
    ]


def groups_sentence(groups: Sequence[Group]) -> str:
    """What it comes to, and the next command."""
    if not groups:
        return "No dead letter is open."
    records = sum(group.records for group in groups)
    causes = "1 cause" if len(groups) == 1 else f"{len(groups)} causes"
    unread = "  +n?: records whose account cannot be read.\n" if any(g.unread for g in groups) else ""
    behind = sum(group.held_behind for group in groups)
    held = f"  held behind: {behind:,} later records of their keys wait for a person.\n" if behind else ""
    return (
        f"\n{records:,} open, {causes}, ranked by the accounts they touch. Times are UTC.\n{unread}{held}"
        f"Next: tierline dlq show {groups[0].fingerprint[:SHORT]}"
    )


def _accounts(group: Group) -> str:
    unread = f" +{group.unread:,}?" if group.unread else ""
    return f"{group.accounts:,}{unread}"


def _cause(group: Group) -> Text:
    where = " ".join(part for part in (group.exception, group.field or group.function) if part)
    kind = f"{group.channel or 'no channel'} · {group.class_} · "
    return Text.assemble(kind, (group.code, "bold"), f" {where}" if where else "")


# --- one dead letter, or one cause ------------------------------------------------------------------------


def story_record(story: Story) -> dict[str, Any]:
    """The same facts as ``story_lines``, for programs."""
    letter = letter_record(story.row, story.commands, full=story.full)
    if story.group is None:
        return letter
    return {
        **story.group.to_json(),
        "touched": [{**row, "account": masked_text(row["account"])} for row in story.accounts],
        "dead_letter_ids": [str(row["dead_letter_id"]) for row in story.others],
        "example": letter,
    }


def letter_record(row: Row, commands: CommandMask, *, full: bool) -> dict[str, Any]:
    """One dead letter for programs; ``full``: with key, bytes and headers as they came."""
    told = {name: value for name, value in row.items() if name not in _WITHOUT}
    told["account"] = None if row["account"] is None else masked_text(row["account"])
    told["value_sha256"] = None if row["value_sha256"] is None else row["value_sha256"].hex()
    if not full:
        told["payload_masked"] = _masked(row, commands)
        return told
    told["account"] = row["account"]
    told["key_base64"], told["value_base64"] = _base64(row["key"]), _base64(row["value"])
    told["headers"] = [
        [name.decode("utf-8", "replace"), _base64(value)]
        for name, value in zip(row["header_names"] or (), row["header_values"] or (), strict=True)
    ]
    return told


def story_lines(story: Story) -> Iterator[Text]:
    """The whole screen."""
    if story.group is None:
        yield from _letter_lines(story)
    else:
        yield from _group_lines(story, story.group)
    yield Text("\n Next: " + "\n       ".join(_next_commands(story)))


def known_names(topic: str) -> Collection[str]:
    """The field names that the contract behind ``topic`` declares."""
    channel = next((channel for channel in CHANNELS.values() if channel.topic.name == topic), None)
    return frozenset() if channel is None else channel.contract.names


def _masked(row: Row, commands: CommandMask) -> str:
    if row["topic"] == COMMANDS.name:
        return commands(row["value"])
    return masked_payload(row["value"], Mask(known_names(row["origin_topic"])))


def _group_lines(story: Story, group: Group) -> Iterator[Text]:
    yield Text.assemble(f"Cause {group.fingerprint}   ", _cause(group))
    yield Text(
        f" {group.records:,} open, {_accounts(group)} accounts, from {_moment(group.first_failed_at)}"
        f" to {_moment(group.last_failed_at)}"
    )
    if group.held_behind:
        yield Text(f" held behind them: {_records(group.held_behind)} of the same keys, for a person")
    yield Text(f" sources {', '.join(group.sources) or 'unknown'}   versions {', '.join(group.app_versions)}")
    same = ("channel", group.channel), ("stage", group.stage), ("class", group.class_), ("code", group.code)
    also = ("field", group.field), ("exception", group.exception), ("function", group.function)
    yield Text(" the same in all: " + ", ".join(f"{name} {value}" for name, value in (*same, *also) if value))
    yield from _advice(group.class_)
    if story.accounts:
        named = ", ".join(f"{masked_text(row['account'])} ({row['records']:,})" for row in story.accounts)
        yield Text(f"\n accounts (records)  {named}{_rest(group.accounts, len(story.accounts))}")
    ids = [str(row["dead_letter_id"]) for row in story.others]
    yield Text("\n dead letters, newest first")
    for one in ids:
        yield Text(f"   {one}")
    yield Text(f"  {_rest(group.records, len(ids))}" if group.records > len(ids) else "")
    yield Text("\n the newest", style="dim")
    yield from _letter_lines(story)


def _rest(count: int, listed: int) -> str:
    return f" and {count - listed:,} more" if count > listed else ""


def _letter_lines(story: Story) -> Iterator[Text]:
    row = story.row
    state = "OPEN" if row["closed_as"] is None else row["closed_as"].upper()
    instance = f" {row['source']}" if row["source"] and row["source"] != "main" else ""
    where = row["field"] or row["function"] or ""
    yield Text.assemble(
        f"Dead letter {row['dead_letter_id']}   ",
        (state, _BAD if state == "OPEN" else "bold"),
        f"   {row['channel'] or 'no channel'}{instance} · {row['class']} · ",
        (row["code"], "bold"),
        f" {where}".rstrip(),
    )
    if row["closed_as"] is not None:
        yield Text(f" {row['closed_as']} by {row['closed_by']}, {_moment(row['closed_at'])}: {row['reason']}")
    yield Text(f" {row['message']}")
    account = (
        "cannot be read"
        if row["account"] is None
        else row["account"]
        if story.full
        else masked_text(row["account"])
    )
    received = "" if row["received_at"] is None else f"   received {_moment(row['received_at'])}"
    yield Text(f" account   {account}   order {row['intent_index'] + 1} of {row['intent_count']}{received}")
    yield Text(f" record    {_place(row, 'origin_topic', 'origin_partition', 'origin_offset')}")
    if row["topic"] != row["origin_topic"]:
        yield Text(f" consumed  {_place(row, 'topic', 'partition', 'offset')}")
    yield Text(f" failed    {_failures(row)}")
    if row["exception"]:
        yield Text(f" bug       {row['exception']} in {row['function'] or 'unknown'}")
    if row["parked_hold_id"]:
        yield Text(
            f" behind    {_records(row['held_behind'])} of its key, for a person: "
            f"tierline holds show {row['parked_hold_id'][:SHORT]}"
        )
    yield Text(f" cause     {row['fingerprint'][:SHORT]}")
    if row["closed_as"] is None:
        yield from _advice(row["class"])
        yield from _payload_lines(story)


def _records(count: int) -> str:
    return "1 later record" if count == 1 else f"{count:,} later records"


def _failures(row: Row) -> str:
    attempts = "1 attempt" if row["attempts"] == 1 else f"{row['attempts']:,} attempts"
    spent = ", waited to the end" if row["exhausted"] else ""
    first, last = _moment(row["first_failed_at"]), _moment(row["last_failed_at"])
    when = first if first == last else f"{first} to {last}"
    return f"{when}, {attempts}{spent}, stage {row['stage']}, {row['consumer']} {row['app_version']}"


def _payload_lines(story: Story) -> Iterator[Text]:
    row = story.row
    size = "" if row["value_bytes"] is None else f", {row['value_bytes']:,} bytes"
    yield Text(f"\n payload ({'full' if story.full else 'masked'}{size})")
    if row["value"] is None and row["value_bytes"] is not None:
        place = _place(row, "topic", "partition", "offset")
        yield Text(f"   too large to copy; the bytes stay at {place} until Kafka removes them there")
        yield Text(f"   SHA-256 {row['value_sha256'].hex()}")
        return
    text = readable(row["value"]) if story.full else _masked(row, story.commands)
    for line in text.splitlines():
        yield Text(f"   {line}")


def _advice(dead_letter_class: str) -> Iterator[Text]:
    told = CLASSES[DeadLetterClass(dead_letter_class)]
    yield Text(f" to do     {told.operator} (owner: {told.owner})")


def _next_commands(story: Story) -> Iterator[str]:
    row, dead_letter_id = story.row, str(story.row["dead_letter_id"])
    if row["closed_as"] is not None:
        yield "tierline dlq groups"
        return
    if story.group is None:
        yield f"tierline dlq show {row['fingerprint'][:SHORT]}"
    else:
        yield f"tierline dlq export --group {story.group.fingerprint[:SHORT]}"
    if not story.full:
        yield f"tierline dlq show {dead_letter_id} --payload full"
    yield f'tierline dlq discard {dead_letter_id} --reason "…"'


def after_discard(rows: Sequence[Row]) -> str:
    """The next commands when these dead letters were discarded: what waits behind them waits on."""
    holds = dict.fromkeys(row["parked_hold_id"] for row in rows if row["parked_hold_id"])
    return "Next: " + "\n      ".join(
        [*(f"tierline holds release {hold}" for hold in holds), "tierline dlq groups"]
    )


def _place(row: Row, topic: str, partition: str, offset: str) -> str:
    return f"{row[topic]}[{row[partition]}]@{row[offset]}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
