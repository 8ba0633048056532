"""What a command is decided against: the account's and the subscription's situation, folded from events."""

from __future__ import annotations

from dataclasses import dataclass

from tierline.domain.account import AccountState, NoAccount, OpenAccount, evolve_account
from tierline.domain.commands import Command
from tierline.domain.events import Event, RecordedEvent
from tierline.domain.invariant import BrokenInvariant
from tierline.domain.subscription import ActiveSubscription, NoSubscription, SubscriptionState
from tierline.domain.subscription_fold import evolve_subscription
from tierline.domain.values import quickly_made, replace

# Snapshots of another version are thrown away and folded anew: raise it with every change of a state or fold.
FOLD_VERSION = 5

ACCOUNT_PREFIX = "account:"
SUBSCRIPTION_PREFIX = "subscription:"


@quickly_made
@dataclass(frozen=True, slots=True)
class State:
    """Both streams that one command may touch."""

    account: AccountState
    subscription: SubscriptionState


def initial() -> State:
    """Nothing has happened."""
    return State(NoAccount(), NoSubscription())


def evolve(state: State, event: RecordedEvent) -> State:
    """The state after ``event``; its stream id says which side it is about."""
    if event.stream_id.startswith(SUBSCRIPTION_PREFIX):
        return State(state.account, evolve_subscription(state.subscription, event))
    return replace(state, account=evolve_account(state.account, event))


def account_stream(account_id: str) -> str:
    """The id of an account's stream."""
    return ACCOUNT_PREFIX + account_id


def subscription_stream(subscription_id: str) -> str:
    """The id of a subscription's stream."""
    return SUBSCRIPTION_PREFIX + subscription_id


def stream_id_of(event: Event, command: Command) -> str:
    """The stream into which an event that ``command`` led to is written."""
    if event.stream == "account":
        return account_stream(command.account_id)
    return subscription_stream(command.subscription_id)


def addressed(state: State, command: Command) -> tuple[OpenAccount, ActiveSubscription]:
    """The open account and its subscription that the command is about.

    Raises BrokenInvariant when there are none: ``undecidable`` sorts such commands out before.
    """
    account, subscription = state.account, state.subscription
    if (
        not isinstance(account, OpenAccount)
        or not isinstance(subscription, ActiveSubscription)
        or subscription.account_id != command.account_id
    ):
        raise BrokenInvariant(
            f"{command.type} {command.command_id} reached a decision,"
            f" but {command.subscription_id} is not a subscription of {command.account_id}"
        )
    return account, subscription
