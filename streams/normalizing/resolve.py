"""From a channel's references to an account and a subscription, given the rows that are known.

Pure: who looks the rows up, and how long to wait for missing ones, is the caller's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from streams.reading.intent import Intent
from streams.reading.refusal import Code, dead
from tierline.domain.outcome import Dead, Skipped

# Tierline's own ids are references in every channel; their rows stand under this channel.
OWN_IDS = "*"


class RefRow(NamedTuple):
    """One row of ``oms.external_ref``: what a reference means to one sending instance of one channel."""

    channel: str
    source: str
    kind: Literal["account", "subscription"]
    ref: str
    account_id: str
    subscription_id: str


# The rows known for each reference text. Rows of other channels may be among them; they are ignored.
Rows = Mapping[str, Sequence[RefRow]]


class Resolved(msgspec.Struct, frozen=True, gc=False):
    """The subscription that an intent is about, and its account."""

    account_id: str
    subscription_id: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows ``refs`` yet; their rows may still come."""

    refs: tuple[str, ...]


Resolution = Resolved | Unknown | Dead | Skipped


def references(intent: Intent) -> tuple[str, ...]:
    """The one or two reference texts whose rows ``resolve`` wants to see; none of what is skipped."""
    if intent.skipped is not None:
        return ()
    subscription, account = intent.subscription_ref, intent.account_ref
    if subscription is None:
        return () if account is None else (account,)
    return (subscription,) if account is None else (subscription, account)


def resolve(intent: Intent, rows: Rows) -> Resolution:
    """The one subscription that the references of ``intent`` mean together; as it is, what is skipped."""
    if intent.skipped is not None:
        return intent.skipped
    account, subscription = intent.account_ref, intent.subscription_ref
    accounts = () if account is None else _known("account", account, intent, rows)
    if subscription is None:
        return _only(accounts, intent)
    found = _known("subscription", subscription, intent, rows)
    if not found:
        return Unknown((subscription,))
    row = found[0]
    if accounts and row.account_id not in [known.account_id for known in accounts]:
        return dead(Code.REFERENCE_MISMATCH, intent.field)
    if account is not None and not accounts and intent.account_ref_must_be_known:
        return Unknown((account,))
    return Resolved(row.account_id, row.subscription_id)


def resolve_record(intents: Sequence[Intent], rows: Rows) -> tuple[Resolution, ...]:
    """``resolve`` for all intents of one record, aligned with them.

    An intent is dead where an earlier one of its record means the same subscription: both would have
    the same identity, and the second would pass for a redelivery of the first.
    """
    if len(intents) == 1:
        return (resolve(intents[0], rows),)
    taken: set[str] = set()
    resolutions: list[Resolution] = []
    for intent in intents:
        resolution = resolve(intent, rows)
        if isinstance(resolution, Resolved):
            if resolution.subscription_id in taken:
                resolution = dead(Code.SUBSCRIPTION_TWICE, intent.field)
            else:
                taken.add(resolution.subscription_id)
        resolutions.append(resolution)
    return tuple(resolutions)


def unknown_account(intent: Intent) -> Dead:
    """What an intent becomes when the wait for its references is over."""
    return dead(Code.UNKNOWN_REFERENCE, intent.field)


def _known(kind: str, ref: str, intent: Intent, rows: Rows) -> Sequence[RefRow]:
    """The rows of ``ref``: as the sender uses it, else as Tierline's own id."""
    senders: list[RefRow] = []
    own: list[RefRow] = []
    for row in rows.get(ref, ()):
        if row.kind != kind:
            continue
        if row.channel == OWN_IDS:
            own.append(row)
        elif row.channel == intent.channel and row.source == intent.source:
            senders.append(row)
    return senders or own


def _only(accounts: Sequence[RefRow], intent: Intent) -> Resolution:
    subscriptions = {row.subscription_id: row for row in accounts}
    if not subscriptions:
        return Unknown(references(intent))
    if len(subscriptions) > 1:
        return dead(Code.AMBIGUOUS_ACCOUNT, intent.field)
    [row] = subscriptions.values()
    return Resolved(row.account_id, row.subscription_id)
