"""Integers as Avro writes them."""

from __future__ import annotations

import io

import fastavro
import pytest

from schemas.varint import (
    INT,
    INT_MAX,
    INT_MIN,
    LENGTH,
    LONG_MAX,
    LONG_MIN,
    SMALL,
    int32,
    long,
    tagged_lengths,
)

POWERS = [sign * 2**bits + near for bits in range(63) for sign in (1, -1) for near in (-1, 0, 1)]


def by_fastavro(number: int) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", number)
    return out.getvalue()


@pytest.mark.parametrize("number", [*POWERS, LONG_MAX, LONG_MIN])
def test_a_long_is_written_as_fastavro_writes_it(number: int) -> None:
    """Around every power of two, to both ends."""
    assert by_fastavro(number) == long(number)


def test_the_table_holds_each_small_integer_at_its_own_index() -> None:
    """Negative ones stand at the end, where a negative index finds them."""
    assert all(long(number) == INT[number] for number in range(-SMALL, SMALL))


def test_a_length_beyond_the_table_is_refused_by_it() -> None:
    """No length may find the encoding of a negative number."""
    with pytest.raises(IndexError):
        LENGTH[SMALL]


def test_a_tagged_length_begins_with_its_branch() -> None:
    """The index of the branch, then the length."""
    assert long(1) + long(300) == tagged_lengths(1)[300]


@pytest.mark.parametrize("number", [LONG_MAX + 1, LONG_MIN - 1, 2**100])
def test_a_long_has_64_bits(number: int) -> None:
    """Beyond them nothing is written."""
    with pytest.raises(OverflowError):
        long(number)


@pytest.mark.parametrize("number", [INT_MAX + 1, INT_MIN - 1])
def test_an_int_has_32_bits(number: int) -> None:
    """Beyond them nothing is written."""
    with pytest.raises(OverflowError):
        int32(number)


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_only_an_integer_is_an_integer(value: object) -> None:
    """A bool is none, and money is never a float."""
    with pytest.raises(TypeError):
        long(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        int32(value)  # type: ignore[arg-type]
