"""``tierline validate``: what a payload would become, or which field of it is wrong; without any server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.cli.errors import CommandError
from tierline.cli.options import Data, Json
from tierline.cli.output import print_json
from tierline.cli.payloads import headers_of, payloads_in, rows_in

if TYPE_CHECKING:
    from streams.pipeline import RecordContract
    from streams.reading.intent import Intent, Reading, Unreadable
    from tierline.domain.catalog import Catalog

CHECKED_LATER = "References and eligibility are checked when the order arrives."
KEPT = "as it is"


def validate(
    file: Annotated[str, typer.Argument(help="A payload file; - reads standard input.")],
    channel: Annotated[str, typer.Option(help="The channel whose contract is meant.")],
    header: Annotated[list[str] | None, typer.Option(help="name=value, may be given more than once.")] = None,
    ndjson: Annotated[bool, typer.Option("--ndjson", help="One record per line of the file.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Say what a payload would become, or which field is wrong. Offline; exit code 1 if one is wrong."""
    from streams.pipeline import CHANNELS, read_intents
    from streams.reading.csv_contract import CsvContract
    from streams.reading.intent import PlanNames
    from tierline.kit.clock import SystemClock
    from tierline.kit.data_folder import catalog_file
    from tierline.kit.records import Record

    row = CHANNELS.get(channel)
    if row is None:
        known = ", ".join(CHANNELS)
        raise typer.BadParameter(f"{channel!r} is no channel; there are {known}", param_hint="--channel")
    headers = headers_of(header)
    numbered, empty_rows = _values(row.contract, file, ndjson=ndjson)
    catalog = _catalog(catalog_file(data))
    plans, now_ms = PlanNames(catalog, channel), SystemClock().now_ms()
    unit = "row" if isinstance(row.contract, CsvContract) else "record"
    records = []
    for number, value in numbered:
        record = Record(row.topic.name, 0, number, now_ms, None, value, headers)
        records.append({unit: number} | _told(read_intents(row, record, plans), catalog))
    wrong = sum("dead" in told for told in records)
    if json:
        print_json({"channel": channel, "catalog_version": catalog.version, f"{unit}s": records})
    else:
        is_numbered = ndjson or unit == "row"
        for told in records:
            typer.echo("\n".join(_lines(told, f"{unit} {told[unit]}: " if is_numbered else "")))
        if unit == "row":
            typer.echo(_summary(len(records), wrong, empty_rows))
    if wrong:
        raise typer.Exit(1)


def _values(contract: RecordContract, file: str, *, ndjson: bool) -> tuple[Sequence[tuple[int, bytes]], int]:
    """The values in ``file`` with their numbers, and how many rows of it are empty."""
    from streams.reading.csv_contract import CsvContract

    if isinstance(contract, CsvContract):
        _, found = rows_in(file, contract)
        return [(row.number, row.value) for row in found.rows], found.empty_rows
    values = list(payloads_in([file], ndjson=ndjson))
    if not values:
        raise CommandError(
            f"{file} holds no record.", "With --ndjson each line that is not blank is one record."
        )
    return list(enumerate(values, 1)), 0


def _summary(count: int, wrong: int, empty: int) -> str:
    rows = f"{count:,} {'row' if count == 1 else 'rows'}"
    left_out = f", {empty:,} empty left out" if empty else ""
    return f"{rows}: {count - wrong:,} can be read, {wrong:,} wrong{left_out}"


def _catalog(path: Path) -> Catalog:
    from tierline.kit.catalog_file import load_catalog
    from tierline.kit.yaml_nodes import YamlRefused

    try:
        return load_catalog(path)
    except YamlRefused as refused:
        raise CommandError(
            f"The catalog cannot be read. {refused}", f"tierline catalog check {path}"
        ) from None


def _told(reading: Reading | Unreadable, catalog: Catalog) -> dict[str, Any]:
    """The facts about one record, for a program."""
    from streams.reading.intent import Unreadable

    if isinstance(reading, Unreadable):
        dead = reading.dead
        return {
            "dead": {
                "class": dead.dead_letter_class.value,
                "code": dead.code,
                "field": dead.field,
                "text": dead.detail,
            },
            "reference": reading.reference,
        }
    return {
        "intents": [_intent(intent, catalog) for intent in reading.intents],
        "unknown_fields": reading.unknown_fields,
    }


