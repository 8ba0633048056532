"""What waits behind dead letters, as a person sees it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from typer.testing import CliRunner

from deadletter.envelope import dead_letter_message
from deadletter.held import HeldRecord, HoldChanges, HoldKey
from deadletter.hold_store import hold_id
from deadletter.triage import take_in
from schemas.topics import NORMALIZER
from streams.normalizing.intake_store import IntakeStore
from tests.support.dead_letters import ACCOUNT_OF, FAILED_AT, MISSING, PORTAL, UNKNOWN, letter, record_of
from tests.support.stack import environment_of
from tierline.cli.commands import app
from tierline.kit.database import connect
from tierline.kit.records import Record
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

Cli = Callable[..., Any]
KEYED: HoldKey = (PORTAL, 0, b"key-0")
KEYLESS: HoldKey = (PORTAL, 1, "sub_1")


def held(offset: int, key: HoldKey) -> HeldRecord:
    """A record that waits behind others of its key."""
    own = key[2] if isinstance(key[2], bytes) else None
    return HeldRecord(
        record=Record(PORTAL, key[1], offset, FAILED_AT, own, b"{}"),
        hold_key=key,
        channel="portal",
        source="eu",
        reference=None,
        intents=(0,),
        intent_count=1,
        cause=UNKNOWN,
        waits_for=(),
        held_at=FAILED_AT,
        next_attempt_at=FAILED_AT,
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[IntakeStore]:
    """A normalizer's store: behind dead record 0 of each partition wait three records, and one.

    Another record of the first key broke its contract, so nothing waits behind that one.
    """
    store = IntakeStore(NORMALIZER, partial(connect, settings.database_url, "test"))
    store.take({(PORTAL, partition): 0 for partition in (0, 1)})
    waiting = [*(held(offset, KEYED) for offset in (0, 5, 6, 7)), *(held(n, KEYLESS) for n in (0, 9))]
    store.save({}, HoldChanges(held=waiting))
    store.save({}, HoldChanges(removed=[(PORTAL, 0, 0), (PORTAL, 1, 0)], parked={KEYED: 0, KEYLESS: 0}))
    dead = [letter(0), letter(0, intent_index=1), letter(1), letter(2, MISSING)]
    with connect(settings.database_url, "test") as connection:
        take_in(connection, [record_of(dead_letter_message(one)) for one in dead], ACCOUNT_OF)
    yield store
    store.close()


@pytest.fixture
def cli(settings: Settings, store: IntakeStore) -> Cli:
    """Runs ``tierline dlq …``; with ``--json`` its answer is read."""

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(
            app, ["dlq", *arguments], env=environment_of(settings), catch_exceptions=False
        )
        assert 0 == result.exit_code
        return json.loads(result.output) if "--json" in arguments else result.output

    return run


def test_groups_and_letters_count_the_records_held_behind_them(cli: Cli) -> None:
    """Once in a cause, however many intents of the head died; a broken record of the key holds up nothing."""
    groups = {group["code"]: group["held_behind"] for group in cli("groups", "--json")}
    first = cli("show", letter(0).id, "--json")
    cause = cli("show", first["fingerprint"], "--json")
    exported = [json.loads(line)["held_behind"] for line in cli("export").splitlines()]

    assert {"UNKNOWN_REFERENCE": 4, "MISSING_FIELD": 0} == groups
    assert (3, hold_id(NORMALIZER, KEYED)) == (first["held_behind"], first["parked_hold_id"])
    assert 4 == cause["held_behind"]
    assert [3, 3, 1, 0] == exported
    assert "held behind: 4 later records" in cli("groups")
    assert (
        f"1 later record of its key, for a person: tierline holds show {hold_id(NORMALIZER, KEYLESS)[:8]}"
        in (cli("show", letter(1).id))
    )


def test_nothing_is_held_behind_a_key_that_goes_on(cli: Cli, store: IntakeStore) -> None:
    """Also while its records are still there; and what waits behind a discarded dead letter waits on."""
    store.save({}, HoldChanges(parked={KEYED: None}))
    told = cli("discard", letter(1).id, "--reason", "INC-7")

    assert 0 == cli("show", letter(0).id, "--json")["held_behind"]
    assert f"tierline holds release {hold_id(NORMALIZER, KEYLESS)}" in told
    assert 1 == cli("show", letter(1).id, "--json")["held_behind"]
    assert [0, 0] == [group["held_behind"] for group in cli("groups", "--json")]
