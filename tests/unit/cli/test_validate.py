"""``tierline validate`` tells what a payload would become, without any server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tierline.cli.commands import app

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "schemas" / "examples"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIERLINE_CATALOG", str(ROOT / "catalog" / "catalog.yaml"))
    monkeypatch.setenv("TIERLINE_DATA", str(tmp_path))


def validate(*arguments: str, typed: str | None = None) -> Result:
    """The command's answer."""
    return CliRunner().invoke(app, ["validate", *arguments], input=typed)


def example(name: str) -> str:
    """The file of an example."""
    return str(EXAMPLES / f"{name}.json")


def test_a_good_order_is_told_with_the_plan_it_means() -> None:
    """The channel's own word for the plan is replaced by Tierline's."""
    result = validate("--channel", "partner", example("partner/upgrade"))

    assert 0 == result.exit_code
    assert "business-year" in result.output
    assert "PROD-991" in result.output
    assert "checked when the order arrives" in result.output


def test_each_subscription_of_a_partner_order_is_an_order() -> None:
    """Several intents are told apart."""
    result = validate("--channel", "partner", example("partner/two-subscriptions"), "--json")
    intents = json.loads(result.output)["records"][0]["intents"]

    assert ["PROD-991", "PROD-992"] == [intent["subscription"] for intent in intents]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("portal/upgrade", []),
        ("portal/modules", []),
        ("portal/module-unknown", [{"code": "MODULE_UNKNOWN", "field": None}]),
        ("portal/plan-unknown", [{"code": "PLAN_UNKNOWN", "field": None}]),
        ("partner/delete", [{"code": "NOT_AVAILABLE_YET", "field": "productOrderItem[0].action"}]),
    ],
)
def test_what_would_be_rejected_is_told_before_it_is_sent(name: str, expected: list[object]) -> None:
    """A rejection is an answer, not a broken payload: the exit code stays 0."""
    result = validate("--channel", name.split("/", maxsplit=1)[0], example(name), "--json")

    assert 0 == result.exit_code
    assert expected == json.loads(result.output)["records"][0]["intents"][0]["would_be_rejected"]


def test_a_wrong_field_is_named_and_ends_with_1() -> None:
    """Code, path and what to change; no word of the payload."""
    result = validate("--channel", "portal", example("portal/seats-text"))

    assert 1 == result.exit_code
    assert "WRONG_TYPE at target.seats (contract)" in result.output


def test_lines_are_records_of_their_own() -> None:
    """One bad line is found among good ones, by its number."""
    good = '{"reference":"r","subscription_id":"s","target":{"seats":3}}'
    result = validate("--channel", "portal", "-", "--ndjson", typed=f"{good}\n\n{{}}\n{good}\n")

    assert 1 == result.exit_code
    assert [f"record {n}" for n in (1, 2, 3)] == [
        line.split(":")[0] for line in result.output.splitlines() if line.startswith("record")
    ]
    assert "record 2: wrong: MISSING_FIELD" in result.output


@pytest.mark.parametrize("arguments", [["--channel", "fax", "-"], ["--channel", "portal", "no-such-file"]])
def test_a_wrong_use_ends_with_2(arguments: list[str]) -> None:
    """An unknown channel, a file that is not there."""
    assert 2 == validate(*arguments, typed="").exit_code


def test_a_header_is_read_as_on_the_record() -> None:
    """The sending instance can be given, and is checked."""
    named = validate("--channel", "portal", example("portal/upgrade"), "--header", "source=eu", "--json")
    refused = validate("--channel", "portal", example("portal/upgrade"), "--header", "source=a b", "--json")

    assert "eu" == json.loads(named.output)["records"][0]["intents"][0]["source"]
    assert "INVALID_SOURCE" == json.loads(refused.output)["records"][0]["dead"]["code"]


def test_a_change_of_standing_is_told_as_one() -> None:
    """It is no order: no plan, no price."""
    result = validate("--channel", "marketplace", example("marketplace/suspend"))

    assert 0 == result.exit_code
    assert ["one change of the subscription, no order", "  change          standing suspended"] == [
        result.output.splitlines()[0],
        result.output.splitlines()[3],
    ]


def test_what_asks_for_nothing_is_told_with_the_reason() -> None:
    """It is not wrong, and it would be no order."""
    told = validate("--channel", "marketplace", example("marketplace/change-plan-succeeded"))
    listed = validate("--channel", "marketplace", example("marketplace/subscribe"), "--json")

    assert 0 == told.exit_code
    assert [
        "nothing is asked for: it would be skipped, and not answered",
        "  reason          OPERATION_NOT_IN_PROGRESS (action ChangePlan, status Succeeded)",
    ] == [told.output.splitlines()[0], told.output.splitlines()[2]]
    assert {"reason": "ACTION_ASKS_NOTHING", "detail": "action Subscribe"} == json.loads(listed.output)[
        "records"
    ][0]["intents"][0]["skipped"]
