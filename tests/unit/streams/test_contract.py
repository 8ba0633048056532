"""The quick way and the strict way of a contract give the same, whatever the bytes are."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.channels import partner, portal
from streams.reading.contract import Contract, Document
from streams.reading.refusal import Code, Refused
from tests.support.channel_examples import json_examples
from tests.support.json_mutants import mutants, values, written

CONTRACTS: list[Contract[Any]] = [portal.CONTRACT, partner.CONTRACT]
NAMES = sorted(portal.CONTRACT.names | partner.CONTRACT.names)
PAYLOADS = [found.value for found in json_examples()]
READABLE = [e.value for e in json_examples() if e.expected.get("dead", {}).get("class") != "decode"]

OUTCOME = tuple[object, ...]


def outcome(read: Callable[[bytes], Document[Any]], value: bytes) -> OUTCOME:
    """What a reading gives, without how it was read; the whole object only where it says more."""
    try:
        document = read(value)
    except Refused as refused:
        return refused.code, refused.field
    declared = msgspec.to_builtins(document.content)
    raw = None if document.raw == declared else document.raw
    return document.content, document.unknown_fields, raw


def by_any_way(contract: Contract[Any], value: bytes) -> OUTCOME:
    """What ``read`` gives."""
    return outcome(contract.read, value)


def by_the_strict_way(contract: Contract[Any], value: bytes) -> OUTCOME:
    """What ``read_strictly`` gives."""
    return outcome(contract.read_strictly, value)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_both_ways_agree_on_every_example(contract: Contract[Any]) -> None:
    """Good and bad payloads of all channels, read by each contract."""
    assert [by_the_strict_way(contract, v) for v in PAYLOADS] == [by_any_way(contract, v) for v in PAYLOADS]


@settings(deadline=None, max_examples=400)
@given(value=mutants(READABLE, NAMES))
def test_both_ways_agree_near_an_order(value: bytes) -> None:
    """Doubled, unknown, missing and ugly members give one result, whichever way reads them."""
    for contract in CONTRACTS:
        assert by_the_strict_way(contract, value) == by_any_way(contract, value)


@settings(deadline=None, max_examples=150)
@given(tree=values(NAMES))
def test_both_ways_agree_on_any_json(tree: Any) -> None:
    """Also for values that are no order at all."""
    value = written(tree).encode("utf-8", "surrogatepass")
    for contract in CONTRACTS:
        assert by_the_strict_way(contract, value) == by_any_way(contract, value)


@settings(deadline=None, max_examples=150)
@given(
    payload=st.sampled_from(PAYLOADS),
    place=st.floats(0, 1),
    wedge=st.binary(max_size=4),
    cut=st.integers(0, 4),
)
def test_both_ways_agree_on_damaged_bytes(payload: bytes, place: float, wedge: bytes, cut: int) -> None:
    """Bytes cut out and pushed in anywhere."""
    start = int(place * len(payload))
    value = payload[:start] + wedge + payload[start + cut :]
    for contract in CONTRACTS:
        assert by_the_strict_way(contract, value) == by_any_way(contract, value)


@pytest.mark.parametrize("payload", [v for v in READABLE if v.isascii() and b"\\" not in v])
def test_the_quick_way_is_left_for_every_doubled_key(payload: bytes) -> None:
    """A member that is written twice never passes, in any place of the record."""
    text = payload.decode()
    for name in {*json.loads(text)} & set(NAMES):
        doubled = text.replace(f'"{name}"', f'"{name}": 1, "{name}"', 1).encode()

        with pytest.raises(Refused) as refused:
            (portal.CONTRACT if b"reference" in payload else partner.CONTRACT).read(doubled)
        assert Code.DUPLICATE_KEY is refused.value.code


def test_a_plain_order_is_read_the_quick_way() -> None:
    """The common record never pays for the strict way; neither does one with fields that are not read."""
    order: dict[str, Any] = {"reference": "r", "target": {"seats": 3}}
    documents = [
        portal.CONTRACT.read(json.dumps({**order, **more}).encode()) for more in ({}, {"x": [{"y": 1}]})
    ]

    assert [(0, None, False), (1, {**order, "x": [{"y": 1}]}, False)] == [
        (document.unknown_fields, document.raw, document.strict) for document in documents
    ]


def test_the_reference_of_a_refused_record_is_found_where_it_can_be() -> None:
    """The reply to a broken order names it as the channel does, if that much is readable."""
    found = [
        portal.CONTRACT.reference_in(value)
        for value in (
            b'{"reference":"r-1","target":5}',
            b'{"reference":7}',
            b'{"reference":"a\\u0007"}',
            b"{",
            None,
        )
    ]

    assert ["r-1", None, None, None, None] == found
