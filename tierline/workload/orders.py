"""Sample orders of all channels: mostly good ones, with a known share of every kind of trouble.

The generator keeps in mind what it has already ordered, so that a good order really is an upgrade and a
duplicate really repeats an earlier record. It promises the mix, not the outcome: whether two orders
meet is up to the pipeline.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tierline.kit.clock import SystemClock
from tierline.workload import marketplace
from tierline.workload.accounts import SampleSubscription
from tierline.workload.records import Kind, SampleRecord

UPGRADES = {"team-month": ("business-month", "business-year"), "business-month": ("business-year",)}
PARTNER_OFFERINGS = {"business-month": "OFF-BUSINESS-M", "business-year": "OFF-BUSINESS-Y"}
REMEMBERED = 400

# The channels that samples are made for.
CHANNELS = ("portal", "partner", "marketplace")


# Shares of intents, in the order in which they are drawn.
MIX: dict[Kind, float] = {
    Kind.BROKEN: 0.03,
    Kind.DUPLICATE: 0.05,
    Kind.UNKNOWN: 0.015,
    Kind.INELIGIBLE: 0.05,
    Kind.SUPERSEDE: 0.01,
    Kind.CONFLICT: 0.005,
    Kind.PAIR: 0.04,
    Kind.STANDING: 0.01,
    Kind.LATE: 0.01,
}
ENDING_SHARE = 0.1
FEWEST_GOING_ON = 50


@dataclass(slots=True)
class _Wanted:
    """What the next good order for a subscription builds on."""

    sample: SampleSubscription
    plan: str
    seats: int


@dataclass(slots=True)
class SampleOrders:
    """An endless, seeded stream of records over ``subscriptions``; ``mix`` overrides the shares.

    ``now_ms``: the wall clock, because an operation of the marketplace says when it began.
    """

    subscriptions: Sequence[SampleSubscription]
    seed: int
    name: str = "demo"
    channels: tuple[str, ...] = CHANNELS
    mix: dict[Kind, float] = field(default_factory=lambda: dict(MIX))
    now_ms: Callable[[], int] = field(default_factory=lambda: SystemClock().now_ms)
    _rng: random.Random = field(init=False)
    _turn: deque[_Wanted] = field(init=False)
    _recent: deque[SampleRecord] = field(init=False)
    _number: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.name}:{self.seed}:orders")  # noqa: S311 - a repeatable sample
        wanted = [_Wanted(s, s.plan, s.seats) for s in self.subscriptions]
        self._rng.shuffle(wanted)
        self._turn = deque(wanted)
        self._recent = deque(maxlen=REMEMBERED)

    def take(self, intents: int) -> Iterator[SampleRecord]:
        """Records that carry exactly ``intents`` intents together."""
        left = intents
        while left:
            for record in self._next(left):
                left -= record.intents
                yield record

    def _next(self, left: int) -> tuple[SampleRecord, ...]:  # noqa: PLR0911 - one line per kind
        kind = self._draw()
        match kind:
            case Kind.DUPLICATE if len(self._recent) == REMEMBERED or len(self._recent) > left:
                return (self._again(),)
            case Kind.BROKEN:
                return (self._broken(),)
            case Kind.UNKNOWN:
                return (self._unknown(),)
            case Kind.INELIGIBLE:
                return (self._ineligible(),)
            case Kind.SUPERSEDE if left > 1:
                return self._twice(same_channel=True)
            case Kind.CONFLICT if left > 1 and len(self.channels) > 1:
                return self._twice(same_channel=False)
            case Kind.PAIR if left > 1 and "partner" in self.channels:
                return (self._pair(),)
            case Kind.STANDING | Kind.LATE if left > 1 and marketplace.CHANNEL in self.channels:
                return self._standing() if kind is Kind.STANDING else (self._late(),)
            case _:
                return (self._remember(self._upgrade(self._subscription())),)

    def _draw(self) -> Kind:
        point = self._rng.random()
        for kind, share in self.mix.items():
            point -= share
            if point < 0:
                return kind
        return Kind.UPGRADE

    def _subscription(self, *, payment: str | None = None, contract_ends_soon: bool = False) -> _Wanted:
        """The subscription that has waited longest and fits; it goes to the end of the queue."""
        for _ in range(len(self._turn)):
            wanted = self._turn.popleft()
            self._turn.append(wanted)
            fits = payment is None or wanted.sample.payment == payment
            if fits and wanted.sample.contract_ends_soon == contract_ends_soon:
                return wanted
        raise ValueError(f"no sample subscription with payment={payment}, {contract_ends_soon=}; take more")

    def _reference(self) -> str:
        self._number += 1
        return f"{self.name}-{self.seed}-{self._number:06}"

    def _remember(self, record: SampleRecord) -> SampleRecord:
        self._recent.append(record)
        return record

    def _again(self) -> SampleRecord:
        first = self._rng.choice(list(self._recent))
        return SampleRecord(first.channel, first.key, first.value, first.intents, Kind.DUPLICATE)

    def _upgrade(
        self, wanted: _Wanted, kind: Kind = Kind.UPGRADE, channel: str | None = None
    ) -> SampleRecord:
        wanted.seats += self._rng.randint(1, 3)
        if wanted.plan in UPGRADES and self._rng.random() < 0.5:
            wanted.plan = self._rng.choice(UPGRADES[wanted.plan])
        return self._order(wanted.sample, wanted.plan, wanted.seats, kind, channel)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)

    def _late(self) -> SampleRecord:
        wanted = self._subscription()
        wanted.seats += 1
        return marketplace.late_change(self._reference(), wanted.sample, wanted.seats, self._rng, self._now())

    def _standing(self) -> tuple[SampleRecord, ...]:
        """Suspended and reinstated; now and then one ends, and nothing more is ordered for it."""
        wanted = self._subscription()
        if self._rng.random() < ENDING_SHARE and len(self._turn) > FEWEST_GOING_ON:
            self._turn.remove(wanted)
            return (marketplace.unsubscription(self._reference(), wanted.sample, self._now()),)
        pair = (self._reference(), self._reference())
        return marketplace.suspension(pair, wanted.sample, self._rng, self._now())

    def _order(
        self,
        sample: SampleSubscription,
        plan: str,
        seats: int,
        kind: Kind,
        channel: str | None = None,
    ) -> SampleRecord:
        channel = channel or self._rng.choice(self.channels)
        if channel == "partner":
            item = _partner_item("1", sample.partner_ref, plan, seats)
            return _partner_record(self._reference(), sample.partner_ref, [item], kind)
        if channel == marketplace.CHANNEL:
            other = None if plan == sample.plan else plan
            return marketplace.change(self._reference(), sample, other, seats, kind, self._now())
        return _portal_record(self._reference(), sample.account_id, sample.subscription_id, plan, seats, kind)

    def _pair(self) -> SampleRecord:
        first, second = self._subscription(), self._subscription()
        items = []
        for number, wanted in enumerate((first, second), 1):
            wanted.seats += 1
            items.append(_partner_item(str(number), wanted.sample.partner_ref, wanted.plan, wanted.seats))
        return self._remember(
            _partner_record(self._reference(), first.sample.partner_ref, items, Kind.PAIR, intents=2)
        )

    def _twice(self, *, same_channel: bool) -> tuple[SampleRecord, ...]:
        """Two orders for one subscription, so close that the first is still waiting for its payment."""
        wanted = self._subscription(payment="gateway")
        first, second = self._rng.sample(self.channels, 2) if not same_channel else (self.channels[0],) * 2
        kind = Kind.SUPERSEDE if same_channel else Kind.CONFLICT
        return self._upgrade(wanted, kind, first), self._upgrade(wanted, kind, second)

    def _unknown(self) -> SampleRecord:
        number = self._rng.randrange(10**6)
        stranger = SampleSubscription(
            account_id=f"acc_unknown_{number}",
            subscription_id=f"sub_unknown_{number}",
            partner_ref=f"PROD-UNKNOWN-{number}",
            marketplace_ref=f"saas-unknown-{number}",
            payment="invoice",
            plan="team-month",
            seats=10,
            contract_ends_soon=False,
            line={},
        )
        return self._order(stranger, "business-year", 12, Kind.UNKNOWN)

    def _ineligible(self) -> SampleRecord:
        wanted = self._subscription(contract_ends_soon=True)
        match self._rng.randrange(3):
            case 0:  # the contract ends before the new year would
                return self._order(wanted.sample, "business-year", wanted.seats + 5, Kind.INELIGIBLE)
            case 1:  # too few seats for the tier
                return self._order(wanted.sample, "enterprise-year", 3, Kind.INELIGIBLE)
            case _:  # a plan that nobody sells
                return self._order(wanted.sample, "platinum-decade", wanted.seats + 5, Kind.INELIGIBLE)

    def _broken(self) -> SampleRecord:
        good = self._order(self._turn[0].sample, "business-year", 12, Kind.BROKEN)
        text = good.value.decode()
        broken = self._rng.choice(
            (
                text[: len(text) // 2],
                text.replace('"target"', '"targt"').replace('"action"', '"aktion"'),
                text.replace(": 12", ": NaN"),
                text.replace(": 12", ": 123456789012345678901234567890"),
                text.replace("{", "{" + text[1 : text.index(",") + 1], 1),
                "﻿" + text,
                "not json at all",
            )
        )
        return SampleRecord(good.channel, good.key, broken.encode(), 1, Kind.BROKEN)


def _portal_record(
    reference: str, account_id: str, subscription_id: str, plan: str, seats: int, kind: Kind
) -> SampleRecord:
    payload = {
        "reference": reference,
        "account_id": account_id,
        "subscription_id": subscription_id,
        "target": {"plan": plan, "seats": seats},
        "effective": "now",
        "payment_method": "pm_card_visa",
        "requested_by": "usr_9",
    }
    return SampleRecord("portal", subscription_id, json.dumps(payload).encode(), 1, kind)


def _partner_item(number: str, product: str, plan: str, seats: int) -> dict[str, object]:
    return {
        "id": number,
        "action": "modify",
        "quantity": seats,
        "product": {"id": product},
        "productOffering": {"id": PARTNER_OFFERINGS.get(plan, plan)},
    }


def _partner_record(
    reference: str, key: str, items: list[dict[str, object]], kind: Kind, intents: int = 1
) -> SampleRecord:
    payload = {"externalId": reference, "productOrderItem": items}
    return SampleRecord("partner", key, json.dumps(payload).encode(), intents, kind)
