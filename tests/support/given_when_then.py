"""Specifications of the decider: given what happened, when a command comes, then these events.

``Decider`` is the shell's twin in memory: it keeps streams, claims, origins and references between
commands, so that a specification reads as a story.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tests.support.order_values import CATALOG, NOON, POLICY
from tierline.domain.account import AccountState, NoAccount
from tierline.domain.catalog import Catalog
from tierline.domain.claims import Claim, ClaimChanges, attempt_of, claim_changes, claim_changes_of, identify
from tierline.domain.commands import Command, ExternalRef, OpenSubscription, Origin
from tierline.domain.context import Context
from tierline.domain.decide import decide
from tierline.domain.events import (
    BillingScheduleAdjusted,
    EntitlementsChanged,
    Event,
    EventBody,
    OrderCompleted,
    OrderReceived,
    OrderValidated,
    PaymentRequested,
    QuoteIssued,
    RecordedEvent,
    SubscriptionOpened,
    TierChanged,
)
from tierline.domain.identity import uuid_of
from tierline.domain.outcome import Dead
from tierline.domain.policy import Policy
from tierline.domain.state import State, evolve, stream_id_of
from tierline.domain.subscription import ActiveSubscription, NoSubscription, SubscriptionState
from tierline.domain.undecidable import undecidable

Body = TypeVar("Body")

# What an accepted order leads to, with nothing to pay at the gateway, and with.
ACTIVATED = (TierChanged, EntitlementsChanged, BillingScheduleAdjusted, OrderCompleted)
COMPLETED_AT_ONCE = (OrderReceived, OrderValidated, QuoteIssued, *ACTIVATED)
AWAITING_PAYMENT = (OrderReceived, OrderValidated, QuoteIssued, PaymentRequested)


@dataclass
class Decider:
    """Decides one command after the other and remembers what came of it."""

    catalog: Catalog = CATALOG
    policy: Policy = POLICY
    now: int = NOON
    streams: dict[str, list[RecordedEvent]] = field(default_factory=lambda: defaultdict(list))
    accounts: dict[str, AccountState] = field(default_factory=dict)
    subscriptions: dict[str, SubscriptionState] = field(default_factory=dict)
    claims: dict[str, list[Claim]] = field(default_factory=lambda: defaultdict(list))
    origins: dict[str, set[Origin]] = field(default_factory=lambda: defaultdict(set))
    refs: dict[ExternalRef, str] = field(default_factory=dict)
    published: dict[str, Catalog] = field(default_factory=dict)

    def state(self, command: Command) -> State:
        """Both streams of a command."""
        return State(
            self.accounts.get(command.account_id, NoAccount()),
            self.subscriptions.get(command.subscription_id, NoSubscription()),
        )

    def decide(self, command: Command) -> tuple[Event, ...] | Dead:
        """Decide ``command`` and write down what it led to."""
        state = self.state(command)
        claims, origins = self.claims[command.command_id], self.origins[command.command_id]
        identity = identify(command, claims, origins)
        dead = undecidable(state, command, identity)
        if dead is not None:
            return dead
        events = decide(state, command, self.context(command))
        recorded = [
            self._record(event, command, attempt_of(identity), index, len(events))
            for index, event in enumerate(events)
        ]
        for happened in recorded:
            state = evolve(state, happened)
        self.accounts[command.account_id] = state.account
        self.subscriptions[command.subscription_id] = state.subscription
        changes = claim_changes(command, identity, events)
        if recorded:
            assert changes == claim_changes_of(recorded), "claims cannot be rebuilt from the events"
        self._claim(command, changes)
        return events

    def context(self, command: Command) -> Context:
        """What the shell would load for a command."""
        claims, origins = self.claims[command.command_id], self.origins[command.command_id]
        wanted = command.body.external_refs if isinstance(command.body, OpenSubscription) else ()
        return Context(
            self.now,
            identify(command, claims, origins),
            self.catalog,
            self.policy,
            {ref: self.refs[ref] for ref in wanted if ref in self.refs},
            self.published,
        )

    def _record(self, event: Event, command: Command, attempt: int, index: int, count: int) -> RecordedEvent:
        stream_id = stream_id_of(event, command)
        stream = self.streams[stream_id]
        recorded = envelope(event, command, stream_id, len(stream) + 1, attempt, (index, count), self.now)
        recorded = replace(recorded, catalog_version=event.catalog_version or self.catalog.version)
        stream.append(recorded)
        if isinstance(event.body, SubscriptionOpened):
            self.refs |= dict.fromkeys(event.body.external_refs, command.subscription_id)
        return recorded

    def _claim(self, command: Command, changes: ClaimChanges) -> None:
        if changes.claim is not None:
            self.claims[command.command_id].append(changes.claim)
        if changes.origin_attempt is not None:
            self.origins[command.command_id].add(command.origin)
        moved = {move.order_id: move for move in changes.moved}
        for known in self.claims.values():
            for index, claim in enumerate(known):
                if claim.order_id in moved:
                    move = moved[claim.order_id]
                    known[index] = replace(claim, outcome=move.outcome, reasons=move.reasons)


def envelope(
    event: Event,
    command: Command,
    stream_id: str,
    version: int,
    attempt: int,
    place: tuple[int, int],
    now: int,
) -> RecordedEvent:
    """The recorded form of an event; ``place`` is its index in the decision and the decision's length."""
    return RecordedEvent(
        tenant_id=command.tenant_id,
        livemode=command.livemode,
        event_id=uuid_of("event", stream_id, str(version)),
        stream_id=stream_id,
        version=version,
        partition=0,
        position=0,
        decision_index=place[0],
        decision_count=place[1],
        type=type(event.body).__name__,
        account_id=command.account_id,
        subscription_id=command.subscription_id,
        order_id=event.order_id,
        channel=command.channel,
        source=command.source,
        source_ref=command.source_ref,
        origin=command.origin,
        intent_index=command.intent_index,
        intent_count=command.intent_count,
        received_at=command.received_at,
        occurred_at=now,
        recorded_at=now,
        effective_at=now if event.effective_at is None else event.effective_at,
        actor=command.actor,
        reason_code=event.reason_code,
        command_id=command.command_id,
        command_type=command.type,
        attempt=attempt,
        digest=command.digest,
        correlation_id=command.correlation_id,
        causation_id=command.causation_id,
        purchase_order_ref=command.purchase_order_ref,
        consent=None,
        policy_version=POLICY.version,
        catalog_version=CATALOG.version,
        app_version=command.app_version,
        traceparent=command.traceparent,
        body=event.body,
        decide_by=command.decide_by,
    )


