"""Publishes what a person decided about an order on hold, and waits for the decider's answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from schemas.topics import COMMANDS
from tierline.domain.commands import Command, Origin, RejectOrder, ReleaseOrder
from tierline.domain.identity import review_command_id
from tierline.kit.broker import Producer, send_all
from tierline.kit.clock import Clock
from tierline.kit.database import Connection
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Message

SEND_S = 30.0
POLL_S = 0.05
ORIGIN = "cli:orders"

_ANSWER = """
SELECT outcome, reasons FROM oms.command_claim WHERE command_id = %s::uuid ORDER BY attempt DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class OrderOnHold:
    """The order as the read model shows it. ``position``: that of its last event, which tells holds apart."""

    order_id: str
    account_id: str
    subscription_id: str
    channel: str
    source: str
    source_ref: str
    correlation_id: str
    position: int


@dataclass(frozen=True, slots=True)
class ReviewAnswer:
    """Whether the decider did what was asked, and the codes of the reasons if not."""

    accepted: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Sends a person's decision. The same about the same hold is one ask, however often it is pressed."""

    producer: Producer
    connection: Connection
    encode: Callable[[Command], bytes]
    partitions: int
    clock: Clock
    tenant_id: str
    livemode: bool
    app_version: str

    def ask(
        self, order: OrderOnHold, body: ReleaseOrder | RejectOrder, actor: str, wait_s: float
    ) -> ReviewAnswer | None:
        """Publish and wait up to ``wait_s`` seconds.

        None without an answer in time: look whether the orders worker runs (``tierline status``); the
        decision stands on its topic and will be taken.
        """
        command = self._command(order, body, actor)
        send_all(self.producer, [self._message(command)], SEND_S)
        deadline = self.clock.now_ms() + wait_s * 1000
        while True:
            answer = self._answer(command)
            if answer is not None or self.clock.now_ms() >= deadline:
                return answer
            self.clock.sleep(POLL_S)

    def _answer(self, command: Command) -> ReviewAnswer | None:
        row = self.connection.execute(_ANSWER, (command.command_id,)).fetchone()
        self.connection.rollback()
        return None if row is None else ReviewAnswer(row[0] != "rejected", tuple(row[1]))

    def _command(self, order: OrderOnHold, body: ReleaseOrder | RejectOrder, actor: str) -> Command:
        now_ms, kind = self.clock.now_ms(), type(body).__name__
        return Command(
            tenant_id=self.tenant_id,
            livemode=self.livemode,
            command_id=review_command_id(kind, order.order_id, order.position),
            type=kind,
            account_id=order.account_id,
            subscription_id=order.subscription_id,
            channel=order.channel,
            source=order.source,
            source_ref=order.source_ref,
            origin=Origin(ORIGIN, 0, now_ms),
            intent_index=0,
            intent_count=1,
            received_at=now_ms,
            decide_by=None,
            actor=actor,
            correlation_id=order.correlation_id,
            causation_id=None,
            purchase_order_ref=None,
            digest=hashlib.sha256(f"{kind}\x1f{order.order_id}".encode()).hexdigest(),
            app_version=self.app_version,
            traceparent=None,
            body=body,
        )

    def _message(self, command: Command) -> Message:
        return Message(
            topic=COMMANDS.name,
            key=command.account_id.encode(),
            value=self.encode(command),
            partition=partition_of(command.account_id, self.partitions),
            headers=(("type", command.type.encode()),),
        )