def _intent(intent: Intent, catalog: Catalog) -> dict[str, Any]:
    from tierline.domain.commands import ChangeStanding

    if intent.skipped is not None:
        return {
            "reference": intent.reference,
            "source": intent.source,
            "subscription": intent.subscription_ref,
            "skipped": {"reason": intent.skipped.reason.value, "detail": intent.skipped.detail},
            "would_be_rejected": [],
        }
    if intent.change is not None:
        change = intent.change
        return {
            "reference": intent.reference,
            "source": intent.source,
            "subscription": intent.subscription_ref,
            "change": f"standing {change.standing}"
            if isinstance(change, ChangeStanding)
            else "the next period begins",
            "would_be_rejected": [],
        }
    rejections: list[dict[str, str | None]] = [
        {"code": "NOT_AVAILABLE_YET", "field": field} for field in intent.unavailable
    ]
    if intent.plan is not None and catalog.plan(intent.plan) is None:
        rejections.append({"code": "PLAN_UNKNOWN", "field": None})
    if any(catalog.module_for_alias(intent.channel, module) is None for module in intent.modules):
        rejections.append({"code": "MODULE_UNKNOWN", "field": None})
    return {
        "reference": intent.reference,
        "source": intent.source,
        "subscription": intent.subscription_ref,
        "account": intent.account_ref,
        "plan": intent.plan,
        "seats": intent.seats,
        "modules": list(intent.modules),
        "effective": intent.effective,
        "payment_method": intent.payment_method,
        "validate_only": intent.validate_only,
        "would_be_rejected": rejections,
    }


def _lines(told: Mapping[str, Any], number: str) -> Iterator[str]:
    """The same facts, for a person; ``number`` says which record or row they are about."""
    if dead := told.get("dead"):
        place = f" at {dead['field']}" if dead["field"] else ""
        yield f"{number}wrong: {dead['code']}{place} ({dead['class']})"
        yield f"  {dead['text']}"
        return
    intents = told["intents"]
    if "skipped" in intents[0]:
        yield from _skipped_lines(number, intents[0])
        return
    if "change" in intents[0]:
        yield from _change_lines(number, intents[0])
    else:
        yield f"{number}{'one order' if len(intents) == 1 else f'{len(intents)} orders'}"
    for position, intent in enumerate(intents, 1):
        if len(intents) > 1:
            yield f"order {position}"
        if "change" not in intent:
            yield from _intent_lines(intent)
    if told["unknown_fields"]:
        yield f"  Unknown fields, tolerated and not read: {told['unknown_fields']}."
    yield f"  {CHECKED_LATER}"


def _change_lines(number: str, change: Mapping[str, Any]) -> Iterator[str]:
    yield f"{number}one change of the subscription, no order"
    yield f"  reference       {change['reference']} from {change['source']}"
    yield f"  subscription    {change['subscription']}"
    yield f"  change          {change['change']}"


def _skipped_lines(number: str, intent: Mapping[str, Any]) -> Iterator[str]:
    skipped = intent["skipped"]
    yield f"{number}nothing is asked for: it would be skipped, and not answered"
    yield f"  reference       {intent['reference']} from {intent['source']}"
    yield f"  reason          {skipped['reason']} ({skipped['detail']})"


def _intent_lines(intent: Mapping[str, Any]) -> Iterator[str]:
    only_asks = " (validate only: nothing would change)" if intent["validate_only"] else ""
    facts = {
        "reference": f"{intent['reference']} from {intent['source']}{only_asks}",
        "subscription": intent["subscription"] or "the only one of the account",
        "account": intent["account"] or "that of the subscription",
        "plan": intent["plan"] or KEPT,
        "seats": KEPT if intent["seats"] is None else f"{intent['seats']:,}",
        "modules": ", ".join(intent["modules"]),
        "effective": intent["effective"],
        "payment method": intent["payment_method"] or "",
    }
    yield from (f"  {name:<15} {fact}" for name, fact in facts.items() if fact)
    for rejection in intent["would_be_rejected"]:
        place = f" because of {rejection['field']}" if rejection["field"] else ""
        yield f"  would be rejected: {rejection['code']}{place}"
