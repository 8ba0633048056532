"""The partition of an account: murmur2 of its id, as Kafka's default partitioner computes it.

Every producer passes the partition explicitly, so that Python, librdkafka and Java agree without
having to be configured alike.
"""

from __future__ import annotations

from functools import lru_cache

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 hash of ``data`` as ``org.apache.kafka.common.utils.Utils`` has it, unsigned."""
    length = len(data)
    h = (_SEED ^ length) & _MASK
    whole = length & ~3
    for start in range(0, whole, 4):
        k = int.from_bytes(data[start : start + 4], "little")
        k = (k * _MULTIPLIER) & _MASK
        k = ((k ^ (k >> 24)) * _MULTIPLIER) & _MASK
        h = ((h * _MULTIPLIER) & _MASK) ^ k
    if whole < length:
        h = ((h ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER) & _MASK
    h = ((h ^ (h >> 13)) * _MULTIPLIER) & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=65_536)
def partition_of(account_id: str, partitions: int) -> int:
    """The partition (0 to ``partitions`` - 1) of ``account_id`` on the command and event topics."""
    return (murmur2(account_id.encode()) & 0x7FFFFFFF) % partitions
