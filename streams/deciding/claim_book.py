"""The claims of one turn: what the store had, and what the decisions of the turn add and move.

Later commands of the turn see what earlier ones did, so two copies in one batch are seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from streams.deciding.claims_store import NewClaim, NewOrigin
from tierline.domain.claims import Claim, ClaimChanges, OrderMoved
from tierline.domain.commands import Command, Origin

Place = tuple[str, int]
"""Command id and attempt."""


class ClaimBook:
    """Claims as they stand now. ``new``, ``origins`` and ``moved`` (by order id) are what must be written."""

    def __init__(
        self, claims: Mapping[str, Sequence[Claim]], origins: Mapping[str, Collection[Origin]]
    ) -> None:
        self._attempts = {command_id: list(known) for command_id, known in claims.items()}
        self._seen = {command_id: set(places) for command_id, places in origins.items()}
        self._orders: dict[str, Place] = {}
        for known in self._attempts.values():
            for claim in known:
                self._index(claim)
        self.new: dict[Place, NewClaim] = {}
        self.origins: list[NewOrigin] = []
        self.moved: dict[str, OrderMoved] = {}

    def attempts(self, command_id: str) -> Sequence[Claim]:
        """Every attempt of a command so far."""
        return self._attempts.get(command_id, ())

    def came_from(self, command_id: str) -> Collection[Origin]:
        """Every place that a command came from so far."""
        return self._seen.get(command_id, ())

    def apply(
        self, command: Command, changes: ClaimChanges, stream_id: str, partition: int, first_position: int
    ) -> None:
        """Take over what one decision changes; ``first_position`` is that of its first event."""
        claim = changes.claim
        if claim is not None:
            self._attempts.setdefault(claim.command_id, []).append(claim)
            self._index(claim)
            self.new[claim.command_id, claim.attempt] = NewClaim(claim, stream_id, partition, first_position)
        if changes.origin_attempt is not None:
            self._seen.setdefault(command.command_id, set()).add(command.origin)
            self.origins.append(NewOrigin(command.command_id, command.origin, changes.origin_attempt))
        for order in changes.moved:
            self._move(order)

    def _index(self, claim: Claim) -> None:
        if claim.order_id is not None:
            self._orders[claim.order_id] = (claim.command_id, claim.attempt)

    def _move(self, order: OrderMoved) -> None:
        """A claim of this turn changes before it is written; one that only the store has is moved there."""
        place = self._orders.get(order.order_id)
        if place is None:
            self.moved[order.order_id] = order
            return
        attempts = self._attempts[place[0]]
        index = next(i for i, claim in enumerate(attempts) if claim.attempt == place[1])
        claim = attempts[index] = replace(attempts[index], outcome=order.outcome, reasons=order.reasons)
        if place in self.new:
            self.new[place] = replace(self.new[place], claim=claim)
        else:
            self.moved[order.order_id] = order
