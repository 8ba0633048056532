"""Dead letters by cause, as people read them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from deadletter.envelope import DeadLetter, dead_letter_message, dead_letter_without_value
from deadletter.masked_command import CommandMask
from deadletter.open_records import open_record_of
from schemas.avsc import COMMANDS_SUBJECT, text_of, versions
from tests.support.dead_letters import GROUP, letter, record_of
from tierline.cli.dlq_view import (
    Story,
    after_discard,
    group_row,
    groups_sentence,
    letter_record,
    story_lines,
    story_record,
)
from tierline.kit.records import Message

COMMANDS = CommandMask({7: text_of(COMMANDS_SUBJECT, versions(COMMANDS_SUBJECT)[-1])})


def cells(**changed: object) -> list[str]:
    return [str(cell) for cell in group_row(replace(GROUP, **changed))]  # type: ignore[arg-type]


def test_a_group_is_one_line() -> None:
    """Short id for the next command, accounts, records, times, and the cause in the reader's words."""
    assert [
        "aaaaaaaa",
        "3",
        "1,204",
        "7",
        "11-23 14:02",
        "11-23 14:02",
        "partner · contract · MISSING_FIELD productOffering.id",
        "1.0",
    ] == cells(records=1204, held_behind=7)


def test_accounts_that_cannot_be_read_are_said() -> None:
    """Beside those that can."""
    assert "3 +2?" == cells(unread=2)[1]


def test_a_bug_shows_exception_and_function() -> None:
    """And an unreadable channel does not stop the line."""
    line = cells(
        channel=None,
        class_="bug",
        code="UNEXPECTED_ERROR",
        field=None,
        exception="KeyError",
        function="streams.x:f",
    )[6]

    assert "no channel · bug · UNEXPECTED_ERROR KeyError streams.x:f" == line


def test_the_last_line_is_the_next_command() -> None:
    """Or the good news."""
    assert "No dead letter is open." == groups_sentence([])
    assert groups_sentence([GROUP]).endswith("Next: tierline dlq show aaaaaaaa")
    assert "10 open, 1 cause, " in groups_sentence([GROUP])


def test_records_that_wait_behind_dead_letters_are_explained() -> None:
    """Where there are any."""
    assert "held behind" not in groups_sentence([GROUP])
    assert "held behind: 9 later records" in groups_sentence(
        [replace(GROUP, held_behind=4), replace(GROUP, held_behind=5)]
    )


def row_of(message: Message, **changed: Any) -> dict[str, Any]:
    """The row of the store, as it is read again."""
    kept = open_record_of(record_of(message))
    row = {name: getattr(kept, name) for name in kept.__slots__}
    closing = dict.fromkeys(("closed_as", "closed_by", "closed_at", "reason"))
    behind = {"parked_hold_id": None, "held_behind": 0}
    return {**row, **closing, **behind, "class": row.pop("class_"), "account": "sub_1", **changed}


def screen(one: DeadLetter, *, full: bool = False, **changed: Any) -> str:
    story = Story(row_of(dead_letter_message(one), **changed), None, [], [], COMMANDS, full=full)
    return "\n".join(line.plain for line in story_lines(story))


def test_a_dead_letter_says_what_failed_where_it_stands_and_what_to_do() -> None:
    """In the reader's words, every id ready to be copied."""
    told = screen(letter(1, exhausted=True, attempts=3))

    assert told.startswith(
        f"Dead letter {letter(1).id}   OPEN   portal eu · unknown_account · UNKNOWN_REFERENCE"
    )
    assert " account   sub_1   order 1 of 1   received 2026-11-23 11:59:55 UTC" in told
    assert " record    orders.portal.v1[1]@0" in told
    assert "3 attempts, waited to the end, stage context, tierline-normalizer 1.0" in told
    assert "Import the subscription or correct the reference, then replay. (owner: channel)" in told
    assert '"subscription_id": "sub_1"' in told
    assert f"tierline dlq show {letter(1).id} --payload full" in told


def test_what_waits_behind_a_dead_letter_is_counted() -> None:
    """With the command that shows it, also when the dead letter has ended: it waits on."""
    hold = "beefbeef-0000-5000-8000-000000000000"
    told = screen(letter(1), parked_hold_id=hold, held_behind=1)
    row = row_of(dead_letter_message(letter(1)), parked_hold_id=hold)

    assert " behind    1 later record of its key, for a person: tierline holds show beefbeef" in told
    assert " behind " not in screen(letter(1))
    assert f"Next: tierline holds release {hold}\n      tierline dlq groups" == after_discard([row, row])


def test_a_dead_command_names_what_was_consumed_too() -> None:
    """The order's own place first; bytes that are no command say so."""
    record = replace(letter(1).record, topic="oms.commands.v1", value=b"\0\0\0\0\x07\xff", offset=9)
    told = screen(letter(1, record=record, exception="KeyError", frame="streams.x:f"))

    assert " consumed  oms.commands.v1[1]@9" in told
    assert " bug       KeyError in streams.x:f" in told
    assert "(6 bytes that cannot be read as a command: " in told


def test_a_payload_that_was_too_large_says_where_it_is() -> None:
    """With its digest; there is nothing to show."""
    story = Story(row_of(dead_letter_without_value(letter(1))), None, [], [], COMMANDS, full=False)
    told = "\n".join(line.plain for line in story_lines(story))

    assert "the bytes stay at orders.portal.v1[1]@0 until Kafka removes them there" in told


def test_an_ended_dead_letter_says_why() -> None:
    """Without payload and without the commands that end it."""
    ended: dict[str, Any] = {"closed_as": "discarded", "closed_by": "ada", "reason": "a test"}
    ended |= {"value": None, "key": None}
    told = screen(letter(1), **ended, closed_at=datetime(2026, 11, 24, 9, tzinfo=UTC))

    assert " discarded by ada, 2026-11-24 09:00:00 UTC: a test" in told
    assert "payload" not in told
    assert told.endswith("Next: tierline dlq groups")


def test_a_cause_lists_accounts_and_dead_letters() -> None:
    """As many as fit on a screen; the rest is counted."""
    row = row_of(dead_letter_message(letter(1)))
    accounts = [{"channel": "portal", "source": "eu", "account": name, "records": 2} for name in ("a", "b c")]
    group = replace(GROUP, held_behind=2)
    told = "\n".join(
        line.plain for line in story_lines(Story(row, group, accounts, [row], COMMANDS, full=False))
    )

    assert "a (2), <3 characters> (2) and 1 more" in told
    assert f"   {letter(1).id}\n   and 9 more" in told
    assert " held behind them: 2 later records of the same keys, for a person" in told
    assert "the same in all: channel partner, stage contract, class contract, code MISSING_FIELD" in told


def test_programs_get_the_same_facts() -> None:
    """Key, bytes and headers only when the payload is asked for."""
    row = row_of(dead_letter_message(letter(1)))
    masked, full = letter_record(row, COMMANDS, full=False), letter_record(row, COMMANDS, full=True)
    cause = story_record(Story(row, GROUP, [], [row], COMMANDS, full=False))

    assert (0, 0) == (masked["held_behind"], cause["held_behind"])
    assert masked.keys() - full.keys() == {"payload_masked"}
    assert {"key_base64", "value_base64", "headers"} == full.keys() - masked.keys()
    assert masked == cause["example"]
    assert [letter(1).id] == cause["dead_letter_ids"]
    assert json.dumps(full, default=str)
