"""The answer to a file: its rows as they were, how each ended, nothing that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from streams.answering.row_answers import SentRow, answer_csv, answers, harmless
from streams.channels.sales_desk import CONTRACT
from streams.reading.csv_file import cut

HEADER = b"order_ref,account,subscription,target_plan,seats,modules,effective,quote"
ROW = b'SD-1, acc_204,sub_88,"Business ""yearly""",15,,now,'


def sent(*lines: bytes, header: bytes = HEADER, first: int = 2) -> list[SentRow]:
    """Rows as they stand on the topic, their offsets being their numbers."""
    return [
        SentRow((0, number), "u1", number, header + b"\r\n" + line + b"\r\n")
        for number, line in enumerate(lines, first)
    ]


def reply(offset: int, outcome: str, answered_at: int = 1, **fields: Any) -> dict[str, Any]:
    """A reply to the row at ``offset``."""
    base = {"reasons": [], "duplicate": False, "order_id": None, "answered_at": answered_at}
    return {**base, "origin": {"partition": 0, "offset": offset}, "outcome": outcome, **fields}


def table(content: bytes) -> list[dict[str, str]]:
    """The answer as a spreadsheet reads it."""
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))


def test_each_row_comes_back_with_its_own_bytes() -> None:
    """Quotes, blanks and the order of the columns are those of the file."""
    answer = answer_csv(answers(sent(ROW), [reply(2, "completed", order_id="o-1")]))

    assert [
        b"tierline_row," + HEADER + b",tierline_outcome,tierline_duplicate,tierline_reason,tierline_field"
        b",tierline_text,tierline_detail,tierline_order_id,tierline_row_text",
        b"2," + ROW + b",completed,,,,,,o-1,",
        b"",
    ] == answer.split(b"\r\n")


def test_a_row_without_reply_waits() -> None:
    """It is listed, and nothing is said about it yet."""
    [row] = table(answer_csv(answers(sent(ROW), [])))

    assert ("2", "waiting", "") == (row["tierline_row"], row["tierline_outcome"], row["tierline_reason"])


def test_all_reasons_of_a_row_are_told() -> None:
    """Codes, columns, texts for the customer and details beside each other."""
    reasons = [
        {"code": "A", "text": "Text a.", "detail": "detail a", "field": "seats"},
        {"code": "B", "text": "Text b.", "detail": None, "field": None},
    ]
    [row] = table(answer_csv(answers(sent(ROW), [reply(2, "rejected", reasons=reasons)])))

    assert ("A;B", "seats", "Text a. Text b.", "detail a") == tuple(
        row[f"tierline_{name}"] for name in ("reason", "field", "text", "detail")
    )


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["in_progress", "completed"], "completed"),
        (["completed", "in_progress"], "completed"),
        (["in_progress"], "in_progress"),
        (["held", "rejected"], "rejected"),
        (["in_progress", "conflict"], "in_progress"),
        (["completed", "conflict"], "completed"),
        (["dead", "completed"], "completed"),
    ],
)
def test_the_last_final_reply_counts(outcomes: list[str], expected: str) -> None:
    """An answer in between, or one about another order, never hides how the row ended."""
    replies = [reply(2, outcome, time) for time, outcome in enumerate(outcomes)]

    assert [expected] == [answer.outcome for answer in answers(sent(ROW), replies)]


@pytest.mark.parametrize("line", [b'SD-1,"acc_204', b"SD-1,acc_204", ROW + b",more", b'SD-1,a"b,,,,,,'])
def test_a_row_that_does_not_fit_comes_back_whole_in_one_cell(line: bytes) -> None:
    """It moves no other cell, and its text is complete."""
    rows = table(answer_csv(answers(sent(line, ROW), [reply(2, "dead")])))

    assert [line.decode(), ""] == [row["tierline_row_text"] for row in rows]
    assert ["", "SD-1"] == [row["order_ref"] for row in rows]


@pytest.mark.parametrize("start", ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_ours_is_a_formula(start: str) -> None:
    """What the texts quote may come from anybody."""
    assert f"'{start}" == harmless(start)
    reasons = [{"code": "A", "text": start, "detail": start, "field": None}]
    [row] = table(answer_csv(answers(sent(b'=1+2,"'), [reply(2, "dead", reasons=reasons)])))

    assert {f"'{start}"} == {row["tierline_text"], row["tierline_detail"]}
    assert "'=1+2,\"" == row["tierline_row_text"]


def test_the_cells_of_the_row_itself_are_not_changed() -> None:
    """They are the sender's own: what was sent comes back, formulas included."""
    line = ROW.replace(b"SD-1", b"=1+2")

    assert b"2,=1+2," in answer_csv(answers(sent(line), []))


def test_the_answer_can_be_published_again_and_answered_again() -> None:
    """Its rows are the same orders, and the columns that were added do not pile up."""
    first = answer_csv(answers(sent(ROW), [reply(2, "completed")]))
    [again] = cut(b"\xef\xbb\xbf" + first, CONTRACT).rows
    document = CONTRACT.read(again.value)
    second = answer_csv(answers([SentRow((0, 2), "u2", 2, again.value)], [reply(2, "completed")]))

    assert (CONTRACT.read(sent(ROW)[0].value).content, 0) == (document.content, document.unknown_fields)
    assert first == second


def test_rows_stand_in_the_order_of_the_file() -> None:
    """Whatever partitions they went to."""
    rows = sent(ROW, ROW, ROW)

    assert [2, 3, 4] == [answer.row.number for answer in answers(reversed(rows), [])]
