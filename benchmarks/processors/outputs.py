"""What every record has to become, made the slow way, and the look at what a runner made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.normalizer_hot_path import rows_of
from benchmarks.processors.work import CHANNEL
from benchmarks.reference import FastavroWriter, read_strictly
from streams.normalizing.normalize import ORDER_TYPE, TYPE
from streams.normalizing.resolve import Resolved, resolve_record
from streams.pipeline import CHANNELS
from streams.reading.intent import PlanNames
from tierline import bootstrap
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Record
from tierline.kit.settings import Settings
from tierline.kit.version import APP_VERSION

Origin = tuple[int, int]
"""Partition and offset of an order."""

_HEADERS = ((TYPE, ORDER_TYPE),)


@dataclass(frozen=True, slots=True)
class Expected:
    """Which order a command belongs to, by a digest of all that is sent of it."""

    origins: Mapping[bytes, Origin]

    def look_at(self, commands: Iterable[Record], positions: Mapping[int, int]) -> int:
        """How many commands came more than once.

        Raises AssertionError where one is not what its order has to become, byte for byte, where one of a
        partition overtook another, or where an order before a stored position has none.
        """
        last: dict[tuple[int, int], int] = {}
        seen: set[Origin] = set()
        repeated = 0
        for command in commands:
            origin = self.origins.get(_digest(command.partition, command.key, command.value))
            assert origin is not None, f"the command at {command.partition}, {command.offset} differs"
            assert command.headers == _HEADERS, f"the headers of a command are {command.headers}"
            if origin in seen:
                repeated += 1
                continue
            seen.add(origin)
            way = origin[0], command.partition
            assert last.get(way, -1) < origin[1], f"the order {origin} was overtaken"
            last[way] = origin[1]
        missing = [
            (partition, offset)
            for partition, end in positions.items()
            for offset in range(end)
            if (partition, offset) not in seen
        ]
        assert not missing, f"{len(missing)} orders before the position have no command, such as {missing[0]}"
        return repeated


def expected_of(orders: Iterable[Record], settings: Settings, schema_id: int, accounts: int) -> Expected:
    """Read strictly, looked up in rows made here, written by fastavro."""
    channel, rows = CHANNELS[CHANNEL], rows_of(accounts)
    plans = PlanNames(bootstrap.catalog(settings), CHANNEL)
    write = FastavroWriter(
        schema_id,
        {"tenant_id": settings.tenant_id, "livemode": settings.livemode, "app_version": APP_VERSION},
        settings.marketplace.decide_within_ms,
    ).write
    origins: dict[bytes, Origin] = {}
    for order in orders:
        [intent] = read_strictly(channel, order, plans).intents
        [resolved] = resolve_record((intent,), rows)
        assert isinstance(resolved, Resolved), resolved
        account = resolved.account_id
        place = partition_of(account, settings.kafka.partitions)
        origins[_digest(place, account.encode(), write(intent, resolved))] = order.partition, order.offset
    return Expected(origins)


def _digest(partition: int, key: bytes | None, value: bytes | None) -> bytes:
    assert key is not None
    assert value is not None
    return hashlib.blake2b(b"%d %d %b%b" % (partition, len(key), key, value), digest_size=16).digest()
