"""What operators see of decisions: counters for all of them, a log line for each when there are few."""

from __future__ import annotations

import structlog

from deadletter.envelope import DeadLetter
from schemas.topics import ORDERS
from streams.deciding.turn import Turn
from tierline.domain.events import OrderCompleted, OrderFailed, OrderRejected, OrderSuperseded
from tierline.kit.telemetry import Metrics

LINES_PER_TURN = 20
"""More outcomes than these in one turn are told in one line: logging gives way at full load."""

_TERMINAL = (OrderCompleted, OrderFailed, OrderRejected, OrderSuperseded)
_log = structlog.get_logger(__name__)


class OutcomeLog:
    """Counts and logs what turns decided."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def tell(self, turn: Turn) -> None:
        """Count the outcomes of a committed turn and log the orders that ended in it."""
        for (channel, outcome), count in turn.outcomes.items():
            self._metrics.records.labels(channel, ORDERS, outcome).inc(count)
        ended = [stored.event for stored in turn.events if isinstance(stored.event.body, _TERMINAL)]
        latency = self._metrics.end_to_end.labels(ORDERS)
        for event in ended:
            latency.observe(max(0, turn.now - event.received_at) / 1_000)
        if len(ended) > LINES_PER_TURN:
            _log.info("orders_ended", count=len(ended), events=len(turn.events))
            return
        for event in ended:
            _log.info(
                "order_ended",
                outcome=event.type,
                order_id=event.order_id,
                account_id=event.account_id,
                correlation_id=event.correlation_id,
                reason_code=event.reason_code,
            )

    def buried(self, letter: DeadLetter) -> None:
        """Count and log a command that nobody can decide."""
        dead = letter.dead
        self._metrics.dead_letters.labels(letter.channel or "", str(dead.dead_letter_class)).inc()
        _log.warning(
            "dead_letter",
            dead_letter_id=letter.id,
            channel=letter.channel,
            dead_letter_class=str(dead.dead_letter_class),
            code=dead.code,
            field=dead.field,
            topic=letter.record.topic,
            partition=letter.record.partition,
            offset=letter.record.offset,
        )
