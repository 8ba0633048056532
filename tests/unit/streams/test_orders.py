"""A turn of the decider: what it does in which transaction."""

from __future__ import annotations

from collections.abc import Collection

from streams.deciding.decision_store import Cached
from streams.deciding.turn import Loaded, Rules, Turn
from streams.orders import Orders, Ports
from tests.support.memory_decisions import MemoryDecisions
from tests.support.order_records import CODEC, PARTITIONS, command_record
from tests.support.order_values import CATALOG, NOON, POLICY, an_opening
from tierline.domain.commands import Command
from tierline.kit.clock import FakeClock
from tierline.kit.memory_broker import MemoryBroker, MemoryProducer
from tierline.kit.memory_leases import MemoryLeases, MemorySession
from tierline.kit.telemetry import Metrics


class Steps(MemorySession, MemoryDecisions):
    """A session and a store that note what is done with them."""

    def __init__(self) -> None:
        MemorySession.__init__(self)
        MemoryDecisions.__init__(self)
        self.steps: list[str] = []

    def load(self, connection: object, commands: Collection[Command], cached: Cached) -> Loaded:
        self.steps.append("load")
        return super().load(connection, commands, cached)

    def commit(self) -> None:
        self.steps.append("commit")
        super().commit()

    def write(self, connection: MemorySession, turn: Turn) -> None:
        self.steps.append("write")
        super().write(connection, turn)


def test_no_transaction_is_open_while_a_turn_is_decided() -> None:
    """PostgreSQL ends one that waits for 5 s: a large turn on a slow machine would never be through."""
    broker, steps = MemoryBroker(PARTITIONS), Steps()
    orders = Orders(
        codec=CODEC,
        rules=Rules(CATALOG, POLICY),
        partitions=PARTITIONS,
        app_version="test",
        ports=Ports(
            store=steps,  # type: ignore[arg-type] # takes sessions in memory
            producer=MemoryProducer(broker),
            log=broker,
            clock=FakeClock(NOON),
            connect=lambda: steps,  # type: ignore[arg-type,return-value]
            fail=lambda reason: (_ for _ in ()).throw(AssertionError(reason)),
        ),
        metrics=Metrics(),
    )
    record = command_record(an_opening())
    lease = MemoryLeases().acquire(steps, "test", record.topic, record.partition, 0)

    orders.process(steps, {record.partition: [record]}, {record.partition: lease})  # type: ignore[arg-type]

    assert ["load", "commit", "write"] == steps.steps
