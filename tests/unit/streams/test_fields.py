"""Times in payloads: only instants that exist and are unambiguous are taken."""

from __future__ import annotations

import pytest

from streams.reading.fields import milliseconds_of, start_date, start_instant
from streams.reading.refusal import Code, Refused

NOON = 1_795_435_200_000  # 2026-11-23T12:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-23T12:00:00Z", NOON),
        ("2026-11-23t12:00:00z", NOON),
        ("2026-11-23T13:00:00+01:00", NOON),
        ("2026-11-23T12:00:00.999999Z", NOON + 999),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2024-02-29T00:00:00-00:00", 1_709_164_800_000),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000),
    ],
)
def test_an_instant_counts_in_milliseconds(text: str, expected: int) -> None:
    """RFC 3339 with an offset, rounded down."""
    assert expected == milliseconds_of(text, "at")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23",
        "2026-11-23T12:00:00",
        "2026-02-29T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T12:00:60Z",
        "2026-11-23T12:00Z",
        "2026-11-23T12:00:00+24:00",
        "23.11.2026 12:00",
        "1795435200",
        "now",
        "2026-W48-1T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-11-23T12:00:00 UTC",
        "\uff12\uff1026-11-23T12:00:00Z",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    """A day that does not exist, a time without its offset, another notation."""
    with pytest.raises(Refused) as refused:
        milliseconds_of(text, "at")

    assert (Code.INVALID_TIMESTAMP, "at") == (refused.value.code, refused.value.field)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T12:00:00Z", "now"),
        ("2020-01-01T00:00:00Z", "now"),
        ("2026-11-23T12:00:00.001Z", "2026-11-23T12:00:00.001000Z"),
        ("2026-12-01T00:00:00+01:00", "2026-11-30T23:00:00Z"),
        ("2026-11-30T23:00:00Z", "2026-11-30T23:00:00Z"),
    ],
)
def test_a_start_that_has_come_is_now_and_a_later_one_is_told_in_utc(text: str, expected: str) -> None:
    """Compared with the moment the broker took the record; one instant has one text."""
    assert expected == start_instant(text, "at", NOON)


@pytest.mark.parametrize(
    ("text", "received_at", "expected"),
    [
        ("2026-11-23", NOON, "now"),
        ("2026-11-23", NOON - 1, "2026-11-23"),
        ("2026-11-22", NOON - 1, "now"),
        ("2026-11-24", NOON, "2026-11-24"),
    ],
)
def test_a_day_counts_as_come_once_it_has_begun_everywhere(
    text: str, received_at: int, expected: str
) -> None:
    """The account's zone is not known here: nobody's order may count a day early."""
    assert expected == start_date(text, "effective", received_at)


@pytest.mark.parametrize("text", ["2026-02-30", "20261123", "2026-W48-1", "2026-11-23T00:00:00Z", "2026-1-1"])
def test_what_is_no_day_is_refused(text: str) -> None:
    """Only days that exist, as YYYY-MM-DD."""
    with pytest.raises(Refused) as refused:
        start_date(text, "effective", NOON)

    assert Code.INVALID_TIMESTAMP is refused.value.code
