"""The partition of an account is the one that Kafka's own clients compute."""

import pytest

from tierline.kit.partitioner import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "hash_"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_the_golden_values_of_the_java_client(key: bytes, hash_: int) -> None:
    """The hash is bit for bit that of Kafka's ``Utils.murmur2``."""
    assert hash_ % 2**32 == murmur2(key)


def test_the_sign_bit_is_cleared_before_the_remainder() -> None:
    """A negative hash is made positive by its lowest 31 bits, not by its amount."""
    assert (-790332482 % 2**31) % 12 == partition_of("foobar", 12)
