"""Commands that cannot be decided because what they are about is not here: dead letters, not rejections."""

from __future__ import annotations

from tierline.domain.account import OpenAccount
from tierline.domain.claims import Identity, Redelivery, Repeat
from tierline.domain.commands import ChangeStanding, Command, OpenSubscription, RecordPaymentResult
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.domain.payment_results import STATUSES
from tierline.domain.standing import STANDINGS
from tierline.domain.state import State
from tierline.domain.subscription import ActiveSubscription


def undecidable(state: State, command: Command, identity: Identity) -> Dead | None:
    """Why nobody can decide this command, or None. What was delivered before is never undecidable.

    A repeat of an order is: its event would stand in the stream of a subscription that is not the account's.
    """
    if isinstance(identity, Redelivery) or isinstance(command.body, OpenSubscription):
        return None
    if not isinstance(state.account, OpenAccount):
        return Dead(
            DeadLetterClass.UNKNOWN_ACCOUNT,
            "ACCOUNT_UNKNOWN",
            "account_id",
            "no subscription of this account was ever opened",
        )
    subscription = state.subscription
    if (
        not isinstance(subscription, ActiveSubscription)
        or subscription.account_id != state.account.account_id
    ):
        return Dead(
            DeadLetterClass.UNKNOWN_ACCOUNT,
            "SUBSCRIPTION_UNKNOWN",
            "subscription_id",
            "the account has no such subscription",
        )
    if isinstance(command.body, ChangeStanding) and command.body.standing not in STANDINGS:
        return Dead(
            DeadLetterClass.CONTRACT,
            "STANDING_UNKNOWN",
            "body.standing",
            f"a subscription's standing is one of {', '.join(STANDINGS)}",
        )
    if isinstance(command.body, RecordPaymentResult) and not isinstance(identity, Repeat):
        return _undecidable_result(subscription, command.body)
    return None


def _undecidable_result(subscription: ActiveSubscription, result: RecordPaymentResult) -> Dead | None:
    if result.status not in STATUSES:
        return Dead(
            DeadLetterClass.CONTRACT,
            "PAYMENT_STATUS_UNKNOWN",
            "body.status",
            f"a payment result is one of {', '.join(STATUSES)}",
        )
    if subscription.payment(result.payment_id) is None:
        return Dead(
            DeadLetterClass.DEPENDENCY,
            "PAYMENT_UNKNOWN",
            "body.payment_id",
            "no order of the subscription asked for this payment, or it was settled long ago",
        )
    return None
