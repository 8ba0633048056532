"""Headers name the sender and the trace; a sender that cannot be told is refused."""

from __future__ import annotations

import pytest

from streams.reading.headers import source_of, traceparent_of
from streams.reading.refusal import Code, Refused

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), "main"),
        ((("other", b"x"),), "main"),
        ((("source", b"eu-shop"),), "eu-shop"),
        ((("source", b"a" * 64),), "a" * 64),
        ((("source", b"urn:p.1_2"), ("source", b"urn:p.1_2")), "urn:p.1_2"),
    ],
)
def test_the_sending_instance_is_the_header_or_main(
    headers: tuple[tuple[str, bytes], ...], expected: str
) -> None:
    """One name, however often it stands there."""
    assert expected == source_of(headers)


@pytest.mark.parametrize(
    "values",
    [
        [b""],
        [b"a b"],
        [b"a" * 65],
        [b"\xff"],
        ["größe".encode()],
        [b"a\n"],
        [b"a\x1fb"],
        [b"eu", b"us"],
        [b"eu", b""],
    ],
)
def test_a_sending_instance_that_cannot_be_told_is_refused(values: list[bytes]) -> None:
    """Its orders would be mixed with another's."""
    with pytest.raises(Refused) as refused:
        source_of(tuple(("source", value) for value in values))

    assert (Code.INVALID_SOURCE, "headers.source") == (refused.value.code, refused.value.field)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), None),
        ((("traceparent", TRACE),), TRACE.decode()),
        ((("traceparent", b"00-4BF92F-1"),), None),
        ((("traceparent", b"\xff"),), None),
        ((("traceparent", b"nonsense"), ("traceparent", TRACE)), TRACE.decode()),
    ],
)
def test_a_trace_is_kept_where_it_is_well_formed(
    headers: tuple[tuple[str, bytes], ...], expected: str | None
) -> None:
    """And never a reason to refuse an order."""
    assert expected == traceparent_of(headers)
