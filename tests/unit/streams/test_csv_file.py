"""A file of rows is cut into records: nothing lost, nothing doubled, refused where no row could be read."""

from __future__ import annotations

import pytest

from streams.channels.sales_desk import CONTRACT
from streams.pipeline import CHANNELS, read_intents
from streams.reading.csv_file import CutFile, FileRefused, cut
from streams.reading.intent import PlanNames, Reading
from tests.support.channel_examples import ARRIVAL_MS, PLANS
from tierline.kit.records import Record

HEADER = b"order_ref,account,subscription,target_plan,seats,modules,effective,quote"
ROW = b"SD-1,acc_204,sub_88,business-year,15,,now,"
MARK = b"\xef\xbb\xbf"


def cut_rows(*lines: bytes, line_end: bytes = b"\r\n", header: bytes = HEADER) -> CutFile:
    """The rows of a file with these lines below the header."""
    return cut(line_end.join([header, *lines, b""]), CONTRACT)


def outcome(value: bytes) -> str:
    """What intake makes of a record: the identity of the order, or the code of the refusal."""
    channel = CHANNELS["sales_desk"]
    record = Record(channel.topic.name, 0, 1, ARRIVAL_MS, None, value)
    reading = read_intents(channel, record, PlanNames(PLANS, "sales_desk"))
    return reading.intents[0].reference if isinstance(reading, Reading) else reading.dead.code


def test_each_row_is_a_record_with_the_header_line() -> None:
    """With its number in the file, and its subscription or account as the key."""
    rows = cut_rows(ROW, b"SD-2,acc_205,,,20,,,").rows

    assert [
        (2, b"sub_88", HEADER + b"\r\n" + ROW + b"\r\n"),
        (3, b"acc_205", HEADER + b"\r\nSD-2,acc_205,,,20,,,\r\n"),
    ] == [(row.number, row.key, row.value) for row in rows]


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", MARK])
def test_line_ends_and_mark_of_the_file_leave_no_trace(line_end: bytes, mark: bytes) -> None:
    """The same rows give the same records, whichever program wrote the file."""
    assert cut_rows(ROW) == cut_rows(ROW, line_end=line_end, header=mark + HEADER)


def test_empty_rows_are_left_out_and_counted() -> None:
    """Also those in which a spreadsheet left its commas."""
    found = cut_rows(b"", ROW, b",,,,,,,", b'"",, ,,,,,', b"  ")

    assert ([3], 4) == ([row.number for row in found.rows], found.empty_rows)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (b'SD-2,"acc_204,sub_88,business-year,15,,now,', "MALFORMED_CSV"),
        (b'SD-2,acc"204",sub_88,business-year,15,,now,', "MALFORMED_CSV"),
        (b"SD-2,acc_204,sub_88,business-year,1,5,,now,", "RAGGED_ROW"),
        (b"SD-2", "RAGGED_ROW"),
        (b"SD-2;acc_204;sub_88;business-year;15;;now;", "RAGGED_ROW"),
        (b"SD-2,acc\x00,sub_88,business-year,15,,now,", "NUL_BYTE"),
        (b"SD-2,acc_\xfc,sub_88,business-year,15,,now,", "INVALID_UTF8"),
        (b"SD-2,acc_204,sub_88,business-year,1e3,,now,", "INVALID_NUMBER"),
    ],
)
def test_a_broken_row_does_not_stop_the_others(broken: bytes, expected: str) -> None:
    """It is a record like them, with its own bytes, and ends by its own code."""
    rows = cut_rows(ROW, broken, ROW.replace(b"SD-1", b"SD-3")).rows

    assert ["SD-1", expected, "SD-3"] == [outcome(row.value) for row in rows]
    assert HEADER + b"\r\n" + broken + b"\r\n" == rows[1].value


def test_a_cell_may_hold_line_ends_commas_and_quotes() -> None:
    """One row of three lines is one record, and the rows behind it keep their numbers."""
    note = b'"two\r\nlines, ""quoted"""'
    rows = cut_rows(ROW + b"," + note, ROW.replace(b"SD-1", b"SD-2") + b",", header=HEADER + b",note").rows

    assert [(2, "SD-1"), (3, "SD-2")] == [(row.number, outcome(row.value)) for row in rows]
    assert note in rows[0].value


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (MARK + b"\r\n \r\n", "it is empty"),
        (HEADER, "no row below its header line"),
        (HEADER + b"\r\n,,,,,,,\r\n", "no row below its header line"),
        (b"PK\x03\x04\x14\x00", "a spreadsheet or an archive"),
        ((HEADER + b"\r\n" + ROW).decode().encode("utf-16"), "it is not UTF-8 text"),
        ((HEADER + b"\r\n" + ROW).decode().encode("utf-16-le"), "it is not UTF-8 text"),
        (b"%PDF-1.7\n" + ROW, "MISSING_COLUMN (column order_ref)"),
        (b'{"reference": 1}\n{"reference": 2}\n', "MALFORMED_CSV"),
        ((HEADER + b"\n" + ROW).replace(b",", b";"), "WRONG_DELIMITER"),
        ((HEADER + b"\n" + ROW).replace(b",", b"\t"), "WRONG_DELIMITER"),
        (ROW + b"\n" + ROW, "MISSING_COLUMN (column order_ref)"),
        (HEADER.replace(b"seats", b"sests") + b"\n" + ROW, "MISSING_COLUMN (column seats)"),
        (HEADER + b",seats\n" + ROW + b",16", "DUPLICATE_COLUMN (column seats)"),
        (b'"' + HEADER + b"\n" + ROW, "MALFORMED_CSV"),
        (HEADER + b",caf\xe9\n" + ROW + b",", "INVALID_UTF8"),
    ],
)
def test_a_file_of_which_no_row_could_be_read_is_refused(content: bytes, problem: str) -> None:
    """Before anything is published, with what is wrong and what to do."""
    with pytest.raises(FileRefused) as refused:
        cut(content, CONTRACT)

    assert problem in refused.value.problem
    assert refused.value.action
