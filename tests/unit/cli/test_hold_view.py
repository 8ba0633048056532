"""What ``tierline holds`` shows: ids as they are, anything else only to those who ask for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tierline.cli.hold_view import asked_lines, hold_record, list_lines, record_record, show_lines

CANARY = "Zoë Canary <zoe.canary@example.org>"
TRACES = ("Zoë", "Canary", "zoe.canary", CANARY.encode("latin-1").hex(), CANARY.encode().hex())
COUNTS = [{"channel": "portal", "keys": 1, "records": 1, "parked": 0, "oldest_s": 90}]


def hold(key: bytes, ref: str) -> dict[str, Any]:
    """A held key as the desk reads it."""
    return {
        "hold_id": "5f0a4ee3-8f3a-4b6a-9c8a-0f115f0a4ee3",
        "channel": "portal",
        "key": key,
        "by_reference": False,
        "topic": "orders.portal.v1",
        "partition": 0,
        "parked": False,
        "records": 1,
        "reference": ref,
        "class": "unknown_account",
        "code": "UNKNOWN_REFERENCE",
        "waits_for": [ref],
        "attempts": 1,
        "age_s": 90,
        "next_attempt_s": 30,
    }


def record(ref: str) -> dict[str, Any]:
    """Its head."""
    return {
        "offset": 7,
        "reference": ref,
        "waits_for": [ref],
        "value": json.dumps({"reference": ref}).encode(),
        "bytes": 40,
        "received_at": datetime(2026, 11, 23, tzinfo=UTC),
        "code": "UNKNOWN_REFERENCE",
        "intents": [0],
        "intent_count": 1,
        "attempts": 1,
        "age_s": 90,
        "on_its_way": False,
    }


def shown(found: Mapping[str, Any], ref: str, payload: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Every screen, and what programs get."""
    full = payload == "full"
    list_lines(COUNTS, [found])
    show_lines(found, [record(ref)], (), payload)
    asked_lines(found, "release", None)
    told = [hold_record(found), hold_record(found, full=full), record_record(record(ref), full=full)]
    return capsys.readouterr().out + json.dumps(told, default=str, ensure_ascii=False)


@pytest.mark.parametrize("key", [CANARY.encode(), CANARY.encode("latin-1")], ids=["text", "no text"])
def test_no_masked_view_of_a_hold_shows_the_canary(key: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither as a key nor as a reference."""
    seen = shown(hold(key, CANARY), CANARY, "masked", capsys)

    assert [] == [trace for trace in TRACES if trace in seen]
    assert f"<{len(CANARY)} characters>" in seen


def test_ids_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever feeds accounts has to know which one is missing."""
    seen = shown(hold(b"sub_late", "sub_late"), "sub_late", "masked", capsys)

    assert seen.count("sub_late") > 5
    assert '"key": "sub_late"' in seen


def test_whoever_asks_gets_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """Key, references and bytes."""
    found = hold(CANARY.encode(), CANARY)
    show_lines(found, [record(CANARY)], (), "full")

    printed = capsys.readouterr().out
    assert f"key {CANARY}" in printed
    assert f"waits for {CANARY}" in printed
    assert (CANARY, CANARY) == (
        hold_record(found, full=True)["key"],
        record_record(record(CANARY), full=True)["reference"],
    )
