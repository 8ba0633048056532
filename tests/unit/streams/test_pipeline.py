"""Every record ends as intents or as one refusal, and a refusal tells no secrets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.pipeline import CHANNELS, MAX_RECORD_BYTES, Channel, read_intents
from streams.reading.intent import PlanNames, Reading, Unreadable
from streams.reading.refusal import Code
from tests.support.channel_examples import JSON_CHANNELS, PLANS, json_examples
from tests.support.json_mutants import mutants
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.kit.records import Headers, Record

PORTAL = CHANNELS["portal"]
ORDER = {"reference": "r-1", "subscription_id": "sub_88", "target": {"seats": 20}}
READABLE = [e.value for e in json_examples() if e.expected.get("dead", {}).get("class") != "decode"]
SECRET = "jane@example.com"


def read(value: bytes | None, channel: Channel = PORTAL, headers: Headers = ()) -> Reading | Unreadable:
    """What intake reads in a record with that value."""
    record = Record(channel.topic.name, 0, 7, 1_795_435_200_000, None, value, headers)
    return read_intents(channel, record, PlanNames(PLANS, channel.name))


def refusal_of(value: bytes | None, channel: Channel = PORTAL) -> Dead:
    """The refusal of a record with that value."""
    reading = read(value, channel)

    assert isinstance(reading, Unreadable)
    return reading.dead


@pytest.mark.parametrize("channel", CHANNELS.values(), ids=CHANNELS)
def test_a_tombstone_is_a_decode_error(channel: Channel) -> None:
    """A record without a value asks for nothing that could be read."""
    dead = refusal_of(None, channel)

    assert (DeadLetterClass.DECODE, Code.TOMBSTONE, None) == (dead.dead_letter_class, dead.code, dead.field)


@pytest.mark.parametrize("name", JSON_CHANNELS)
@pytest.mark.parametrize(
    "bomb", [b"[" * 100_000, b'{"x":' * 100_000, b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"]
)
def test_a_nesting_bomb_is_a_decode_error(name: str, bomb: bytes) -> None:
    """100,000 brackets, alone or in a field that nobody knows."""
    assert Code.NESTING_TOO_DEEP == refusal_of(bomb, CHANNELS[name]).code


def test_a_record_of_the_largest_size_is_read() -> None:
    """1 MiB is still an order."""
    order = json.dumps(ORDER).encode()
    reading = read(order + b" " * (MAX_RECORD_BYTES - len(order)))

    assert isinstance(reading, Reading)


def test_a_record_over_the_limit_is_oversize_and_not_even_parsed() -> None:
    """One byte more than 1 MiB ends as its own class, without a reference."""
    order = json.dumps(ORDER).encode()
    reading = read(order + b" " * (MAX_RECORD_BYTES - len(order) + 1))

    assert isinstance(reading, Unreadable)
    assert (DeadLetterClass.OVERSIZE, Code.RECORD_TOO_LARGE) == (
        reading.dead.dead_letter_class,
        reading.dead.code,
    )
    assert reading.reference is None


def test_a_million_digits_are_refused_and_not_computed() -> None:
    """Python alone would take minutes, or raise its own limit."""
    value = json.dumps(ORDER).replace("20", "9" * 1_000_000).encode()

    assert (Code.INTEGER_TOO_LARGE, "target.seats") == (refusal_of(value).code, refusal_of(value).field)


@pytest.mark.parametrize(("items", "field"), [(500, None), (501, "productOrderItem")])
def test_a_partner_order_has_at_most_500_items(items: int, field: str | None) -> None:
    """More are refused as a whole, and the list is named."""
    line = {"id": "1", "action": "modify", "quantity": 3}
    order = {"productOrderItem": [{**line, "product": {"id": f"P-{n}"}} for n in range(items)]}
    reading = read(json.dumps(order).encode(), CHANNELS["partner"])

    if field is None:
        assert isinstance(reading, Reading)
        assert items == len(reading.intents)
    else:
        assert isinstance(reading, Unreadable)
        assert (Code.TOO_MANY, field) == (reading.dead.code, reading.dead.field)


def test_a_wrong_source_is_told_apart_from_the_default() -> None:
    """Nobody's order is filed under ``main`` because its header could not be read."""
    reading = read(json.dumps(ORDER).encode(), headers=(("source", b"\xff"),))

    assert isinstance(reading, Unreadable)
    assert ("?", "r-1", Code.INVALID_SOURCE) == (reading.source, reading.reference, reading.dead.code)


@settings(deadline=None, max_examples=200)
@given(value=st.one_of(st.none(), st.binary(max_size=60), mutants(READABLE, ["id", "action", "target"])))
def test_no_record_raises(value: bytes | None) -> None:
    """Whatever the bytes are, each channel answers with intents or with one refusal."""
    for channel in CHANNELS.values():
        reading = read(value, channel)

        assert isinstance(reading, Unreadable) or reading.intents


@settings(deadline=None, max_examples=300)
@given(value=mutants(READABLE, [SECRET]))
def test_a_refusal_holds_no_word_of_the_payload(value: bytes) -> None:
    """Keys that nobody knows and values stay out of code, path and text."""
    for channel in CHANNELS.values():
        reading = read(value, channel)
        if isinstance(reading, Unreadable):
            assert SECRET not in repr(reading.dead)


@pytest.mark.parametrize(
    "value",
    [
        {"productOrderItem": [{"id": "1", "action": SECRET}]},
        {"productOrderItem": [{"id": "1", "action": f"' - at `$.{SECRET}`"}]},
        {"productOrderItem": [{"id": SECRET * 20, "action": "add"}]},
        {"productOrderItem": {SECRET: 1}},
    ],
)
def test_a_refused_value_is_not_quoted(value: object) -> None:
    """The decoder's own message, which quotes, goes nowhere."""
    dead = refusal_of(json.dumps(value).encode(), CHANNELS["partner"])

    assert SECRET not in repr(dead)
    assert len(dead.detail.encode()) <= 512
