"""Every example of every channel gives its golden result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streams.pipeline import CHANNELS
from streams.reading.csv_contract import CsvContract
from streams.reading.fields import start_date, start_instant
from streams.reading.refusal import MEANINGS, Code, Refused
from tests.support.channel_examples import FOLDER, GOLDEN, RECORD, Example, examples, result_of
from tierline.domain.outcome import DeadLetterClass

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
FORMATS = jsonschema.FormatChecker(())
# What a JSON Schema cannot say: how items relate to each other, headers, and what references mean.
BEYOND_SCHEMA = {
    Code.CONTRADICTING_ITEMS,
    Code.INVALID_SOURCE,
    Code.MISSING_REFERENCE,
    Code.REFERENCE_MISMATCH,
    Code.AMBIGUOUS_ACCOUNT,
    Code.SUBSCRIPTION_TWICE,
}
# For JSON Schema 15.0 is a whole number, for Tierline it has a fraction; and what items ask for together
# is beyond it.
STRICTER_THAN_SCHEMA = {
    "portal/seats-with-decimal-point",
    "portal/seats-exponent",
    "partner/neither-quantity-nor-offering",
    "marketplace/renew-term-no-such-day",
    "marketplace/renew-term-ends-before-it-starts",
}


@FORMATS.checks("date-time", Refused)
def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or bool(start_instant(value, "", 0))


@FORMATS.checks("date", Refused)
def _is_day(value: object) -> bool:
    return not isinstance(value, str) or bool(start_date(value, "", 0))


def _schema(channel: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{channel}.schema.json").read_text())
    return schema


def _code(result: dict[str, Any]) -> str | None:
    """The code of the refusal; for several intents, of the first that is dead."""
    entries = [result, *result.get("intents", ())]
    return next((entry["dead"]["code"] for entry in entries if "dead" in entry), None)


@pytest.mark.parametrize("example", examples(), ids=str)
def test_an_example_gives_its_golden_result(example: Example) -> None:
    """What intake makes of the bytes is what was reviewed."""
    assert example.expected == json.loads(json.dumps(result_of(example)))


def test_each_golden_result_belongs_to_an_example() -> None:
    """A renamed or removed payload leaves no result and no description behind."""
    wanted = {example.golden for example in examples()}
    beside = {
        example.golden.with_name(f"{example.name}{RECORD}")
        for example in examples()
        if example.golden.with_name(f"{example.name}{RECORD}").exists()
    }

    assert wanted | beside == {*FOLDER.glob(f"*/*{GOLDEN}"), *FOLDER.glob(f"*/*{RECORD}")}


@pytest.mark.parametrize("channel", sorted(CHANNELS))
def test_each_channel_has_examples_of_all_ways_to_end(channel: str) -> None:
    """Orders, unknown references, decode and contract errors."""
    results = [example.expected for example in examples(channel)]
    intents = [intent for result in results for intent in result.get("intents", ())]

    assert any("command" in intent for intent in intents)
    assert any("unknown" in intent for intent in intents)
    assert {"decode", "contract"} == {result["dead"]["class"] for result in results if "dead" in result}


def test_each_code_of_decode_and_contract_has_an_example() -> None:
    """No refusal without a payload that shows it; a null value and a long list are told elsewhere."""
    shown = {_code(example.expected) for example in examples()}
    codes = {
        code
        for code, (dead_letter_class, _) in MEANINGS.items()
        if dead_letter_class in (DeadLetterClass.DECODE, DeadLetterClass.CONTRACT)
    }

    assert codes - {Code.TOMBSTONE, Code.TOO_MANY} <= shown


@pytest.mark.parametrize("channel", sorted(CHANNELS))
def test_the_json_schema_of_a_channel_is_a_valid_schema(channel: str) -> None:
    """The published schema and the example in it are sound."""
    schema = _schema(channel)

    jsonschema.Draft202012Validator.check_schema(schema)
    for example in schema["examples"]:
        jsonschema.validate(example, schema, format_checker=FORMATS)


def _is_for_the_schema(example: Example) -> bool:
    dead = example.expected.get("dead", {})
    told_elsewhere = dead.get("class") == "decode" or dead.get("code") in BEYOND_SCHEMA
    return not told_elsewhere and str(example) not in STRICTER_THAN_SCHEMA


def _document(example: Example) -> Any:
    """What the published schema speaks of: the JSON value, or the cells of a row by column."""
    contract = CHANNELS[example.channel].contract
    return contract.cells(example.value) if isinstance(contract, CsvContract) else json.loads(example.value)


@pytest.mark.parametrize("example", [e for e in examples() if _is_for_the_schema(e)], ids=str)
def test_the_json_schema_and_the_contract_agree(example: Example) -> None:
    """Who sends what the published schema allows is not refused, and the other way round."""
    validator = jsonschema.Draft202012Validator(_schema(example.channel), format_checker=FORMATS)
    is_refused = "dead" in example.expected

    assert is_refused != validator.is_valid(_document(example))
