"""The payments worker: turns what events ask of the gateway into calls, and the answers into commands.

Before a call it notes the attempt in ``oms.payment_attempt``; a note that is there already means that an
earlier run may have made the call, so it looks up first. The answers are acknowledged on
``oms.commands.v1`` before the lease moves: a crash repeats calls and answers, never drops one, and the same
answer is the same command.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from schemas.codec import Codec, Raw
from schemas.topics import COMMANDS
from streams.deciding.event_store import hash_at
from streams.event_following import follow, type_of
from tierline.domain.commands import Command, Origin, RecordPaymentResult
from tierline.domain.identity import payment_result_command_id
from tierline.kit.broker import Producer, send_all
from tierline.kit.crash_points import reached
from tierline.kit.database import Connection
from tierline.kit.gateway import Payment, PaymentGateway, UnknownPayment
from tierline.kit.leased_worker import Batch
from tierline.kit.leases import Lease, Progress
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Message, Record

STEPS = {
    "PaymentRequested": "authorize",
    "PaymentCaptureRequested": "capture",
    "PaymentVoidRequested": "void",
    "RefundRequested": "refund",
}
DONE_BY_STEP = {
    "authorize": frozenset({"authorized", "declined", "captured", "voided", "refunded"}),
    "capture": frozenset({"captured", "refunded", "voided"}),
    "void": frozenset({"voided", "declined"}),
    "refund": frozenset({"refunded"}),
}
CALLS_AT_ONCE = 16
SEND_S = 30.0

_NOTE = """
INSERT INTO oms.payment_attempt (payment_id, step, order_id)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::uuid[])
ON CONFLICT (payment_id, step) DO NOTHING RETURNING payment_id::text, step
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that an event asks of the gateway."""

    step: str
    record: Record
    event: Raw

    @property
    def body(self) -> Mapping[str, Any]:
        """The body of the event."""
        body: Mapping[str, Any] = self.event["body"]
        return body

    @property
    def payment_id(self) -> str:
        """The gateway object."""
        return str(self.body["payment_id"])


class Payments:
    """Handler of the leased worker on ``oms.events.v1``.

    ``new_gateway`` builds the gateway of one calling thread; ``connect`` opens the session for attempts.
    """

    def __init__(
        self,
        *,
        codec: Codec,
        producer: Producer,
        connect: Callable[[], Connection],
        new_gateway: Callable[[], PaymentGateway],
        partitions: int,
        app_version: str,
    ) -> None:
        self._codec = codec
        self._producer = producer
        self._connect = connect
        self._new_gateway = new_gateway
        self._partitions = partitions
        self._app_version = app_version
        self._session: Connection | None = None
        self._own = threading.local()
        self._outages = 0
        self._gateways: set[PaymentGateway] = set()
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="gateway")

    def assigned(self, connection: Connection, lease: Lease) -> Lease:  # noqa: ARG002 - the port's
        """Every partition is read on from its lease."""
        return lease

    def process(
        self,
        connection: Connection,
        batch: Batch,
        leases: Mapping[int, Lease],
    ) -> Mapping[int, Progress]:
        """Carry out what the events of ``batch`` ask and send the answers."""
        asked: list[Asked] = []
        moves: dict[int, Progress] = {}
        for partition, records in batch.items():
            fresh, moves[partition] = follow(
                records, leases[partition], partial(hash_at, connection, partition)
            )
            asked += [
                Asked(STEPS[kind], followed.record, self._codec.read(followed.record.value))
                for followed in fresh
                if (kind := type_of(followed.record)) in STEPS
            ]
        connection.commit()  # gateway and broker may take longer to answer than a transaction may wait
        if asked:
            answers = self._carry_out(asked)
            reached("payments.after_gateway")
            send_all(self._producer, [self._message(a, payment) for a, payment in answers], SEND_S)
            reached("payments.after_results")
        return moves

    def committed(self) -> None:
        """Nothing is kept."""

    def reset(self, partitions: Collection[int]) -> None:  # noqa: ARG002 - the port's
        """After an outage every session is opened anew: one that broke would fail a turn per thread."""
        self._end_session()
        self._outages += 1

    def close(self) -> None:
        """End the calling threads and every session."""
        self._pool.shutdown()
        self._end_session()
        while self._gateways:
            self._gateways.pop().close()

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _carry_out(self, asked: Sequence[Asked]) -> list[tuple[Asked, Payment]]:
        """All calls, side by side; those of one payment one after the other, in their order."""
        fresh = self._noted(asked)
        reached("payments.after_attempt")
        by_payment: dict[str, list[Asked]] = defaultdict(list)
        for one in asked:
            by_payment[one.payment_id].append(one)
        done = self._pool.map(lambda steps: self._call_all(steps, fresh), by_payment.values())
        return [answer for answers in done for answer in answers]

    def _noted(self, asked: Iterable[Asked]) -> set[tuple[str, str]]:
        """Note every attempt, durably; returns those that were never made before."""
        columns = zip(*((a.payment_id, a.step, a.event["order_id"]) for a in asked), strict=True)
        if self._session is None or self._session.closed:
            self._session = self._connect()
        fresh = self._session.execute(_NOTE, [list(column) for column in columns]).fetchall()
        self._session.commit()
        return set(fresh)

    def _call_all(
        self, steps: Sequence[Asked], fresh: Collection[tuple[str, str]]
    ) -> list[tuple[Asked, Payment]]:
        gateway = self._gateway_of_thread()
        try:
            return [(s, _call(gateway, s, is_fresh=(s.payment_id, s.step) in fresh)) for s in steps]
        except Exception:
            self._end_gateway(gateway)
            raise

    def _gateway_of_thread(self) -> PaymentGateway:
        gateway: PaymentGateway | None = getattr(self._own, "gateway", None)
        if gateway is not None and self._own.outages != self._outages:
            self._end_gateway(gateway)
            gateway = None
        if gateway is None:
            self._own.outages = self._outages
            gateway = self._own.gateway = self._new_gateway()
            self._gateways.add(gateway)
        return gateway

    def _end_gateway(self, gateway: PaymentGateway) -> None:
        self._own.gateway = None
        self._gateways.discard(gateway)
        gateway.close()

    def _message(self, asked: Asked, payment: Payment) -> Message:
        event = asked.event
        command = Command(
            tenant_id=event["tenant_id"],
            livemode=event["livemode"],
            command_id=payment_result_command_id(payment.payment_id, payment.status),
            type=RecordPaymentResult.__name__,
            account_id=event["account_id"],
            subscription_id=event["subscription_id"],
            channel=event["channel"],
            source=event["source"],
            source_ref=event["source_ref"],
            origin=Origin(asked.record.topic, asked.record.partition, asked.record.offset),
            intent_index=0,
            intent_count=1,
            received_at=asked.record.timestamp_ms,
            decide_by=None,
            actor="gateway",
            correlation_id=event["correlation_id"],
            causation_id=event["event_id"],
            purchase_order_ref=event["purchase_order_ref"],
            digest=_digest(payment),
            app_version=self._app_version,
            traceparent=event["traceparent"],
            body=RecordPaymentResult(
                payment.payment_id,
                event["order_id"],
                payment.status,
                payment.gateway_ref,
                payment.code,
                payment.amount_minor,
                payment.currency,
            ),
        )
        return Message(
            COMMANDS.name,
            command.account_id.encode(),
            self._codec.encode_command(command),
            partition_of(command.account_id, self._partitions),
            (("type", command.type.encode()),),
        )


def _call(gateway: PaymentGateway, asked: Asked, *, is_fresh: bool) -> Payment:
    if not is_fresh:
        found = gateway.lookup(asked.payment_id)
        if found is not None and found.status in DONE_BY_STEP[asked.step]:
            return found
    body = asked.body
    match asked.step:
        case "authorize":
            return gateway.authorize(
                asked.payment_id, body["amount_minor"], body["currency"], body["payment_method"]
            )
        case "capture":
            return gateway.capture(asked.payment_id)
        case "void":
            return _void(gateway, asked.payment_id)
        case "refund":
            return gateway.refund(asked.payment_id)
        case unknown:
            raise ValueError(f"{unknown} is no step of a payment")


def _void(gateway: PaymentGateway, payment_id: str) -> Payment:
    """A payment that was never authorized holds nothing, and so is void."""
    try:
        return gateway.void(payment_id)
    except UnknownPayment:
        return Payment(payment_id, "voided", gateway_ref="", amount_minor=0, currency="XXX")


def _digest(payment: Payment) -> str:
    """The content of an answer: what makes two answers the same."""
    told = (payment.payment_id, payment.status, payment.gateway_ref, payment.amount_minor, payment.currency)
    return hashlib.sha256(repr(told).encode()).hexdigest()
