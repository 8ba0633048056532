"""Sample orders of all channels: mostly good ones, with a known share of every kind of trouble.

The generator keeps in mind what it has already ordered, so that a good order really is an upgrade and a
duplicate really repeats an earlier record. Each subscription is sold through one channel, so that its
orders keep their order however fast the channels are read; only conflicts cross over. It promises the mix,
not the outcome: whether two orders meet is up to the pipeline.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle

from tierline.kit.clock import SystemClock
from tierline.workload import marketplace
from tierline.workload.accounts import SampleSubscription
from tierline.workload.json_orders import JsonOrders
from tierline.workload.partner_orders import PARTNER, partner_order
from tierline.workload.portal_orders import PORTAL
from tierline.workload.records import Ask, Kind, SampleRecord, Writer
from tierline.workload.sales_desk_orders import SalesDeskOrders

UPGRADES = {"team-month": ("business-month", "business-year"), "business-month": ("business-year",)}
REMEMBERED = 400

# The channels that samples are made for.
CHANNELS = ("portal", "partner", "marketplace", "sales_desk")

# Shares of intents, in the order in which they are drawn.
MIX: dict[Kind, float] = {
    Kind.BROKEN: 0.03,
    Kind.DUPLICATE: 0.05,
    Kind.UNKNOWN: 0.004,
    Kind.EARLY: 0.02,
    Kind.INELIGIBLE: 0.04,
    Kind.SUPERSEDE: 0.01,
    Kind.CONFLICT: 0.005,
    Kind.PAIR: 0.04,
    Kind.STANDING: 0.01,
    Kind.LATE: 0.01,
    Kind.CORRECTED: 0.01,
}
# Of the good orders of these channels, which can name modules, so many do.
MODULE_SHARE = 0.05
NAMING_MODULES = ("portal", "sales_desk")
MODULES = {
    "team-month": ("sso-pack",),
    "business-month": ("audit-pack", "sso-pack"),
    "business-year": ("audit-pack", "sso-pack"),
}
TOO_FEW_SEATS = 3
ENDING_SHARE = 0.1
FEWEST_GOING_ON = 50


@dataclass(slots=True)
class _Wanted:
    """What the next good order for a subscription builds on."""

    sample: SampleSubscription
    plan: str
    seats: int
    channel: str
    asked: bool = False


@dataclass(slots=True)
class SampleOrders:
    """An endless, seeded stream of records over ``subscriptions``; ``mix`` overrides the shares.

    ``now_ms``: the wall clock, because an operation of the marketplace says when it began. ``late``:
    subscriptions that nobody opens before their first orders come. ``gateway_once``: a subscription that pays
    through the gateway is ordered for once, so that no order meets the payment of the one before it.
    """

    subscriptions: Sequence[SampleSubscription]
    seed: int
    name: str = "demo"
    channels: tuple[str, ...] = CHANNELS
    mix: dict[Kind, float] = field(default_factory=lambda: dict(MIX))
    now_ms: Callable[[], int] = field(default_factory=lambda: SystemClock().now_ms)
    late: Sequence[SampleSubscription] = ()
    gateway_once: bool = False
    _rng: random.Random = field(init=False)
    _turn: deque[_Wanted] = field(init=False)
    _late_turn: deque[_Wanted] = field(init=False)
    _recent: deque[SampleRecord] = field(init=False)
    _number: int = field(init=False, default=0)
    _writers: dict[str, Writer] = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.name}:{self.seed}:orders")  # noqa: S311 - a repeatable sample
        shuffled = list(self.subscriptions)
        self._rng.shuffle(shuffled)
        self._turn, self._late_turn = self._sold(shuffled), self._sold(self.late)
        self._writers = {
            "portal": PORTAL,
            "partner": PARTNER,
            marketplace.CHANNEL: JsonOrders(self._change, misspelt=('"action"', '"aktion"')),
            "sales_desk": SalesDeskOrders(self.name),
        }
        self._recent = deque(maxlen=REMEMBERED)

    def _sold(self, samples: Sequence[SampleSubscription]) -> deque[_Wanted]:
        """Each through one of the channels, in turn."""
        return deque(
            _Wanted(s, s.plan, s.seats, c) for s, c in zip(samples, cycle(self.channels), strict=False)
        )

    def take(self, intents: int) -> Iterator[SampleRecord]:
        """Records that carry exactly ``intents`` intents together."""
        left = intents
        while left:
            for record in self._next(left):
                left -= record.intents
                yield record

    def _next(self, left: int) -> tuple[SampleRecord, ...]:
        kind = self._draw()
        match kind:
            case Kind.SUPERSEDE if left > 1:
                return self._twice(same_channel=True)
            case Kind.CONFLICT if left > 1 and len(self.channels) > 1:
                return self._twice(same_channel=False)
            case Kind.STANDING | Kind.LATE if left > 1 and marketplace.CHANNEL in self.channels:
                return self._standing() if kind is Kind.STANDING else (self._late(),)
            case _:
                return (self._single(kind, left),)

    def _single(self, kind: Kind, left: int) -> SampleRecord:
        match kind:
            case Kind.DUPLICATE if len(self._recent) == REMEMBERED or len(self._recent) > left:
                return self._again()
            case Kind.BROKEN:
                return self._broken()
            case Kind.CORRECTED if (corrected := self._corrected()) is not None:
                return corrected
            case Kind.UNKNOWN:
                return self._unknown()
            case Kind.EARLY if self._late_turn:
                self._late_turn.rotate(-1)
                return self._upgrade(self._late_turn[-1], Kind.EARLY)
            case Kind.INELIGIBLE:
                return self._ineligible()
            case Kind.PAIR if left > 1 and "partner" in self.channels:
                return self._pair()
            case _:
                return self._remember(self._upgrade(self._subscription()))

    def _draw(self) -> Kind:
        point = self._rng.random()
        for kind, share in self.mix.items():
            point -= share
            if point < 0:
                return kind
        return Kind.UPGRADE

    def _subscription(
        self, *, channel: str | None = None, payment: str | None = None, contract_ends_soon: bool = False
    ) -> _Wanted:
        """The subscription that has waited longest and fits; it goes to the end of the queue."""
        for index, wanted in enumerate(self._turn):
            fits = payment in (None, wanted.sample.payment) and channel in (None, wanted.channel)
            fits = fits and wanted.sample.contract_ends_soon == contract_ends_soon
            if fits and (payment or not self._rests(wanted)):
                del self._turn[index]
                self._turn.append(wanted)
                wanted.asked = True
                return wanted
        raise ValueError(
            f"no sample subscription with {channel=}, {payment=}, {contract_ends_soon=}; take more"
        )

    def _rests(self, wanted: _Wanted) -> bool:
        return self.gateway_once and wanted.asked and wanted.sample.payment == "gateway"

    def _reference(self) -> str:
        self._number += 1
        return f"{self.name}-{self.seed}-{self._number:06}"

    def _remember(self, record: SampleRecord) -> SampleRecord:
        self._recent.append(record)
        return record

    def _again(self) -> SampleRecord:
        first = self._rng.choice(list(self._recent))
        return self._writers[first.channel].again(first)

    def _upgrade(
        self, wanted: _Wanted, kind: Kind = Kind.UPGRADE, channel: str | None = None
    ) -> SampleRecord:
        wanted.seats += self._rng.randint(1, 3)
        if wanted.plan in UPGRADES and self._rng.random() < 0.5:
            wanted.plan = self._rng.choice(UPGRADES[wanted.plan])
        through = channel or wanted.channel
        modules = self._modules(wanted) if kind is Kind.UPGRADE and through in NAMING_MODULES else ()
        return self._order(wanted.sample, wanted.plan, wanted.seats, kind, through, modules)

    def _modules(self, wanted: _Wanted) -> tuple[str, ...]:
        """Now and then some of those that fit the plan."""
        if self._rng.random() >= MODULE_SHARE:
            return ()
        fitting = MODULES[wanted.plan]
        return tuple(sorted(self._rng.sample(fitting, self._rng.randint(1, len(fitting)))))

    def _change(self, ask: Ask) -> SampleRecord:
        other = None if ask.plan == ask.sample.plan else ask.plan
        return marketplace.change(ask.reference, ask.sample, other, ask.seats, ask.kind, self._now())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)

    def _late(self) -> SampleRecord:
        wanted = self._subscription(channel=marketplace.CHANNEL)
        wanted.seats += 1
        return marketplace.late_change(self._reference(), wanted.sample, wanted.seats, self._rng, self._now())

    def _standing(self) -> tuple[SampleRecord, ...]:
        """Suspended and reinstated; now and then one ends, and nothing more is ordered for it."""
        wanted = self._subscription(channel=marketplace.CHANNEL)
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
        channel: str,
        modules: tuple[str, ...] = (),
    ) -> SampleRecord:
        return self._writers[channel].order(Ask(self._reference(), sample, plan, seats, kind, modules))

    def _pair(self) -> SampleRecord:
        asks = []
        for wanted in (self._subscription(channel="partner") for _ in range(2)):
            wanted.seats += 1
            asks.append(Ask(self._reference(), wanted.sample, wanted.plan, wanted.seats, Kind.PAIR))
        return self._remember(partner_order(*asks))

    def _twice(self, *, same_channel: bool) -> tuple[SampleRecord, ...]:
        """Two orders for one subscription, so close that the first is still waiting for its payment."""
        wanted = self._subscription(payment="gateway")
        others = [channel for channel in self.channels if channel != wanted.channel]
        second = wanted.channel if same_channel else self._rng.choice(others)
        kind = Kind.SUPERSEDE if same_channel else Kind.CONFLICT
        return self._upgrade(wanted, kind), self._upgrade(wanted, kind, second)

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
        return self._order(stranger, "business-year", 12, Kind.UNKNOWN, self._rng.choice(self.channels))

    def _ineligible(self) -> SampleRecord:
        wanted = self._subscription(payment="invoice", contract_ends_soon=True)
        asked = (
            ("business-year", wanted.seats + 5),  # the contract ends before the new year would
            ("enterprise-year", TOO_FEW_SEATS),
            ("platinum-decade", wanted.seats + 5),  # a plan that nobody sells
        )
        return self._order(wanted.sample, *self._rng.choice(asked), Kind.INELIGIBLE, wanted.channel)

    def _broken(self) -> SampleRecord:
        channel = self._rng.choice(self.channels)
        wanted = self._subscription(channel=channel, payment="invoice")
        ask = Ask(self._reference(), wanted.sample, "business-year", 12, Kind.BROKEN)
        return self._writers[channel].broken(ask, self._rng)

    def _corrected(self) -> SampleRecord | None:
        """A broken order once more, now as it was meant: more seats for the same subscription."""
        for channel in self.channels:
            broken = self._writers[channel].to_correct()
            wanted = None if broken is None else self._going_on(broken.sample)
            if broken is not None and wanted is not None:
                wanted.seats += 1
                ask = Ask(broken.reference, wanted.sample, wanted.plan, wanted.seats, Kind.CORRECTED)
                return self._remember(self._writers[channel].order(ask))
        return None

    def _going_on(self, sample: SampleSubscription) -> _Wanted | None:
        """The state of a subscription; None once it has ended."""
        return next((wanted for wanted in self._turn if wanted.sample is sample), None)
