"""A normalizer without servers: the real way of a batch; outlet, store and clock are the test's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from typing import Any, NoReturn

from deadletter.breaker_file import load_breaker_policy
from deadletter.breakers import Breakers
from deadletter.envelope import DeadLetter
from deadletter.hold_policy import ChannelHolds, HoldPolicy
from deadletter.holds import Holds
from deadletter.ports import Answered, Refusal
from deadletter.router import Router
from deadletter.verdicts import Verdict
from schemas.avsc import COMMANDS_SUBJECT, load_schema
from schemas.codec import Codec
from streams.answering.reply import dead_reply
from streams.normalizing.concluding import Concluder
from streams.normalizing.context import AccountContext, Asked
from streams.normalizing.endings import Endings
from streams.normalizing.intake import Intake
from streams.normalizing.intake_metrics import IntakeMetrics
from streams.normalizing.normalize import Framed, Normalizer
from streams.normalizing.progress import Progress
from streams.normalizing.releases import Releases
from streams.normalizing.resolve import RefRow, Resolved
from streams.pipeline import CHANNELS
from streams.reading.intent import Intent, PlanNames
from streams.transport import Batch
from tests.support.channel_examples import PLANS
from tests.support.memory_desk import MemoryDesk
from tierline.kit.data_folder import ROOT
from tierline.kit.records import Message, Record
from tierline.kit.telemetry import Metrics

PORTAL = "orders.portal.v1"
PARTNER = "orders.partner.v1"
MARKETPLACE = "orders.marketplace.v1"
DLQ = "orders.portal.v1.tierline-normalizer.dlq"
COMMANDS = "oms.commands.v1"
REPLIES = "orders.portal.replies.v1"
WAIT_MS = 2_000
BREAKERS = load_breaker_policy(ROOT / "policy" / "breaker.yaml")
NOW_MS = 1_700_000_000_000
HOLDS = HoldPolicy(ChannelHolds(retry_after_ms=(1_000, 5_000), attempts=3, longest_ms=60_000))


class ProcessEnded(Exception):
    """What the exit of the process is here."""


def portal_order(reference: str, subscription: str, **changed: Any) -> bytes:
    """A sound order of the portal."""
    order = {"reference": reference, "subscription_id": subscription, "target": {"seats": 20}}
    return json.dumps(order | changed).encode()


def own_rows(subscription: str, account: str) -> list[RefRow]:
    """What an opened subscription has in the table of references."""
    return [
        RefRow("*", "*", "subscription", subscription, account, subscription),
        RefRow("*", "*", "account", account, account, subscription),
    ]


class IntakeWorld:
    """One open partition of each channel, at offset 0."""

    def __init__(self) -> None:
        self.table: list[RefRow] = [*own_rows("sub_1", "acc_1"), *own_rows("sub_2", "acc_2")]
        self.questions = 0
        self.hold_look_up: asyncio.Event | None = None
        self.now = 1_000
        self.wall = NOW_MS
        self.desk = MemoryDesk()
        self.open_breakers: dict[tuple[str, int], str | None] = {}
        self.paused: set[tuple[str, int]] = set()
        self.away = False
        self.crowded = False
        self.hold_answers = False
        self.sent: list[tuple[Message, Answered]] = []
        self.messages: list[Message] = []
        self.stored: dict[str, Verdict] = {}
        self.metrics = Metrics()
        self.progress = Progress()
        self.progress.open({(PORTAL, 0): 0, (PARTNER, 0): 0, (MARKETPLACE, 0): 0})
        self.offsets: dict[str, int] = {}
        self.context = AccountContext(
            self._look_up, capacity=1_000, unknown_ms=WAIT_MS, now_ms=self.present_ms
        )
        self.holds = Holds(HOLDS, lambda: self.wall)
        self.router = Router(
            outlet=self,
            verdicts=self,
            keeper=self.holds,
            answer=self._answer,
            fail=self.fail,
            metrics=self.metrics,
        )
        normalizer = Normalizer(
            7, tenant_id="main", livemode=False, app_version="9", partitions=4, decide_within_ms=8_000
        )
        self.command: Callable[[Intent, Resolved], Framed] = normalizer.command
        counted = IntakeMetrics(self.metrics)
        self.breakers = Breakers(
            BREAKERS, app_version="9", now_ms=lambda: self.wall, metrics=self.metrics, watch=self
        )
        self.channels = {c.topic.name: (c, PlanNames(PLANS, c.name)) for c in CHANNELS.values()}
        concluder = Concluder(
            channels=self.channels,
            command=self._command,
            router=self.router,
            gate=self.breakers,
            endings=Endings(app_version="9", now_ms=lambda: self.wall, decide_within_ms=8_000),
            metrics=counted,
        )
        self.intake = Intake(
            concluder=concluder,
            context=self.context,
            router=self.router,
            holds=self.holds,
            breakers=self.breakers,
            progress=self.progress,
            outlet=self,
            store=self,
            gates=self,
            unknown_account_wait_ms=WAIT_MS,
            metrics=counted,
        )
        self.releases = Releases(
            holds=self.holds,
            concluder=concluder,
            context=self.context,
            router=self.router,
            desk=self.desk,
            outlet=self,
            metrics=counted,
            room_made=self.intake.room_made,
        )

    # --- the ports ----------------------------------------------------------------------------------------

    def send(self, message: Message, answered: Answered) -> None:
        self.messages.append(message)
        self.sent.append((message, answered))

    def present_ms(self) -> int:
        return self.now

    async def write(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict | None]:
        await asyncio.sleep(0)
        return [self.stored.setdefault(v.dead_letter_id, v) for v in verdicts]

    def breaker(self, place: tuple[str, int], cause: str | None) -> None:
        self.open_breakers[place] = cause

    def pause(self, place: tuple[str, int]) -> None:
        self.paused.add(place)

    def resume(self, place: tuple[str, int]) -> None:
        self.paused.discard(place)

    def fail(self, reason: str) -> NoReturn:
        raise ProcessEnded(reason)

    async def _look_up(self, asked: Collection[Asked]) -> list[RefRow]:
        self.questions += 1
        refs = {ref for _, _, ref in asked}
        read = [row for row in self.table if row.ref in refs]
        if self.hold_look_up is not None:
            await self.hold_look_up.wait()
        return read

    def _command(self, intent: Intent, resolved: Resolved) -> Framed:
        return self.command(intent, resolved)

    def _answer(self, letter: DeadLetter, source: str, reference: str | None) -> Message:
        return dead_reply(letter, source, reference, NOW_MS)

    # --- what a test does ---------------------------------------------------------------------------------

    def record(self, value: bytes | None, key: bytes | None = None, topic: str = PORTAL) -> Record:
        """The next record of partition 0 of ``topic``."""
        offset = self.offsets.get(topic, 0)
        self.offsets[topic] = offset + 1
        return Record(topic, 0, offset, NOW_MS - 5, key, value)

    async def take(self, *records: Record) -> None:
        """One batch through the intake, its effects acknowledged."""
        await self.intake.take(Batch(records[0].topic, 0, records[0].offset, records))
        await self.settle()

    def wait_for_ever(self) -> None:
        """Let the wait of what is parked from now on never end."""
        self.intake._wait_ms = 1 << 40

    async def settle(self) -> None:
        """Let the background work and acknowledge what was sent, until nothing moves."""
        for _ in range(30):
            await asyncio.sleep(0)
            if not self.hold_answers:
                self.answer()

    def save(self) -> None:
        """Store what was collected, as the transaction that moves the positions does."""
        changes = self.holds.take_changes()
        self.desk.write(changes)
        self.holds.committed(changes)
        self.releases.tell_held(changes.held)

    async def release(self, milliseconds: int = 0) -> None:
        """Let wall-clock time pass, try what is due, and store what came of it, until nothing moves."""
        self.wall += milliseconds
        for _ in range(4):
            self.save()
            await self.settle()
            await self.releases.step()
            await self.settle()
        self.save()

    def restart(self, *, verdicts: bool = True) -> None:
        """The partitions are given up and taken over again, from the start of the log."""
        self.progress.open({(PORTAL, 0): 0, (PARTNER, 0): 0})
        self.intake.given_up()
        self.releases.given_up()
        self.router.forget()
        held = list(self.desk.records)
        skipped = [(*row.place, row.intent_index) for row in self.desk.skipped]
        self.intake.remember(self.stored.values() if verdicts else (), held, skipped)
        self.holds.load(self.desk.stored())
        self.releases.tell_held([h for h in self.desk.records.values() if h.place not in self.desk.told])
        self.releases.anything_changed()

    def answer(self, refusal: Refusal | None = None) -> None:
        """Answer everything that was sent."""
        sent, self.sent = self.sent, []
        for _, answered in sent:
            answered(refusal)

    async def hold(self, *records: Record) -> None:
        """Take records in and let the first wait go by."""
        await self.take(*records)
        await self.pass_time(WAIT_MS)
        await self.release()

    async def pass_time(self, milliseconds: int) -> None:
        """Move the clock and look at the parked records."""
        self.now += milliseconds
        await self.intake.look_at_parked()
        await self.settle()

    # --- what a test asks ---------------------------------------------------------------------------------

    def on(self, topic: str) -> list[Message]:
        """What was sent to ``topic``, in order."""
        return [message for message in self.messages if message.topic == topic]

    def command_offsets(self) -> list[int]:
        """The origins of the commands, in the order they were sent."""
        return [_origin_offset(message.value or b"") for message in self.on(COMMANDS)]

    def dead(self) -> list[tuple[int, str, str]]:
        """(Offset, class, code) of the dead letters, in the order they were sent."""
        headers = [
            dict(m.headers) for topic in (DLQ, DLQ.replace("portal", "partner")) for m in self.on(topic)
        ]
        return [
            (
                int(h["oms.dlq.origin.offset"]),
                h["oms.dlq.class"].decode(),
                h["oms.dlq.code"].decode(),
            )
            for h in headers
        ]

    def replies(self) -> list[dict[str, Any]]:
        """The replies, decoded."""
        return [json.loads(m.value or b"") for m in self.messages if m.topic.endswith("replies.v1")]

    def position(self, topic: str = PORTAL) -> int:
        """How far partition 0 of ``topic`` may be saved."""
        return self.progress.moved().get((topic, 0), 0)

    def counted(self, outcome: str, channel: str = "portal") -> float:
        """The metric of records that left with ``outcome``."""
        labels = {"channel": channel, "stage": "normalizer", "outcome": outcome}
        return self.metrics.registry.get_sample_value("oms_records_total", labels) or 0.0


def in_intake(story: Callable[[IntakeWorld], Any]) -> None:
    """Run ``story`` with the router's background work around it."""

    async def run() -> None:
        world = IntakeWorld()
        burying = asyncio.create_task(world.router.run())
        try:
            await story(world)
        finally:
            burying.cancel()

    asyncio.run(run())


def _origin_offset(value: bytes) -> int:
    return Codec(7, 8, lambda _: load_schema(COMMANDS_SUBJECT)).read(value)["origin"]["offset"]  # type: ignore[no-any-return]
