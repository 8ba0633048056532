"""Avro's integers: zigzag, then seven bits a byte, low bits first, the high bit says that more follow.

Small ones come from tables, larger ones are put together from two-byte pieces of a table, because this
runs several times for every record.
"""

from __future__ import annotations

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
