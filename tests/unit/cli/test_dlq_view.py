"""Dead letters by cause, as people read them."""

from __future__ import annotations

from dataclasses import replace

from tests.support.dead_letters import GROUP
from tierline.cli.dlq_view import group_row, groups_sentence


def cells(**changed: object) -> list[str]:
    return [str(cell) for cell in group_row(replace(GROUP, **changed))]  # type: ignore[arg-type]


def test_a_group_is_one_line() -> None:
    """Short id for the next command, accounts, records, times, and the cause in the reader's words."""
    assert [
        "aaaaaaaa",
        "3",
        "1,204",
        "11-23 14:02",
        "11-23 14:02",
        "partner · contract · MISSING_FIELD productOffering.id",
        "1.0",
    ] == cells(records=1204)


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
    )[5]

    assert "no channel · bug · UNEXPECTED_ERROR KeyError streams.x:f" == line


def test_the_last_line_is_the_next_command() -> None:
    """Or the good news."""
    assert "No dead letter is open." == groups_sentence([])
    assert groups_sentence([GROUP]).endswith("Next: tierline dlq show aaaaaaaa")
    assert "10 open, 1 cause, " in groups_sentence([GROUP])