@dataclass(frozen=True)
class Decided:
    """What a command led to."""

    decider: Decider
    command: Command
    outcome: tuple[Event, ...] | Dead

    @property
    def events(self) -> tuple[Event, ...]:
        """The events; a dead letter fails the test."""
        assert not isinstance(self.outcome, Dead), self.outcome
        return self.outcome

    def then(self, *expected: type | EventBody) -> Decided:
        """Exactly these events in this order, each given as its body or as the type of it."""
        found = [
            event.body if not isinstance(wanted, type) else type(event.body)
            for wanted, event in zip(expected, self.events, strict=False)
        ]
        rest = [type(event.body) for event in self.events[len(expected) :]]
        assert list(expected) == found + rest
        return self

    def then_nothing_happened(self) -> Decided:
        """No events at all."""
        assert () == self.outcome
        return self

    def then_dead(self, code: str) -> Decided:
        """A dead letter with that code."""
        assert isinstance(self.outcome, Dead), self.outcome
        assert code == self.outcome.code
        return self

    def the(self, wanted: type[Body]) -> Body:
        """The only event of that type."""
        (found,) = [event.body for event in self.events if isinstance(event.body, wanted)]
        return found

    def event(self, wanted: type) -> Event:
        """The only event of that type, with its order and reason code."""
        (found,) = [event for event in self.events if isinstance(event.body, wanted)]
        return found

    @property
    def subscription(self) -> ActiveSubscription:
        """The subscription afterwards."""
        subscription = self.decider.state(self.command).subscription
        assert isinstance(subscription, ActiveSubscription)
        return subscription

    @property
    def claim(self) -> Claim:
        """The latest claim of the command."""
        return self.decider.claims[self.command.command_id][-1]


class Given:
    """What happened before, as the commands that led to it."""

    def __init__(
        self, *commands: Command, catalog: Catalog = CATALOG, policy: Policy = POLICY, now: int = NOON
    ) -> None:
        self.decider = Decider(catalog, policy, now)
        for command in commands:
            decided = self.decider.decide(command)
            assert decided, f"{command.type} led to nothing"
            assert not isinstance(decided, Dead), decided

    def when(self, command: Command) -> Decided:
        """Decide ``command``."""
        return Decided(self.decider, command, self.decider.decide(command))

    def later(self, catalog: Catalog | None = None, policy: Policy | None = None) -> Given:
        """The same story under another price book or policy; the price book before is published."""
        self.decider.published[self.decider.catalog.version] = self.decider.catalog
        self.decider.catalog = catalog or self.decider.catalog
        self.decider.policy = policy or self.decider.policy
        return self


def reason_codes(body: object) -> Sequence[str]:
    """The codes of an event's reasons."""
    return [reason.code for reason in body.reasons]  # type: ignore[attr-defined]
