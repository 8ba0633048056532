"""One turn of the decider in memory: commands in their order, against what was loaded, one after another.

Nothing here touches a server. A turn sees its own earlier decisions and leaves lists of what must be
written; it is thrown away whole when the commit fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.topics import ORDERS
from streams.deciding.claim_book import ClaimBook
from streams.deciding.command_reading import Asked, Poison
from streams.deciding.external_refs import NewRef, refs_of_opening
from streams.deciding.recording import Head, Place, Recorder, StoredEvent
from streams.deciding.snapshots import Stream
from streams.deciding.stream_loading import folded
from tierline.domain.account import OpenAccount
from tierline.domain.catalog import Catalog
from tierline.domain.claims import ClaimChanges, Redelivery, Repeat, claim_changes, identify
from tierline.domain.commands import Command, ExternalRef, OpenSubscription
from tierline.domain.context import Context
from tierline.domain.decide import decide
from tierline.domain.events import Event, SubscriptionOpened
from tierline.domain.identity import dead_letter_id_of
from tierline.domain.outcome import Dead
from tierline.domain.policy import Policy
from tierline.domain.state import State, account_stream, stream_id_of, subscription_stream
from tierline.domain.subscription import ActiveSubscription
from tierline.domain.undecidable import undecidable

QUIET = "redelivered"
DUPLICATE = "duplicate"
DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Rules:
    """What decisions are made by, fixed while a worker runs. ``published``: price books by version."""

    catalog: Catalog
    policy: Policy
    published: Mapping[str, Catalog] = field(default_factory=dict)


@dataclass(slots=True)
class Loaded:
    """What the store had about the commands of a turn.

    ``streams`` holds every stream that they name, ``dead`` why an intent was called dead before, by the id
    of its dead letter.
    """

    streams: dict[str, Stream]
    claims: ClaimBook
    taken_refs: dict[ExternalRef, str]
    dead: dict[str, Dead]


@dataclass(slots=True)
class Turn:
    """The decisions of one turn, at time ``now`` (ms). Heads by partition move with every event."""

    rules: Rules
    recorder: Recorder
    loaded: Loaded
    heads: dict[int, Head]
    now: int
    events: list[StoredEvent] = field(default_factory=list)
    refs: list[NewRef] = field(default_factory=list)
    dead: list[Poison] = field(default_factory=list)
    touched: dict[str, Stream] = field(default_factory=dict)
    partition_of: dict[str, int] = field(default_factory=dict)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def take(self, asked: Asked | Poison) -> None:
        """Decide one record, or put it among the dead."""
        if isinstance(asked, Poison):
            self._give_up(asked)
        else:
            self._decide(asked)

    def _decide(self, asked: Asked) -> None:
        command = asked.command
        claims = self.loaded.claims
        identity = identify(
            command, claims.attempts(command.command_id), claims.came_from(command.command_id)
        )
        if isinstance(identity, Redelivery):
            self.outcomes[command.channel, QUIET] += 1
            return
        state = State(
            self._stream(account_stream(command.account_id)).state,  # type: ignore[arg-type] # by its id
            self._stream(subscription_stream(command.subscription_id)).state,  # type: ignore[arg-type]
        )
        dead = self._verdict(command) or undecidable(state, command, identity)
        if dead is not None:
            self._give_up(Poison(asked.record, dead, command))
            return
        self._own(asked.record.partition, command, state)
        rules = self.rules
        context = Context(
            self.now, identity, rules.catalog, rules.policy, self._taken_refs(command), rules.published
        )
        events = decide(state, command, context)
        if not events:
            self.outcomes[command.channel, QUIET] += 1
            return
        self._record(asked.record.partition, command, context, events)
        if isinstance(identity, Repeat):
            self.outcomes[command.channel, DUPLICATE] += 1

    def _record(self, partition: int, command: Command, context: Context, events: tuple[Event, ...]) -> None:
        head = self.heads[partition]
        first_position = head.next_position
        places = self._places(events, command)
        for stored in self.recorder.record(events, places, command, context, head):
            stream_id = stored.event.stream_id
            self.events.append(stored)
            self.touched[stream_id] = folded(self._stream(stream_id), stored.event)
            self.partition_of[stream_id] = partition
            if isinstance(stored.event.body, SubscriptionOpened) and isinstance(
                command.body, OpenSubscription
            ):
                self._opened(command, command.body)
        changes = claim_changes(command, context.identity, events)
        self.loaded.claims.apply(
            command, changes, subscription_stream(command.subscription_id), partition, first_position
        )
        self._count(command, changes)

    def _places(self, events: Sequence[Event], command: Command) -> list[Place]:
        """Stream and version of each event of a decision: versions count on in each of its streams."""
        places: list[Place] = []
        newest: dict[str, int] = {}
        for event in events:
            stream_id = stream_id_of(event, command)
            version = newest.get(stream_id) or self._stream(stream_id).version
            newest[stream_id] = version + 1
            places.append((stream_id, version + 1))
        return places

    def streams(self) -> dict[str, Stream]:
        """Every stream as it stands after the turn."""
        return self.loaded.streams | self.touched

    def _own(self, partition: int, command: Command, state: State) -> None:
        """Note which of the streams only this partition writes; others may change behind our back."""
        if isinstance(state.account, OpenAccount):
            self.partition_of[account_stream(command.account_id)] = partition
        subscription = state.subscription
        if isinstance(subscription, ActiveSubscription) and subscription.account_id == command.account_id:
            self.partition_of[subscription_stream(command.subscription_id)] = partition

    def _count(self, command: Command, changes: ClaimChanges) -> None:
        if changes.claim is not None:
            self.outcomes[command.channel, changes.claim.outcome] += 1
        for moved in changes.moved:
            self.outcomes[command.channel, moved.outcome] += 1

    def _verdict(self, command: Command) -> Dead | None:
        """Why the intent was called dead before, in another turn or earlier in this one."""
        dead = self.loaded.dead
        return dead.get(orders_dead_letter_id(command)) if dead else None

    def _stream(self, stream_id: str) -> Stream:
        return self.touched.get(stream_id) or self.loaded.streams[stream_id]

    def _taken_refs(self, command: Command) -> dict[ExternalRef, str]:
        if not isinstance(command.body, OpenSubscription):
            return {}
        taken = self.loaded.taken_refs
        return {ref: taken[ref] for ref in command.body.external_refs if ref in taken}

    def _opened(self, command: Command, opening: OpenSubscription) -> None:
        self.refs.extend(refs_of_opening(command.account_id, command.subscription_id, opening.external_refs))
        for ref in opening.external_refs:
            self.loaded.taken_refs[ref] = command.subscription_id

    def _give_up(self, poison: Poison) -> None:
        self.dead.append(poison)
        channel = ""
        if poison.command is not None:
            channel = poison.command.channel
            self.loaded.dead[orders_dead_letter_id(poison.command)] = poison.dead
        self.outcomes[channel, DEAD] += 1


def orders_dead_letter_id(command: Command) -> str:
    """The id that this command's dead letter has, should it have one."""
    origin = command.origin
    return dead_letter_id_of(ORDERS, origin.topic, origin.partition, origin.offset, command.intent_index)
