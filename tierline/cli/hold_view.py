"""Holds for people and for programs: keys and references that look like no id show as their length, unless
everything was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.text import Text

from deadletter.masking import masked_text
from tierline.cli.output import duration, print_table

SHORT = 8
_KEY_CHARS = 32
_REFS_SHOWN = 3

Row = Mapping[str, Any]


def hold_record(hold: Row, *, full: bool = False) -> dict[str, Any]:
    """One hold for a program."""
    told = {**hold, "key": key_text(hold, full=full)}
    return told if full else {**told, **_masked(hold)}


def record_record(record: Row, *, full: bool) -> dict[str, Any]:
    """One held record for a program; its bytes only where they were asked for."""
    facts = {name: value for name, value in record.items() if name != "value"}
    return facts | ({"value": _whole(record["value"])} if full else _masked(record))


def key_text(hold: Row, *, full: bool = False) -> str:
    """The record key, or the reference that stands for one; in full bytes that are no text as hex."""
    key = bytes(hold["key"])
    try:
        text = key.decode("utf-8")
    except UnicodeDecodeError:
        return f"0x{key.hex()}" if full else f"<{len(key)} bytes>"
    if not full:
        return masked_text(text)
    return text if text.isprintable() else f"0x{key.hex()}"


def _masked(row: Row) -> dict[str, Any]:
    """The references of a hold or a held record, masked."""
    named, waits_for = row["reference"], row["waits_for"]
    return {
        "reference": None if named is None else masked_text(named),
        "waits_for": None if waits_for is None else [masked_text(ref) for ref in waits_for],
    }


def list_lines(counts: Sequence[Row], holds: Sequence[Row]) -> None:
    """The table, what it comes to, and the next command."""
    if not counts:
        typer.echo("Nothing is held: every order that could be read has gone on.")
        return
    columns = ("hold", "channel", "key", ">records", ">age", "waits for", ">tries", "next try")
    print_table(columns, [_row(hold) for hold in holds])
    typer.echo("")
    for channel in counts:
        parked = f", {channel['parked']:,} of them for a person" if channel["parked"] else ""
        typer.echo(
            f"{channel['channel']}: {_counted(channel['records'], 'record')} of "
            f"{_counted(channel['keys'], 'key')} wait{parked}; the oldest for {duration(channel['oldest_s'])}"
        )
    shown = sum(channel["keys"] for channel in counts) - len(holds)
    if shown > 0 and holds:
        typer.echo(f"{shown:,} more keys; --channel, --key and --most choose which are shown")
    if holds:
        typer.echo(f"Next: tierline holds show {holds[0]['hold_id'][:SHORT]}")


def _row(hold: Row) -> list[str | Text]:
    return [
        hold["hold_id"][:SHORT],
        hold["channel"],
        _short(key_text(hold), _KEY_CHARS) + ("" if not hold["by_reference"] else " (reference)"),
        f"{hold['records']:,}",
        duration(hold["age_s"]),
        _waits_for(hold),
        "" if hold["attempts"] is None else str(hold["attempts"]),
        _next_try(hold),
    ]


def _waits_for(hold: Row, *, full: bool = False) -> Text:
    if hold["parked"]:
        return Text("a person: its head is dead", style="bold")
    if hold["code"] is None:
        return Text("nothing")
    refs = hold["waits_for"] if full else [masked_text(ref) for ref in hold["waits_for"]]
    if hold["class"] == "dependency":
        return Text(f"a look-up ({hold['code']})")
    more = f" and {len(refs) - _REFS_SHOWN} more" if len(refs) > _REFS_SHOWN else ""
    return Text(_short(", ".join(refs[:_REFS_SHOWN]), _KEY_CHARS * 2) + more)


def _next_try(hold: Row) -> str:
    if hold["parked"] or hold["next_attempt_s"] is None:
        return ""
    return f"in {duration(hold['next_attempt_s'])}" if hold["next_attempt_s"] > 0 else "now"


def show_lines(hold: Row, records: Sequence[Row], requests: Sequence[Row], payload: str) -> None:
    """One key: its head, the records behind it, what people asked, and what can be done."""
    what, full = "reference" if hold["by_reference"] else "key", payload == "full"
    typer.echo(f"Hold {hold['hold_id']}   {hold['channel']}   {what} {key_text(hold, full=full)}")
    typer.echo(f" {hold['topic']}[{hold['partition']}], held for {duration(hold['age_s'])}")
    typer.echo(f" waits for {_waits_for(hold, full=full).plain}{_when(hold)}")
    if records:
        typer.echo("")
        columns = ("", ">offset", "reference", ">intents", ">bytes", "received", ">held", "code", ">tries")
        print_table(
            columns, [_record_row(number, record, full=full) for number, record in enumerate(records)]
        )
        if hold["records"] > len(records):
            typer.echo(f"{hold['records'] - len(records):,} more behind these; --most shows more")
    if full:
        for record in records:
            typer.echo(f"\n@{record['offset']}")
            typer.echo(_whole(record["value"]) or "(no value)")
    for asked in requests:
        said = asked["result"] or "not carried out yet"
        why = f" ({asked['reason']})" if asked["reason"] else ""
        typer.echo(
            f"\n{asked['requested_at']:%Y-%m-%d %H:%M:%S} {asked['requested_by']}: {asked['action']}{why}"
        )
        typer.echo(f"  {said}")
    short = hold["hold_id"][:SHORT]
    typer.echo(f"\nTry it now       tierline holds release {short}")
    typer.echo(f'Take one out     tierline holds discard {short} --reason "…"')
    if records and not full:
        typer.echo(f"See the bytes    tierline holds show {short} --payload full")


def _record_row(number: int, record: Row, *, full: bool) -> list[str | Text]:
    waiting, of = len(record["intents"]), record["intent_count"]
    named = record["reference"] or ""
    return [
        "head" if number == 0 else "",
        str(record["offset"]),
        _short(named if full or not named else masked_text(named), _KEY_CHARS),
        f"{waiting}" if waiting == of else f"{waiting} of {of}",
        "null" if record["bytes"] is None else f"{record['bytes']:,}",
        f"{record['received_at']:%m-%d %H:%M:%S}",
        duration(record["age_s"]),
        "on its way" if record["on_its_way"] else record["code"],
        str(record["attempts"]),
    ]


def asked_lines(hold: Row, action: str, result: str | None) -> None:
    """What came of a release or a discard, and the next command."""
    name = f"{hold['channel']} {key_text(hold)}"
    if result is None:
        typer.echo(
            f"{action} of {name} is noted; no normalizer has carried it out yet.\n"
            "It does so when it runs: tierline status"
        )
        return
    typer.echo(f"{name}: {result}")
    typer.echo(f"Next: tierline holds show {hold['hold_id'][:SHORT]}   or   tierline holds list")


def _when(hold: Row) -> str:
    if hold["parked"] or hold["attempts"] is None:
        return ""
    return f"; tried {_counted(hold['attempts'], 'time')}, next try {_next_try(hold)}"


def _whole(value: bytes | None) -> str | None:
    return None if value is None else bytes(value).decode("utf-8", "backslashreplace")


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
