"""The examples of the channels: payloads with the result that intake must give, as files.

``schemas/examples/<channel>/<case>.json`` (or ``.csv``, or ``.bin`` where the bytes are no text) is the value
of one record, ``<case>.record.json`` says where time of arrival or headers matter, ``<case>.golden.json`` is
the result. After a change that is meant to change results, write them again and review the difference:

    .venv/bin/python -m tests.support.channel_examples && git diff schemas/examples
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streams.normalizing.normalize import command_of
from streams.normalizing.resolve import RefRow, Resolution, Resolved, Unknown, resolve_record
from streams.pipeline import CHANNELS, read_intents
from streams.reading.contract import Contract
from streams.reading.intent import Intent, PlanNames, Reading, Unreadable
from tierline.domain.outcome import Dead, Skipped
from tierline.kit.records import Record

FOLDER = Path(__file__).parents[2] / "schemas" / "examples"
ARRIVAL_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z
DEPLOYMENT: dict[str, Any] = {
    "tenant_id": "main",
    "livemode": False,
    "app_version": "0.0.0",
    "decide_within_ms": 8_000,
}
GOLDEN = ".golden.json"
RECORD = ".record.json"
JSON_CHANNELS = tuple(name for name, channel in CHANNELS.items() if isinstance(channel.contract, Contract))


@dataclass(frozen=True, slots=True)
class KnownPlan:
    """A plan, as far as intake looks at it."""

    id: str


class KnownPlans:
    """The plans and aliases of ``known.json``; as in the catalog, letter case does not matter."""

    def __init__(self, known: dict[str, Any]) -> None:
        self._aliases = {
            (channel, alias.casefold()): plan
            for channel, aliases in known["plans"].items()
            for alias, plan in aliases.items()
        }
        self._own = {plan.casefold(): plan for plan in known["own_plans"]}

    def plan_for_alias(self, channel: str, external_id: str) -> KnownPlan | None:
        """The plan that the channel means, or None."""
        name = external_id.casefold()
        plan = self._aliases.get((channel, name)) or self._own.get(name)
        return None if plan is None else KnownPlan(plan)


@dataclass(frozen=True, slots=True)
class Example:
    """One case. ``value`` and ``record`` are what arrives."""

    channel: str
    name: str
    record: Record

    def __str__(self) -> str:
        return f"{self.channel}/{self.name}"

    @property
    def value(self) -> bytes:
        """The bytes of the record."""
        return self.record.value or b""

    @property
    def golden(self) -> Path:
        """The file with the result."""
        return FOLDER / self.channel / f"{self.name}{GOLDEN}"

    @property
    def expected(self) -> dict[str, Any]:
        """The result that intake must give."""
        result: dict[str, Any] = json.loads(self.golden.read_text())
        return result


def _known() -> dict[str, Any]:
    known: dict[str, Any] = json.loads((FOLDER / "known.json").read_text())
    return known


PLANS = KnownPlans(_known())
ROWS: dict[str, list[RefRow]] = {}
for _row in _known()["references"]:
    ROWS.setdefault(_row[3], []).append(RefRow(*_row))


def examples(channel: str | None = None) -> list[Example]:
    """All examples, or those of one channel, by name."""
    channels = [channel] if channel else sorted(CHANNELS)
    return [example for name in channels for example in _examples_of(name)]


def json_examples() -> list[Example]:
    """The examples of the channels that send JSON."""
    return [found for found in examples() if found.channel in JSON_CHANNELS]


def _examples_of(channel: str) -> Iterator[Example]:
    for file in sorted((FOLDER / channel).glob("*")):
        if not file.name.endswith((GOLDEN, RECORD)):
            yield Example(channel, file.stem, _record(channel, file))


def _record(channel: str, file: Path) -> Record:
    beside = file.with_name(file.stem + RECORD)
    about = json.loads(beside.read_text()) if beside.exists() else {}
    return Record(
        topic=CHANNELS[channel].topic.name,
        partition=3,
        offset=1042,
        timestamp_ms=ARRIVAL_MS,
        key=None,
        value=file.read_bytes(),
        headers=tuple((name, value.encode()) for name, value in about.get("headers", ())),
    )


def reading_of(example: Example) -> Reading | Unreadable:
    """What intake reads in the example."""
    plans = PlanNames(PLANS, example.channel)
    return read_intents(CHANNELS[example.channel], example.record, plans)


def result_of(example: Example) -> dict[str, Any]:
    """What becomes of the example, in the form of a golden file."""
    reading = reading_of(example)
    if isinstance(reading, Unreadable):
        return {"dead": _dead(reading.dead), "reference": reading.reference, "source": reading.source}
    resolutions = resolve_record(reading.intents, ROWS)
    return {
        "unknown_fields": reading.unknown_fields,
        "intents": [_result(*pair) for pair in zip(reading.intents, resolutions, strict=True)],
    }


def _result(intent: Intent, resolution: Resolution) -> dict[str, Any]:
    match resolution:
        case Dead():
            return {"dead": _dead(resolution)}
        case Unknown(refs):
            return {"unknown": list(refs), "field": intent.field}
        case Skipped(reason, detail):
            return {"skipped": {"reason": reason.value, "detail": detail}}
        case Resolved():
            command = command_of(intent, resolution, **DEPLOYMENT)
            return {"command": asdict(command)}


def _dead(dead: Dead) -> dict[str, Any]:
    return {"class": dead.dead_letter_class.value, "code": dead.code, "field": dead.field}


def write_golden() -> int:
    """Write every golden file; gives the number of those that changed."""
    changed = 0
    for example in examples():
        text = json.dumps(result_of(example), indent=1, ensure_ascii=False) + "\n"
        if not example.golden.exists() or example.golden.read_text() != text:
            example.golden.write_text(text)
            changed += 1
    return changed


if __name__ == "__main__":
    print(f"{write_golden()} results changed: review them with git diff")  # noqa: T201 - a tool for the terminal
