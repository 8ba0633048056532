"""Dead commands on a real broker: one that is too large to copy is no reason to try for ever."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from schemas.topics import COMMANDS, ORDERS
from streams.deciding.burial import bury, letter_of
from streams.deciding.command_reading import Poison
from tests.support.order_records import command_record
from tests.support.order_values import an_order
from tierline import bootstrap
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.kit.confluent_broker import ConfluentLog
from tierline.kit.database import connect
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

MIB = 1024 * 1024
DLQ = f"{COMMANDS.name}.{ORDERS}.dlq"
FOR_BROKER, FOR_CLIENT = 5 * MIB, 7 * MIB


def test_a_command_too_large_to_copy_is_buried_without_its_value(settings: Settings) -> None:
    """Whoever refuses it, client or broker: length and digest stand in, and its neighbours are whole."""
    bootstrap.prepare(settings)
    dead = Dead(DeadLetterClass.DECODE, "BAD_MAGIC", None, "")
    values = [b"small", *(Random(1).randbytes(size) for size in (FOR_BROKER, FOR_CLIENT)), b"small too"]
    record = command_record(an_order())
    letters = [
        letter_of(Poison(replace(record, offset=offset, value=value), dead), "1.0", 1)
        for offset, value in enumerate(values)
    ]

    bury(
        partial(connect, settings.database_url, "test"),
        bootstrap.producer(settings, "test"),
        [(letter, None) for letter in letters],
        1,
    )

    log = ConfluentLog(settings.kafka)
    kept = {
        r.header("oms.dlq.id"): r
        for r in log.read(DLQ, record.partition, *log.log_range(DLQ, record.partition))
    }
    small, for_broker, for_client, small_too = (kept[letter.id.encode()] for letter in letters)
    assert [b"small", b"small too"] == [small.value, small_too.value]
    for stand_in, value in ((for_broker, values[1]), (for_client, values[2])):
        assert (None, str(len(value)).encode()) == (stand_in.value, stand_in.header("oms.dlq.value.bytes"))
        assert hashlib.sha256(value).hexdigest().encode() == stand_in.header("oms.dlq.value.sha256")
