"""Avro's integers: zigzag, then seven bits a byte, low bits first, the high bit says that more follow.

Small ones come from tables, larger ones are put together from two-byte pieces of a table, because this
runs several times for every record.
"""

from __future__ import annotations

from functools import lru_cache

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1

SMALL = 8192
"""Integers from -SMALL up to SMALL - 1 take at most two bytes and stand in the tables."""

_PIECE = 2 * SMALL
_MASK = _PIECE - 1
_TWO_PIECES = 1 << 28
_THREE_PIECES = 1 << 42


def _two_bytes_at_most(zigzag: int) -> bytes:
    return bytes((zigzag,)) if zigzag < 128 else bytes((zigzag & 127 | 128, zigzag >> 7))


_LAST = tuple(_two_bytes_at_most(zigzag) for zigzag in range(_PIECE))
_MORE = tuple(bytes((zigzag & 127 | 128, zigzag >> 7 | 128)) for zigzag in range(_PIECE))

INT = tuple(_LAST[0::2] + _LAST[::-2])
"""``INT[n]`` for -SMALL <= n < SMALL: a negative index counts from the end, where its encoding stands."""

LENGTH = INT[:SMALL]
"""``LENGTH[n]`` for a length or count; IndexError from SMALL on."""


def tagged_lengths(branch: int) -> tuple[bytes, ...]:
    """``LENGTH`` with the index of a union branch before each entry."""
    return tuple(INT[branch] + length for length in LENGTH)


def long(number: int) -> bytes:
    """Encode a long. TypeError for anything but an int (a bool is none), OverflowError beyond 64 bits."""
    if number.__class__ is not int:
        raise TypeError(number)
    zigzag = number << 1 if number >= 0 else ~(number << 1)
    if zigzag < _TWO_PIECES:
        return _MORE[zigzag & _MASK] + _LAST[zigzag >> 14] if zigzag >= _PIECE else _LAST[zigzag]
    if zigzag < _THREE_PIECES:
        return _MORE[zigzag & _MASK] + _MORE[zigzag >> 14 & _MASK] + _LAST[zigzag >> 28]
    if zigzag >> 64:
        raise OverflowError(number)
    return (
        _MORE[zigzag & _MASK]
        + _MORE[zigzag >> 14 & _MASK]
        + _MORE[zigzag >> 28 & _MASK]
        + _rest(zigzag >> 42)
    )


def _rest(zigzag: int) -> bytes:
    return _MORE[zigzag & _MASK] + _LAST[zigzag >> 14] if zigzag >= _PIECE else _LAST[zigzag]


def int32(number: int) -> bytes:
    """Encode an int. TypeError for anything but an int (a bool is none), OverflowError beyond 32 bits."""
    if number.__class__ is int and not INT_MIN <= number <= INT_MAX:
        raise OverflowError(number)
    return long(number)


def _one_byte(zigzag: int) -> int:
    return zigzag >> 1 ^ -(zigzag & 1)


INT_OF_BYTE = tuple(_one_byte(byte) if byte < 128 else None for byte in range(256))
"""The integer that ends with its first byte; None where more bytes follow."""

SIZE_OF_BYTE = tuple(byte >> 1 if byte < 128 and not byte & 1 else None for byte in range(256))
"""The length or count that is one byte; None where it takes more, or is none."""

_TENTH_BYTE = 63


def long_at(value: bytes, place: int) -> tuple[int, int]:
    """The integer at ``place`` and the place behind it.

    Raises IndexError where the bytes end inside it, ValueError for one beyond 64 bits.
    """
    first, second = value[place] & 127, value[place + 1]
    if second < 128:
        zigzag = first | second << 7
        return zigzag >> 1 ^ -(zigzag & 1), place + 2
    third = value[place + 2]
    if third < 128:
        zigzag = first | (second & 127) << 7 | third << 14
        return zigzag >> 1 ^ -(zigzag & 1), place + 3
    instant = _six_bytes(value[place : place + 6])
    return (instant, place + 6) if instant is not None else _long_at(value, place)


@lru_cache(maxsize=4096)
def _six_bytes(taken: bytes) -> int | None:
    """The integer of exactly these six bytes, None if it is another number of them.

    Instants of our time take six bytes, and the events of a decision share most of theirs.
    """
    found, place = _long_at(taken + b"\0", 0)
    return found if place == len(taken) == 6 else None


def _long_at(value: bytes, place: int) -> tuple[int, int]:
    byte = value[place]
    zigzag, shift = byte & 127, 7
    while byte > 127:
        if shift > _TENTH_BYTE:
            raise ValueError(shift)
        place += 1
        byte = value[place]
        zigzag |= (byte & 127) << shift
        shift += 7
    if zigzag >> 64:
        raise ValueError(zigzag)
    return zigzag >> 1 ^ -(zigzag & 1), place + 1


def size_at(value: bytes, place: int) -> tuple[int, int]:
    """The length or count at ``place`` and the place behind it.

    Raises as ``long_at``; ValueError for a negative one too.
    """
    size, place = long_at(value, place)
    if size < 0:
        raise ValueError(size)
    return size, place
