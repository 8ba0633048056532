"""What commands print."""

from __future__ import annotations

import json

import pytest

from tierline.cli.output import duration, print_json, print_table, size


def test_a_table_in_a_pipe_is_neither_cut_nor_padded(capsys: pytest.CaptureFixture[str]) -> None:
    """Ids can be cut out of it by any tool; numbers end at the same column."""
    print_table(("id", ">count"), [("x" * 300, "7"), ("y", "1,000")])
    assert capsys.readouterr().out.splitlines() == [
        f"{'id':<300}   count",
        f"{'x' * 300}       7",
        f"{'y':<300}   1,000",
    ]


def test_json_is_what_a_program_reads(capsys: pytest.CaptureFixture[str]) -> None:
    """Round trip."""
    print_json({"a": [1, None]})
    assert {"a": [1, None]} == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0, "0 s"), (59, "59 s"), (60, "1 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")],
)
def test_a_duration_is_given_in_the_units_people_use(seconds: int | None, text: str) -> None:
    """Two units at most."""
    assert text == duration(seconds)


def test_memory_is_given_in_megabytes() -> None:
    """Nothing for what does not run."""
    assert size(1_234_000_000) == "1,234 MB"
    assert size(None) == ""
