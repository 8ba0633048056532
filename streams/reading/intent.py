"""One ask of one channel, in words that are the same for all channels; not yet looked up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from tierline.domain.commands import ChangeStanding, RollPeriod
from tierline.domain.outcome import Dead, Skipped
from tierline.kit.records import Record

NOW = "now"
NEXT_CYCLE = "next_cycle"

_FIELD = "\x1f"
_LIST = "\x1e"
_REMEMBERED_NAMES = 10_000


class Intent(msgspec.Struct, frozen=True, gc=False):
    """What a channel asks for. Instants in ms since the epoch; ``received_at`` is the broker's append time.

    At least one of ``account_ref`` and ``subscription_ref`` is set; both are the channel's words or
    Tierline's own ids. ``account_ref_must_be_known`` is False where the account beside a known
    subscription is only checked if somebody knows it. ``plan`` is Tierline's id where the catalog knows
    the channel's word for it. ``modules`` are all that shall be in force where ``modules_complete``,
    else they join those that are. ``effective``: now, next_cycle, a date or an instant. ``unavailable``:
    paths of payload fields that ask for something not built yet. ``field``: path of the payload field
    that names the subscription, else the account. ``due_from``: where a channel takes silence for a yes,
    when that time began. ``change``: what is asked for instead of an order. ``skipped``: why nothing is
    asked for at all; then nobody has to know the references.
    A Struct, not a dataclass: one is made for every record.
    """

    channel: str
    source: str
    reference: str
    account_ref: str | None
    subscription_ref: str | None
    account_ref_must_be_known: bool
    plan: str | None
    seats: int | None
    modules: tuple[str, ...]
    effective: str
    payment_method: str | None
    requested_by: str | None
    requested_at: int | None
    unavailable: tuple[str, ...]
    validate_only: bool
    origin_topic: str
    origin_partition: int
    origin_offset: int
    received_at: int
    intent_index: int
    intent_count: int
    traceparent: str | None
    field: str
    due_from: int | None = None
    change: ChangeStanding | RollPeriod | None = None
    skipped: Skipped | None = None
    modules_complete: bool = False


class Reading(msgspec.Struct, frozen=True, gc=False):
    """A record that was understood. ``strict``: the strict way read it (slower; worth counting)."""

    intents: tuple[Intent, ...]
    unknown_fields: int
    strict: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that was not understood; it counts as one intent, index 0 of 1.

    ``reference``: the channel's own, for the reply; None if it could not be read. ``source``: the
    sending instance, ``?`` if that is what is wrong.
    """

    dead: Dead
    reference: str | None
    source: str


class HasId(Protocol):
    """A plan of the catalog, as far as intake looks at it."""

    @property
    def id(self) -> str: ...


class PlanAliases(Protocol):
    """What intake wants from the catalog."""

    def plan_for_alias(self, channel: str, external_id: str) -> HasId | None:
        """The plan that a channel calls ``external_id``; None for a name that nobody knows."""


class PlanNames(dict[str, str]):
    """A channel's words for plans → Tierline's plan ids; an unknown word stays as it is.

    Build one per channel and catalog and keep it: it remembers what it looked up, within bounds.
    """

    def __init__(self, catalog: PlanAliases, channel: str) -> None:
        super().__init__()
        self._catalog = catalog
        self._channel = channel

    def __missing__(self, name: str) -> str:
        plan = self._catalog.plan_for_alias(self._channel, name)
        known = name if plan is None else plan.id
        if len(self) < _REMEMBERED_NAMES:
            self[name] = known
        return known


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """What a channel needs beside the content: the record, who sent it, how the channel calls the plans."""

    channel: str
    source: str
    traceparent: str | None
    record: Record
    plans: PlanNames


def content_digest(subscription_id: str, intent: Intent) -> str:
    """Hex SHA-256 of what is asked for, whoever asks, whenever and in whatever bytes."""
    content = _FIELD.join(
        (
            subscription_id,
            intent.plan or "",
            "" if intent.seats is None else str(intent.seats),
            _modules(intent),
            intent.effective,
            intent.payment_method or "",
            _LIST.join(intent.unavailable),
        )
    )
    return hashlib.sha256(content.encode()).hexdigest()


def _modules(intent: Intent) -> str:
    named = _LIST.join(intent.modules)
    return _LIST + named if intent.modules_complete else named


def change_digest(subscription_id: str, change: ChangeStanding | RollPeriod) -> str:
    """Hex SHA-256 of a change that is no order; when it happened does not count."""
    if isinstance(change, ChangeStanding):
        content: tuple[str, ...] = (change.standing,)
    else:
        content = ("renewed", change.period_start or "", change.period_end or "")
    return hashlib.sha256(_FIELD.join((subscription_id, *content)).encode()).hexdigest()


def reference_of_content(parts: Iterable[str]) -> str:
    """The reference of an order that brings none: a digest of its canonical content, ``digest-`` + 32 hex."""
    return "digest-" + hashlib.sha256(_FIELD.join(parts).encode()).hexdigest()[:32]
